-- +goose Up
-- postgres: SELECT set_config('postroad.system', 'on', true);

-- The messages of a large folder as they were at a MODSEQ, in few octets: what makes it quick to open. It may be missing.
CREATE TABLE listing (
    mailbox_id TEXT NOT NULL,
    folder     BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    modseq     BIGINT NOT NULL,
    content    BYTEA NOT NULL,
    PRIMARY KEY (mailbox_id, folder)
);

-- A folder's number comes first in the key, so that the rows of INBOXes, which deliveries write to, lie side by side.
CREATE TABLE folder_by_number (
    n           BIGINT NOT NULL,
    mailbox_id  TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    uidnext     BIGINT NOT NULL,
    highest     BIGINT NOT NULL,
    messages    BIGINT NOT NULL,
    special_use TEXT NOT NULL,
    seen        BIGINT NOT NULL DEFAULT 0,
    deleted     BIGINT NOT NULL DEFAULT 0,
    octets      BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (n, mailbox_id)
) -- sqlite: WITHOUT ROWID
;
INSERT INTO folder_by_number (n, mailbox_id, account_id, name, uidvalidity, uidnext, highest, messages, special_use, seen, deleted, octets)
    SELECT n, mailbox_id, account_id, name, uidvalidity, uidnext, highest, messages, special_use, seen, deleted, octets FROM folder;
DROP TABLE folder;
ALTER TABLE folder_by_number RENAME TO folder;
CREATE UNIQUE INDEX folder_name ON folder (mailbox_id, name);

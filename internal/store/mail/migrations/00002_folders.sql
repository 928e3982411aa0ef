-- +goose Up
-- postgres: SELECT set_config('postroad.system', 'on', true);

-- The version is another one after every change of the mailbox. Folders and uidvalidity are the highest number and the
-- highest UIDVALIDITY that a folder of the mailbox was given.
ALTER TABLE mailbox ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE mailbox ADD COLUMN folders BIGINT NOT NULL DEFAULT 1;
ALTER TABLE mailbox ADD COLUMN uidvalidity BIGINT NOT NULL DEFAULT 0;

-- How many messages have \Seen and \Deleted, and the octets of all.
ALTER TABLE folder ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE folder ADD COLUMN deleted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE folder ADD COLUMN octets BIGINT NOT NULL DEFAULT 0;

-- Flags as a set of bits: see core/mailbox.Flags. The column flags was never written to and stays empty.
ALTER TABLE message ADD COLUMN bits BIGINT NOT NULL DEFAULT 0;

UPDATE folder SET octets = coalesce((SELECT sum(size) FROM message
    WHERE message.mailbox_id = folder.mailbox_id AND message.folder = folder.n), 0);

-- The keywords of a mailbox by the numbers of their bits, and the names that are subscribed.
CREATE TABLE keyword (
    mailbox_id TEXT NOT NULL,
    n          BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, n)
) -- sqlite: WITHOUT ROWID
;

CREATE TABLE subscription (
    mailbox_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, name)
) -- sqlite: WITHOUT ROWID
;

-- What readers want kept of a message, by its body.
CREATE TABLE note (
    body
    -- sqlite: INTEGER
    -- postgres: BIGINT
    PRIMARY KEY,
    account_id TEXT NOT NULL,
    content    BYTEA NOT NULL
);

-- Folders that are gone and whose messages are still being cleared away.
CREATE TABLE folder_removal (
    mailbox_id TEXT NOT NULL,
    folder     BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, folder)
) -- sqlite: WITHOUT ROWID
;

INSERT INTO folder (mailbox_id, n, account_id, name, uidvalidity, uidnext, highest, messages, special_use)
    SELECT mailbox_id, n + 1, account_id, 'Drafts', uidvalidity + 1, 1, 1, 0, '\Drafts' FROM folder WHERE n = 1
    UNION ALL SELECT mailbox_id, n + 2, account_id, 'Sent', uidvalidity + 2, 1, 1, 0, '\Sent' FROM folder WHERE n = 1
    UNION ALL SELECT mailbox_id, n + 3, account_id, 'Junk', uidvalidity + 3, 1, 1, 0, '\Junk' FROM folder WHERE n = 1
    UNION ALL SELECT mailbox_id, n + 4, account_id, 'Trash', uidvalidity + 4, 1, 1, 0, '\Trash' FROM folder WHERE n = 1
    UNION ALL SELECT mailbox_id, n + 5, account_id, 'Archive', uidvalidity + 5, 1, 1, 0, '\Archive' FROM folder WHERE n = 1;
INSERT INTO subscription (mailbox_id, name, account_id) SELECT mailbox_id, name, account_id FROM folder;
UPDATE mailbox SET folders = 6, uidvalidity = coalesce((SELECT max(uidvalidity) FROM folder WHERE mailbox_id = mailbox.id), 0);

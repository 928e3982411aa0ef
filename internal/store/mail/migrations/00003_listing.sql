-- +goose Up

-- The messages of a large folder as they were at a MODSEQ, in few octets: what makes it quick to open. It may be missing.
CREATE TABLE listing (
    mailbox_id TEXT NOT NULL,
    folder     BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    modseq     BIGINT NOT NULL,
    content    BYTEA NOT NULL,
    PRIMARY KEY (mailbox_id, folder)
);

-- +goose Up

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO meta (name, value) VALUES ('version', '1'), ('min_reader', '1');

CREATE TABLE mailbox (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    quota      BIGINT NOT NULL,
    bytes      BIGINT NOT NULL,
    messages   BIGINT NOT NULL
) -- sqlite: WITHOUT ROWID
;

-- Folders are numbered within their mailbox, so that a folder can change its name; INBOX is number 1.
CREATE TABLE folder (
    mailbox_id  TEXT NOT NULL,
    n           BIGINT NOT NULL,
    account_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    uidnext     BIGINT NOT NULL,
    highest     BIGINT NOT NULL,
    messages    BIGINT NOT NULL,
    special_use TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, n)
) -- sqlite: WITHOUT ROWID
;
CREATE UNIQUE INDEX folder_name ON folder (mailbox_id, name);

-- What a listing shows; the bytes lie apart, in body or in a file, so that listing never touches them.
CREATE TABLE message (
    mailbox_id TEXT NOT NULL,
    folder     BIGINT NOT NULL,
    uid        BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    modseq     BIGINT NOT NULL,
    flags      TEXT NOT NULL,
    received   BIGINT NOT NULL,
    size       BIGINT NOT NULL,
    hash       BIGINT NOT NULL,
    sender     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    sent       BIGINT NOT NULL,
    body       BIGINT NOT NULL,
    blob       TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, folder, uid)
) -- sqlite: WITHOUT ROWID
;
CREATE INDEX message_changed ON message (mailbox_id, folder, modseq);
CREATE INDEX message_blob ON message (blob) WHERE blob <> '';

-- Numbered in the order of delivery, so that new bodies lie side by side. The prefix is the trace fields of final
-- delivery, read before the content; the message's size counts it and its hash covers it. Content in a file is NULL here.
CREATE TABLE body (
    id
    -- sqlite: INTEGER
    -- postgres: BIGINT
    PRIMARY KEY,
    account_id TEXT NOT NULL,
    prefix     BYTEA,
    content    BYTEA
);
-- postgres: CREATE SEQUENCE body_id;
-- postgres: ALTER TABLE body ALTER COLUMN content SET STORAGE EXTERNAL;

-- RFC 7162 §3.2.7: what a client that was away has to forget.
CREATE TABLE expunged (
    mailbox_id TEXT NOT NULL,
    folder     BIGINT NOT NULL,
    modseq     BIGINT NOT NULL,
    uid        BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, folder, modseq, uid)
) -- sqlite: WITHOUT ROWID
;

-- Queue ids come first: they grow, so that those of one moment lie side by side, to be written and to be forgotten.
CREATE TABLE delivered (
    queue_id   TEXT NOT NULL,
    mailbox_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (queue_id, mailbox_id)
) -- sqlite: WITHOUT ROWID
;

-- Mailboxes that are gone and whose messages are still being cleared away.
CREATE TABLE removal (
    mailbox_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL
);

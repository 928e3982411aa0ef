-- +goose Up

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO meta (name, value) VALUES ('version', '1'), ('min_reader', '1');

-- content comes last, so that reading the envelope alone never touches it; NULL when it lies in a blob.
CREATE TABLE message (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    root        TEXT NOT NULL,
    sender      TEXT NOT NULL,
    envid       TEXT NOT NULL,
    ret         BIGINT NOT NULL,
    body        BIGINT NOT NULL,
    utf8        BOOLEAN NOT NULL,
    size        BIGINT NOT NULL,
    hash        BIGINT NOT NULL,
    client_addr TEXT NOT NULL,
    client_helo TEXT NOT NULL,
    client_tls  TEXT NOT NULL,
    login       TEXT NOT NULL,
    received    BIGINT NOT NULL,
    recipients  BIGINT NOT NULL,
    blob        TEXT NOT NULL,
    content     BYTEA
);
-- postgres: ALTER TABLE message ALTER COLUMN content SET STORAGE EXTERNAL;

-- next_attempt is when the row became or becomes due by itself; whether its lane is open is the lane's matter.
CREATE TABLE recipient (
    message_id   TEXT NOT NULL,
    n            BIGINT NOT NULL,
    account_id   TEXT NOT NULL,
    original     TEXT NOT NULL,
    destination  TEXT NOT NULL,
    mailbox      TEXT NOT NULL,
    notify       BIGINT NOT NULL,
    orcpt        TEXT NOT NULL,
    state        TEXT NOT NULL,
    attempts     BIGINT NOT NULL,
    next_attempt BIGINT NOT NULL,
    lane         TEXT NOT NULL,
    check_age    BIGINT NOT NULL,
    expire_age   BIGINT NOT NULL,
    noticed      BOOLEAN NOT NULL,
    last_reply   TEXT NOT NULL,
    last_host    TEXT NOT NULL,
    PRIMARY KEY (message_id, n)
) -- sqlite: WITHOUT ROWID
;

-- A row is in the indices of its state only, so that a message that is delivered at once costs one. Statements must
-- spell these conditions the same way to use them (OR, not IN: SQLite builds a table for each IN that it judges).
-- state comes along so that counting reads the index alone.
CREATE INDEX message_blob ON message (blob) WHERE blob <> '';
CREATE INDEX recipient_leased ON recipient (next_attempt) WHERE state = 'leased';
CREATE INDEX recipient_due ON recipient (lane, next_attempt, message_id, n, state) WHERE (state = 'waiting' OR state = 'deferred');
CREATE INDEX recipient_age ON recipient (lane, check_age) WHERE (state = 'waiting' OR state = 'deferred');
CREATE INDEX recipient_kept ON recipient (lane, message_id, state) WHERE (state = 'held' OR state = 'quarantined' OR state = 'dead');

-- Whoever owns a row of a message may see its envelope and content.
-- postgres: CREATE POLICY rows ON message FOR SELECT USING (EXISTS (SELECT 1 FROM recipient WHERE recipient.message_id = message.id));

-- A lane with next_attempt 0 has nothing scheduled. On SQLite holders live in memory and the last three columns rest.
CREATE TABLE lane (
    name         TEXT PRIMARY KEY,
    next_attempt BIGINT NOT NULL,
    failures     BIGINT NOT NULL,
    reason       TEXT NOT NULL,
    host         TEXT NOT NULL,
    holder       TEXT NOT NULL,
    token        BIGINT NOT NULL,
    expires      BIGINT NOT NULL
);
CREATE INDEX lane_due ON lane (next_attempt);
CREATE INDEX lane_held ON lane (expires) WHERE holder <> '';
-- postgres: CREATE SEQUENCE lane_token;

CREATE TABLE age (
    name    TEXT PRIMARY KEY,
    elapsed BIGINT NOT NULL,
    ticked  BIGINT NOT NULL
);
INSERT INTO age (name, elapsed, ticked) VALUES ('queue', 0, 0);

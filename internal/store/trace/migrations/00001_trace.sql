-- +goose Up

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO meta (name, value) VALUES ('version', '1'), ('min_reader', '1');

-- What one account may see of a message under one of its addresses, of one writing. Ids are in the order of time, so
-- that a day, a page and what is too old are ranges of them.
CREATE TABLE trace (
    id         TEXT NOT NULL,
    account_id TEXT NOT NULL,
    sender     TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    steps      BYTEA NOT NULL
);
CREATE INDEX trace_id ON trace (id);
CREATE INDEX trace_recipient ON trace (recipient, id);
CREATE INDEX trace_sender ON trace (sender, id) WHERE sender <> '';

-- +goose Up

-- Domains that were removed while senders may still remember them. Another account may have the name by now.
CREATE TABLE departed (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    until       BIGINT NOT NULL,
    mode        TEXT NOT NULL,
    recipients  TEXT NOT NULL,
    unreachable TEXT NOT NULL,
    former      TEXT NOT NULL
);
CREATE INDEX departed_account ON departed (account_id);
UPDATE meta SET value = '8' WHERE name = 'version';

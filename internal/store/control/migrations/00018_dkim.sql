-- +goose Up

-- How the mail of domains is signed: the keys as a JSON list, their private parts sealed. Rows belong to the domain's account.
CREATE TABLE dkim (
    domain      TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    stopped     BOOLEAN NOT NULL,
    algorithms  TEXT NOT NULL,
    rotate      BIGINT NOT NULL,
    keys        TEXT NOT NULL
);
CREATE INDEX dkim_account ON dkim (account_id);
UPDATE meta SET value = '18' WHERE name = 'version';

-- +goose Up

-- Named lists of exchangers and of name servers. Domains follow those of their account and the operator's, by id.
CREATE TABLE exchanger_set (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    exchangers TEXT NOT NULL,
    gateways   TEXT NOT NULL,
    spf        TEXT NOT NULL,
    UNIQUE (account_id, name)
);
CREATE TABLE nameserver_set (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    hosts      TEXT NOT NULL,
    UNIQUE (account_id, name)
);
ALTER TABLE domain ADD COLUMN exchanger_set TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN nameserver_set TEXT NOT NULL DEFAULT '';
UPDATE meta SET value = '10' WHERE name = 'version';

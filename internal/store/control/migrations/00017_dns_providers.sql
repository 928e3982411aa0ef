-- +goose Up

-- How the zones of domains are written to that others answer for. Secrets are sealed. Rows belong to the domain's account.
CREATE TABLE dns_provider (
    domain      TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    zone        TEXT NOT NULL,
    server      TEXT NOT NULL,
    key_name    TEXT NOT NULL,
    algorithm   TEXT NOT NULL,
    sealed      BYTEA NOT NULL,
    by_operator BOOLEAN NOT NULL,
    created     BIGINT NOT NULL
);
CREATE INDEX dns_provider_account ON dns_provider (account_id);
UPDATE meta SET value = '17' WHERE name = 'version';

-- +goose Up

-- What we answer for in DNS, one row for each zone. A zone belongs to the domain of the same name, and to its account.
CREATE TABLE zone (
    domain     TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    serial     BIGINT NOT NULL,
    records    BYTEA NOT NULL,
    signatures BYTEA NOT NULL
);
CREATE INDEX zone_account ON zone (account_id);
UPDATE meta SET value = '9' WHERE name = 'version';

-- +goose Up

-- How a zone is signed (empty: it is not), and when it is to be signed again, in seconds since 1970.
ALTER TABLE zone ADD COLUMN signing BYTEA NOT NULL DEFAULT '';
ALTER TABLE zone ADD COLUMN sign_due BIGINT NOT NULL DEFAULT 0;
CREATE INDEX zone_sign_due ON zone (sign_due);

-- The private parts of the keys of signed zones, sealed. They outlive the zone for a while, so that a change that is taken
-- back finds its keys. unused is since when no zone has the key, in seconds since 1970; 0 while one has.
CREATE TABLE zone_key (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    domain     TEXT NOT NULL,
    sealed     BYTEA NOT NULL,
    unused     BIGINT NOT NULL
);
CREATE INDEX zone_key_account ON zone_key (account_id);
CREATE INDEX zone_key_domain ON zone_key (domain);
UPDATE meta SET value = '14' WHERE name = 'version';

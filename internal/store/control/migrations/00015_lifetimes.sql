-- +goose Up

-- How long others may remember the MX and NS records of a domain: the largest TTL seen. Rows belong to the domain's account.
CREATE TABLE lifetime (
    domain     TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    ttl        BIGINT NOT NULL,
    seen       BIGINT NOT NULL
);
UPDATE meta SET value = '15' WHERE name = 'version';

-- +goose Up

-- Addresses that are told of what happens to the mail of an account's domains: JSON, empty for none.
ALTER TABLE account ADD COLUMN notices TEXT NOT NULL DEFAULT '';

-- When something that passes was seen last; 0 for what stands until it is mended.
ALTER TABLE finding ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;

-- What has to be remembered of a domain and an event, so that nobody is told twice. Rows belong to the domain's account.
CREATE TABLE notice_memory (
    domain     TEXT NOT NULL,
    event      TEXT NOT NULL,
    account_id TEXT NOT NULL,
    since      BIGINT NOT NULL,
    told       BIGINT NOT NULL,
    open       BOOLEAN NOT NULL,
    held       BIGINT NOT NULL,
    detail     TEXT NOT NULL,
    PRIMARY KEY (domain, event)
);

-- What an account is told. Rows belong to whoever is told: the domain's account, or the operator's.
CREATE TABLE notice (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    domain     TEXT NOT NULL,
    event      TEXT NOT NULL,
    ended      BOOLEAN NOT NULL,
    at         BIGINT NOT NULL,
    due        BIGINT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    sent       BIGINT NOT NULL,
    recipients TEXT NOT NULL,
    problem    TEXT NOT NULL
);
CREATE INDEX notice_account ON notice (account_id, id);
CREATE INDEX notice_domain ON notice (domain, id);
CREATE INDEX notice_due ON notice (sent, due);
UPDATE meta SET value = '11' WHERE name = 'version';

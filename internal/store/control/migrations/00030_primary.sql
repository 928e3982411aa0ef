-- +goose Up

-- At which domain a domain's users have their mail; empty for what follows from its name.
ALTER TABLE domain ADD COLUMN primary_domain TEXT NOT NULL DEFAULT '';

-- What is known of the forwards that primaries are to make to addresses here. Rows belong to the domain's account.
CREATE TABLE forward_probe (
    address      TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL,
    domain       TEXT NOT NULL,
    from_address TEXT NOT NULL,
    to_address   TEXT NOT NULL,
    serial       TEXT NOT NULL,
    state        TEXT NOT NULL,
    queue_id     TEXT NOT NULL,
    sent         BIGINT NOT NULL,
    within       BIGINT NOT NULL,
    left_queue   BIGINT NOT NULL,
    verdict      TEXT NOT NULL,
    judged       BIGINT NOT NULL,
    after        BIGINT NOT NULL,
    hop          TEXT NOT NULL,
    detail       TEXT NOT NULL,
    since        BIGINT NOT NULL,
    UNIQUE (serial)
);
CREATE INDEX forward_probe_account ON forward_probe (account_id, sent);
CREATE INDEX forward_probe_domain ON forward_probe (domain);
CREATE INDEX forward_probe_open ON forward_probe (sent) WHERE state <> '';
UPDATE meta SET value = '30' WHERE name = 'version';

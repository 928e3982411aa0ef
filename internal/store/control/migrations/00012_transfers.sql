-- +goose Up

-- Who exchanges whole zones with us. Secrets of keys are sealed.
CREATE TABLE tsig_key (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL UNIQUE,
    algorithm  TEXT NOT NULL,
    sealed     BYTEA NOT NULL,
    created    BIGINT NOT NULL
);
CREATE INDEX tsig_key_account ON tsig_key (account_id);

-- Those who may have a zone, and the servers that are told of its changes. A zone is a domain or a catalog.
CREATE TABLE transfer_peer (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    zone        TEXT NOT NULL,
    key_name    TEXT NOT NULL,
    networks    TEXT NOT NULL,
    notify      TEXT NOT NULL,
    by_operator BOOLEAN NOT NULL
);
CREATE INDEX transfer_peer_account ON transfer_peer (account_id);
CREATE INDEX transfer_peer_zone ON transfer_peer (zone);

-- Zones that have their home elsewhere, with the content that was fetched last.
CREATE TABLE secondary_zone (
    domain      TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    server      TEXT NOT NULL,
    key_name    TEXT NOT NULL,
    by_operator BOOLEAN NOT NULL,
    refreshed   BIGINT NOT NULL,
    serial      BIGINT NOT NULL,
    records     BYTEA NOT NULL,
    signatures  BYTEA NOT NULL
);
CREATE INDEX secondary_zone_account ON secondary_zone (account_id);

CREATE TABLE catalog_zone (
    name       TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    every      BOOLEAN NOT NULL
);

-- What led from one version of a zone to the next, for those who fetch differences. The newest of each zone stay.
CREATE TABLE zone_change (
    domain      TEXT NOT NULL,
    version     BIGINT NOT NULL,
    account_id  TEXT NOT NULL,
    from_serial BIGINT NOT NULL,
    to_serial   BIGINT NOT NULL,
    removed     BYTEA NOT NULL,
    added       BYTEA NOT NULL,
    PRIMARY KEY (domain, version)
);
CREATE INDEX zone_change_account ON zone_change (account_id);
UPDATE meta SET value = '12' WHERE name = 'version';

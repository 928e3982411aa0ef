-- +goose Up

-- Names that are to have a certificate, and how far each has come. A row belongs to the account of the domain in which the
-- name lies; those of the server, without a domain, to the operator.
CREATE TABLE certificate (
    name       TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    domain     TEXT NOT NULL,
    source     TEXT NOT NULL,
    created    BIGINT NOT NULL,
    asked      BIGINT NOT NULL,
    not_before BIGINT NOT NULL DEFAULT 0,
    not_after  BIGINT NOT NULL DEFAULT 0,
    issuer     TEXT NOT NULL DEFAULT '',
    challenge  TEXT NOT NULL DEFAULT '',
    given      BIGINT NOT NULL DEFAULT 0,
    problem    TEXT NOT NULL DEFAULT '',
    detail     TEXT NOT NULL DEFAULT '',
    tried      BIGINT NOT NULL DEFAULT 0,
    next_try   BIGINT NOT NULL DEFAULT 0,
    failures   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX certificate_account ON certificate (account_id);
CREATE INDEX certificate_domain ON certificate (domain);

-- Certificates, keys, the account at the authority, and answers to its challenges: all sealed. Rows are the operator's.
CREATE TABLE certificate_asset (
    name       TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    sealed     BYTEA NOT NULL,
    modified   BIGINT NOT NULL
);

-- Which node works at what, and until when it is believed to. Rows are the operator's.
CREATE TABLE certificate_lock (
    name       TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    holder     TEXT NOT NULL,
    until      BIGINT NOT NULL
);
UPDATE meta SET value = '19' WHERE name = 'version';

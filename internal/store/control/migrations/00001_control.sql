-- +goose Up

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO meta (name, value) VALUES ('version', '1'), ('min_reader', '1');

-- One row. Whoever changes the configuration changes it first, so that changes come one after the other and the
-- numbers of audit entries ascend in the order of the commits.
CREATE TABLE configuration (
    name    TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    entries BIGINT NOT NULL
);
INSERT INTO configuration (name, version, entries) VALUES ('control', 0, 0);

CREATE TABLE account (
    account_id TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE
);

CREATE TABLE domain (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL UNIQUE,
    proved     BOOLEAN NOT NULL,
    mode       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    next_hops  TEXT NOT NULL,
    recipients TEXT NOT NULL,
    hold       BIGINT NOT NULL,
    created    BIGINT NOT NULL
);
CREATE INDEX domain_account ON domain (account_id);

-- What lies in a domain belongs to the domain's account.
CREATE TABLE mailbox (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    domain     TEXT NOT NULL,
    local      TEXT NOT NULL,
    quota      BIGINT NOT NULL,
    UNIQUE (domain, local)
);

-- Verifiers lie apart, so that reading all mailboxes does not read them.
CREATE TABLE verifier (
    mailbox_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    verifier   TEXT NOT NULL
);

CREATE TABLE rule (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    domain     TEXT NOT NULL,
    local      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    targets    TEXT NOT NULL,
    keep       BOOLEAN NOT NULL,
    UNIQUE (domain, local)
);

CREATE TABLE outbound (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    domain     TEXT NOT NULL UNIQUE,
    host       TEXT NOT NULL,
    port       BIGINT NOT NULL,
    login      TEXT NOT NULL,
    password   TEXT NOT NULL
);

CREATE TABLE token (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    hash       BYTEA NOT NULL UNIQUE,
    created    BIGINT NOT NULL
);

CREATE TABLE finding (
    domain     TEXT NOT NULL,
    name       TEXT NOT NULL,
    account_id TEXT NOT NULL,
    evidence   TEXT NOT NULL,
    since      BIGINT NOT NULL,
    PRIMARY KEY (domain, name)
);

-- Settings are the installation's: their rows belong to the operator's account.
CREATE TABLE setting (
    name       TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    value      TEXT NOT NULL
);

CREATE TABLE audit (
    id         BIGINT PRIMARY KEY,
    account_id TEXT NOT NULL,
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    domain     TEXT NOT NULL,
    action     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    before     TEXT NOT NULL,
    after      TEXT NOT NULL
);
CREATE INDEX audit_account ON audit (account_id, id);
CREATE INDEX audit_domain ON audit (domain, id);

-- The engines themselves refuse to change or remove an entry.
-- +goose StatementBegin
-- sqlite: CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN
-- sqlite:     SELECT RAISE(ABORT, 'an audit entry is never changed');
-- sqlite: END;
-- postgres: CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
-- postgres:     RAISE EXCEPTION 'an audit entry is never changed or removed';
-- postgres: END $$;
-- +goose StatementEnd
-- +goose StatementBegin
-- sqlite: CREATE TRIGGER audit_unremoved BEFORE DELETE ON audit BEGIN
-- sqlite:     SELECT RAISE(ABORT, 'an audit entry is never removed');
-- sqlite: END;
-- postgres: CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION audit_stays();
-- +goose StatementEnd

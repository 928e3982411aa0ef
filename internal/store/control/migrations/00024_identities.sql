-- +goose Up

-- Addresses elsewhere as which mailboxes' logins may send, and how that was shown. Rows belong to the mailbox's account.
CREATE TABLE identity (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    domain     TEXT NOT NULL,
    mailbox    TEXT NOT NULL,
    address    TEXT NOT NULL,
    proof      TEXT NOT NULL,
    proved     BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    code       BYTEA NOT NULL,
    sent       BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    UNIQUE (mailbox, address)
);
CREATE INDEX identity_account ON identity (account_id);
CREATE INDEX identity_domain ON identity (domain);
UPDATE meta SET value = '24' WHERE name = 'version';

-- +goose Up
-- postgres: SELECT set_config('postroad.system', 'on', true);

-- Routes for what logins send as addresses elsewhere: identity is one address or a domain, domain is empty then. The
-- passwords of routes are sealed; password is of those that an earlier program wrote, until they are sealed.
CREATE TABLE outbound_next (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    domain      TEXT NOT NULL,
    identity    TEXT NOT NULL,
    host        TEXT NOT NULL,
    port        BIGINT NOT NULL,
    by_operator BOOLEAN NOT NULL,
    tls         TEXT NOT NULL,
    login       TEXT NOT NULL,
    password    TEXT NOT NULL,
    sealed      BYTEA NOT NULL,
    source      TEXT NOT NULL
);
INSERT INTO outbound_next (id, account_id, domain, identity, host, port, by_operator, tls, login, password, sealed, source)
    SELECT id, account_id, domain, '', host, port, by_operator, tls, login, password, '', source FROM outbound;
DROP TABLE outbound;
ALTER TABLE outbound_next RENAME TO outbound;
CREATE UNIQUE INDEX outbound_domain ON outbound (domain) WHERE identity = '';
CREATE UNIQUE INDEX outbound_identity ON outbound (account_id, identity) WHERE identity <> '';
UPDATE meta SET value = '27' WHERE name = 'version';

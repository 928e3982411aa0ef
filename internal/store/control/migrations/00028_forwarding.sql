-- +goose Up

-- What was seen of the last messages of forwards, as bits, the newest in the lowest one, and when their next message would
-- leave if all did evenly. Rows belong to the account of the forward's domain.
CREATE TABLE forwarding (
    address     TEXT NOT NULL PRIMARY KEY,
    account_id  TEXT NOT NULL,
    seen        BIGINT NOT NULL,
    fragile     BIGINT NOT NULL,
    leaves      BIGINT NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX forwarding_account ON forwarding (account_id);
CREATE INDEX forwarding_at ON forwarding (at);
CREATE INDEX forwarding_leaves ON forwarding (leaves);

-- How many messages a client brought for a domain that are believed only from where the client had them. Rows belong to the
-- domain's account.
CREATE TABLE brought (
    domain      TEXT NOT NULL,
    client      TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    messages    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (domain, client)
);
CREATE INDEX brought_account ON brought (account_id);
CREATE INDEX brought_at ON brought (at);
UPDATE meta SET value = '28' WHERE name = 'version';

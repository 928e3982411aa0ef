-- +goose Up

-- What domains' real servers have said about addresses. Rows belong to the domain's account.
CREATE TABLE recipient_answer (
    domain     TEXT NOT NULL,
    local      TEXT NOT NULL,
    account_id TEXT NOT NULL,
    presence   BIGINT NOT NULL,
    source     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    way        TEXT NOT NULL,
    learned    BIGINT NOT NULL,
    PRIMARY KEY (domain, local)
);
CREATE INDEX recipient_answer_age ON recipient_answer (domain, presence, learned);
UPDATE meta SET value = '5' WHERE name = 'version';

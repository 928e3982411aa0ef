-- +goose Up

-- Lists of domains' recipients, uploaded or fetched from another installation. Rows belong to the domain's account.
CREATE TABLE recipient_list (
    domain     TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    source     TEXT NOT NULL,
    learned    BIGINT NOT NULL,
    url        TEXT NOT NULL,
    token      TEXT NOT NULL,
    every      BIGINT NOT NULL,
    by_operator BOOLEAN NOT NULL,
    etag       TEXT NOT NULL,
    problem    TEXT NOT NULL
);
CREATE TABLE recipient_listed (
    domain     TEXT NOT NULL,
    local      TEXT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (domain, local)
);
UPDATE meta SET value = '7' WHERE name = 'version';

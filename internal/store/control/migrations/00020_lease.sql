-- +goose Up

-- What one node at a time does for the installation, and until when it does. Rows belong to the operator's account.
CREATE TABLE lease (
    name       TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    holder     TEXT NOT NULL,
    until      BIGINT NOT NULL
);
UPDATE meta SET value = '20' WHERE name = 'version';

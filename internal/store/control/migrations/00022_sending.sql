-- +goose Up

-- How many recipients senders had in an hour and in a day of UTC, as numbers since 1970. Rows belong to the sender's account.
CREATE TABLE sending (
    kind        TEXT NOT NULL,
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    hour        BIGINT NOT NULL,
    hour_count  BIGINT NOT NULL,
    day         BIGINT NOT NULL,
    day_count   BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX sending_account ON sending (account_id);
CREATE INDEX sending_day ON sending (day);
UPDATE meta SET value = '22' WHERE name = 'version';

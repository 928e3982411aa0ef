-- +goose Up

-- What was decided of senders: limits of recipients in an hour and in a day of UTC that the operator gives and that the account
-- has chosen of them (-1: none, 0: no limit), and why one may send nothing for now, as JSON (empty: it may). A row stays when
-- its mailbox or domain goes.
CREATE TABLE sender (
    account_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    hour       BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    own_hour   BIGINT NOT NULL,
    own_day    BIGINT NOT NULL,
    pause      TEXT NOT NULL,
    PRIMARY KEY (account_id, kind, id)
);
-- How many recipients senders had, as in the table sending, which counted for whoever has an address now.
CREATE TABLE sent (
    account_id  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    id          TEXT NOT NULL,
    hour        BIGINT NOT NULL,
    hour_count  BIGINT NOT NULL,
    day         BIGINT NOT NULL,
    day_count   BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind, id)
);
CREATE INDEX sent_id ON sent (id);
CREATE INDEX sent_day ON sent (day);
-- postgres: SELECT set_config('postroad.system', 'on', true);
INSERT INTO sender (account_id, kind, id, hour, day, own_hour, own_day, pause)
    SELECT account_id, 'login', local || '@' || domain, -1, -1, -1, -1, pause FROM mailbox WHERE pause <> '';
INSERT INTO sent (account_id, kind, id, hour, hour_count, day, day_count)
    SELECT account_id, kind, id, hour, hour_count, day, day_count FROM sending;
DROP TABLE sending;
UPDATE meta SET value = '29' WHERE name = 'version';

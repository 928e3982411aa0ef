-- +goose Up

-- born_age is the queue age at which a row was taken: how long it is kept counts from there. -1 where it is not known.
ALTER TABLE recipient ADD COLUMN born_age BIGINT NOT NULL DEFAULT -1;
ALTER TABLE recipient ADD COLUMN copy BOOLEAN NOT NULL DEFAULT FALSE;
-- postgres: SELECT set_config('postroad.system', 'on', true);
UPDATE meta SET value = '2' WHERE name = 'version';

-- +goose Up

-- Put aside by policy: a mailbox takes it into its folder for junk.
ALTER TABLE recipient ADD COLUMN junk BOOLEAN NOT NULL DEFAULT FALSE;
-- postgres: SELECT set_config('postroad.system', 'on', true);
UPDATE meta SET value = '4' WHERE name = 'version';

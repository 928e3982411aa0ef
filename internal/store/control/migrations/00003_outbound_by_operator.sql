-- +goose Up

ALTER TABLE outbound ADD COLUMN by_operator BOOLEAN NOT NULL DEFAULT FALSE;
-- postgres: SELECT set_config('postroad.system', 'on', true);
UPDATE outbound SET by_operator = TRUE WHERE domain = '';
UPDATE meta SET value = '3' WHERE name = 'version';

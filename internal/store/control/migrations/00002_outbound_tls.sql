-- +goose Up

ALTER TABLE outbound ADD COLUMN tls TEXT NOT NULL DEFAULT 'opportunistic';
-- postgres: SELECT set_config('postroad.system', 'on', true);
UPDATE outbound SET tls = 'verified' WHERE login <> '';
UPDATE meta SET value = '2' WHERE name = 'version';

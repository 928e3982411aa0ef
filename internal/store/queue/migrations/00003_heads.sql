-- +goose Up

-- What differs among a message's rows: header fields above the content, behind their checksum, and the reverse-path. Both
-- are left out, and cost nothing, where a row has neither.
ALTER TABLE recipient ADD COLUMN head BYTEA;
ALTER TABLE recipient ADD COLUMN sender TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN rewritten BOOLEAN NOT NULL DEFAULT FALSE;
-- postgres: SELECT set_config('postroad.system', 'on', true);
UPDATE meta SET value = '3' WHERE name = 'version';

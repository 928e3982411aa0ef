-- +goose Up

-- When the authority would like a certificate to be renewed, a page that says why, and when it is asked again.
ALTER TABLE certificate ADD COLUMN window_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN window_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN window_page TEXT NOT NULL DEFAULT '';
ALTER TABLE certificate ADD COLUMN window_next BIGINT NOT NULL DEFAULT 0;
UPDATE meta SET value = '32' WHERE name = 'version';

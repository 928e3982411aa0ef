-- +goose Up

ALTER TABLE audit ADD COLUMN overridden TEXT NOT NULL DEFAULT '';
UPDATE meta SET value = '6' WHERE name = 'version';

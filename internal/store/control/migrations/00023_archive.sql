-- +goose Up

-- Whether what a forward sends on is an archive copy, of which the sender is never told anything.
ALTER TABLE rule ADD COLUMN archive BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE meta SET value = '23' WHERE name = 'version';

-- +goose Up

-- Why a mailbox's user may send nothing for now, as JSON; empty: he may.
ALTER TABLE mailbox ADD COLUMN pause TEXT NOT NULL DEFAULT '';
UPDATE meta SET value = '25' WHERE name = 'version';

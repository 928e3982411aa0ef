-- +goose Up

-- Addresses of the machine from which mail leaves, with a comma between; empty: as the system chooses.
ALTER TABLE outbound ADD COLUMN source TEXT NOT NULL DEFAULT '';
UPDATE meta SET value = '26' WHERE name = 'version';

-- +goose Up

-- Keys that people took out of use a while ago, as a JSON list like that of the others: for changes that are taken back.
ALTER TABLE dkim ADD COLUMN kept TEXT NOT NULL DEFAULT '';
UPDATE meta SET value = '31' WHERE name = 'version';

-- +goose Up

-- When a zone got its serial; 0 where it is not known.
ALTER TABLE zone ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
UPDATE meta SET value = '16' WHERE name = 'version';

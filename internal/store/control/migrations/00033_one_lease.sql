-- +goose Up

-- Who looks after certificates is what nodes lease like all else that one of them does at a time. What is held is held on.
-- postgres: SELECT set_config('postroad.system', 'on', true);
INSERT INTO lease (name, account_id, holder, until) SELECT 'certificates/' || name, account_id, holder, until FROM certificate_lock;
DROP TABLE certificate_lock;
UPDATE meta SET value = '33' WHERE name = 'version';

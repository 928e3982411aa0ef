-- +goose Up

-- How ownership of a domain was shown, when that was seen last and with which name servers, when the proof was found to
-- be gone, and whether only a TXT record shows it.
ALTER TABLE domain ADD COLUMN proof_by TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN proof_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domain ADD COLUMN proof_ns TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN proof_lost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domain ADD COLUMN proof_txt BOOLEAN NOT NULL DEFAULT FALSE;

-- When a domain was removed: its name is reserved for a while from then on.
ALTER TABLE departed ADD COLUMN removed BIGINT NOT NULL DEFAULT 0;

-- Nothing but the operator's word has shown ownership until now.
-- postgres: SELECT set_config('postroad.system', 'on', true);
UPDATE domain SET proof_by = 'operator', proof_at = created WHERE proved = TRUE;
UPDATE meta SET value = '13' WHERE name = 'version';

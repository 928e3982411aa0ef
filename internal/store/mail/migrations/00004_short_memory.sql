-- +goose Up
-- postgres: SELECT set_config('postroad.system', 'on', true);

-- Every message with a UID below read_to has \Seen, and there are read_below of them: from there on the first message
-- without it is looked for.
ALTER TABLE folder ADD COLUMN read_to BIGINT NOT NULL DEFAULT 1;
ALTER TABLE folder ADD COLUMN read_below BIGINT NOT NULL DEFAULT 0;

-- How many rows of expunged are the folder's, and the MODSEQ up to which they may have been forgotten.
ALTER TABLE folder ADD COLUMN gone BIGINT NOT NULL DEFAULT 0;
ALTER TABLE folder ADD COLUMN forgotten BIGINT NOT NULL DEFAULT 0;
UPDATE folder SET gone = (SELECT count(*) FROM expunged WHERE expunged.mailbox_id = folder.mailbox_id AND expunged.folder = folder.n);

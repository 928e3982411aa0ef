-- +goose Up

-- How mail from strangers is judged for a domain, empty for the defaults; and the servers that forward to us, as JSON.
ALTER TABLE domain ADD COLUMN judge TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN spf_fail TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN unchecked TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN forwarders TEXT NOT NULL DEFAULT '';

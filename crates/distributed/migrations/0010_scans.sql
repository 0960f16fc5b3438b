-- Files that wait for the operator's scanner, or that it refused and whose bytes are still there: when one is due, and how
-- often it was sent in vain.
--
-- Nodes of the version before work beside it, and have no scanner: update all nodes before one is set.

ALTER TABLE files ADD COLUMN scan_at BIGINT;
ALTER TABLE files ADD COLUMN scan_failures BIGINT NOT NULL DEFAULT 0;

CREATE INDEX files_to_scan ON files (scan_at) WHERE scan_at IS NOT NULL;

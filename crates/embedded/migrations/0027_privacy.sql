-- What people keep from others, and do not see of others (docs/decisions/0064). Both change with a new status_revision.

-- When they were last seen.
ALTER TABLE people ADD COLUMN hides_last_seen INTEGER NOT NULL DEFAULT 0;
-- How far they have read.
ALTER TABLE people ADD COLUMN hides_reads INTEGER NOT NULL DEFAULT 0;

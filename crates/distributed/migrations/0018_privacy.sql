-- What people keep from others, and do not see of others (docs/decisions/0064). Both change with a new status_revision.
--
-- Nodes of the version before work beside it, and show what is hidden.

-- When they were last seen.
ALTER TABLE people ADD COLUMN hides_last_seen SMALLINT NOT NULL DEFAULT 0;
-- How far they have read.
ALTER TABLE people ADD COLUMN hides_reads SMALLINT NOT NULL DEFAULT 0;

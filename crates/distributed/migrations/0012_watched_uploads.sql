-- Uploads that others were told of: decision 57.
--
-- Nodes of the version before work beside it. Uploads that they write are not watched: if one of them dies, nobody tells
-- that its uploads failed.

-- When an upload counts as failed, unless a process says before that it goes on. By the clock of the database.
ALTER TABLE files ADD COLUMN silent_at BIGINT;

CREATE INDEX watched_uploads ON files (silent_at) WHERE silent_at IS NOT NULL;

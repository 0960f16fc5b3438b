-- Uploads that others were told of: decision 57.

-- When an upload counts as failed, unless a process says before that it goes on. By the clock of the database.
ALTER TABLE files ADD COLUMN silent_at INTEGER;

CREATE INDEX watched_uploads ON files (silent_at) WHERE silent_at IS NOT NULL;

-- Which process writes an upload: decision 50.

-- How often another process began to write it. Of uploads of before, 0.
ALTER TABLE files ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
-- The process that claimed it last.
ALTER TABLE files ADD COLUMN writer     TEXT;
-- Whether that process has not said that it ended.
ALTER TABLE files ADD COLUMN claimed    INTEGER NOT NULL DEFAULT 0;
-- Where the bytes are, in the words of whoever keeps them.
ALTER TABLE files ADD COLUMN place      TEXT    NOT NULL DEFAULT '';

-- Which process writes an upload: decision 50.
--
-- Nodes of the version before do not see claims: update all nodes before files are used.

-- How often another process began to write it. Of uploads of before, 0.
ALTER TABLE files ADD COLUMN generation BIGINT   NOT NULL DEFAULT 0;
-- The process that claimed it last.
ALTER TABLE files ADD COLUMN writer     TEXT     COLLATE "C";
-- Whether that process has not said that it ended.
ALTER TABLE files ADD COLUMN claimed    SMALLINT NOT NULL DEFAULT 0;
-- Where the bytes are, in the words of whoever keeps them.
ALTER TABLE files ADD COLUMN place      TEXT     COLLATE "C" NOT NULL DEFAULT '';

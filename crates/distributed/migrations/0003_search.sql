-- The index of messages. It follows the log (docs/decisions/0040): a message costs its sender nothing.

-- The tokens of each message that has any: see usecases/search_index.rs. "entry" is entries.id. A row that goes takes what
-- the index has of it along with the next vacuum, as the blanked content of a deleted message does.
CREATE TABLE search_index (
    entry  BIGINT   PRIMARY KEY,
    tokens TSVECTOR NOT NULL
);

-- Entries that wait for their place in the index are read by every search: few of them.
CREATE INDEX search_index_tokens ON search_index USING gin (tokens) WITH (fastupdate = off);
ALTER TABLE search_index ALTER COLUMN tokens SET STATISTICS 0;

-- The entries up to this one are in the index. One node at a time locks the row, writes the index, and moves the position.
-- Beside the index, not in "follower_positions", since that moves to another store and the index is made anew there.
CREATE TABLE search_position (
    position BIGINT NOT NULL
);
INSERT INTO search_position (position) VALUES (0);

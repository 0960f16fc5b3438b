-- The index of messages. It follows the log (docs/decisions/0040): a message costs its sender nothing.

-- The tokens of each message: see usecases/search_index.rs. The rowid is entries.id. It holds places only, no text and no
-- positions within a text. Tokens have ASCII letters and digits and what is not ASCII, which this tokenizer splits nowhere.
CREATE VIRTUAL TABLE search_index USING fts5 (tokens, content = '', columnsize = 0, detail = none, tokenize = 'ascii');
-- What is removed leaves its pages, and is not only marked.
INSERT INTO search_index (search_index, rank) VALUES ('secure-delete', 1);

-- What the index has of each message, which it needs to remove it.
CREATE TABLE search_texts (
    entry INTEGER PRIMARY KEY,
    text  TEXT NOT NULL
) STRICT;

-- The entries up to this one are in the index. Beside the index, not in "follower_positions", since that moves to another
-- store and the index is made anew there.
CREATE TABLE search_position (
    position INTEGER NOT NULL
) STRICT;
INSERT INTO search_position (position) VALUES (0);

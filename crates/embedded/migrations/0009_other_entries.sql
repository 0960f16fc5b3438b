-- Entries that are not messages, such as edits and reactions. Each keeps how many messages its log has up to it and which
-- of them is the last, so that both are found at any entry by one step in an index: what follows an entry of this table,
-- up to the next one, is messages only.
--
-- A table of its own rather than columns of "entries": SQLite checks a whole STRICT table when a column is added (1.3 s for
-- two columns and a million entries), and a message takes no more room than before.

CREATE TABLE other_entries (
    conversation     INTEGER NOT NULL REFERENCES conversations (id),
    seq              INTEGER NOT NULL,
    kind             TEXT    NOT NULL,
    -- Messages of the log up to this entry.
    message_count    INTEGER NOT NULL,
    -- The seq of the newest of them, 0 if there is none.
    last_message_seq INTEGER NOT NULL,
    PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

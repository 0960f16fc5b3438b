-- What is done to messages: edits, deletions, reactions, pins, and what a message has besides its content. A message that
-- nothing was done to, and that answers and mentions nobody, has a row in none of these tables.
--
-- An edit, a deletion, a reaction and a pin are entries of their own: their kind is in "other_entries", their content is a
-- record (usecases/record.rs). These tables hold what follows from them, and change in the transactions that append them.

-- What a message has besides its content: which one it answers, and who is mentioned. Goes with its deletion.
CREATE TABLE message_extras (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq          INTEGER NOT NULL,
    -- JSON: see usecases/record.rs.
    record       TEXT    NOT NULL,
    PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

-- What became of a message that was edited, deleted or pinned. A change replaces the row by one at the end of the table:
-- where SQLite splits or grows a page in the middle, it leaves copies of rows in the free part of the page, which
-- "secure_delete" does not overwrite.
CREATE TABLE message_changes (
    id           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq          INTEGER NOT NULL,
    -- Of the last edit; the content of the entry while NULL.
    content      TEXT,
    -- Of the last edit: a JSON array of user ids.
    mentions     TEXT,
    -- The entries that did it, and when each was made.
    content_seq  INTEGER,
    edited_at    INTEGER,
    deleted_seq  INTEGER,
    deleted_at   INTEGER,
    pinned_seq   INTEGER,
    pinned_at    INTEGER
) STRICT;

CREATE UNIQUE INDEX message_changes_by_seq ON message_changes (conversation, seq);
-- Counts those past a read mark.
CREATE INDEX deleted_messages ON message_changes (conversation, seq) WHERE deleted_seq IS NOT NULL;
CREATE INDEX pinned_messages ON message_changes (conversation, seq) WHERE pinned_seq IS NOT NULL;

-- The reactions that were not taken back.
CREATE TABLE reactions (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq          INTEGER NOT NULL,
    emoji        TEXT    NOT NULL,
    person       INTEGER NOT NULL REFERENCES people (id),
    -- The entry that added it.
    entry_seq    INTEGER NOT NULL,
    PRIMARY KEY (conversation, seq, emoji, person)
) STRICT, WITHOUT ROWID;

-- The entries that edited a message, which its deletion blanks.
CREATE TABLE message_edits (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq          INTEGER NOT NULL,
    entry_seq    INTEGER NOT NULL,
    PRIMARY KEY (conversation, seq, entry_seq)
) STRICT, WITHOUT ROWID;

-- Digests of the writes that made entries which were blanked since, under the store's key, so that a repetition of one is
-- still recognised.
CREATE TABLE erased_entries (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq          INTEGER NOT NULL,
    digest       TEXT    NOT NULL,
    PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO properties (name, value) VALUES ('digest_key', lower(hex(randomblob(32))));

-- Clients name messages by their ids.
CREATE INDEX entries_by_id ON entries (message_id);

-- What is done to messages: edits, deletions, reactions, pins, and what a message has besides its content. A message that
-- nothing was done to, and that answers and mentions nobody, has a row in none of these tables.
--
-- An edit, a deletion, a reaction and a pin are entries of their own: their kind is in "other_entries", their content is a
-- record (usecases/record.rs). These tables hold what follows from them, and change in the transactions that append them,
-- under the lock of the conversation's row.
--
-- Nodes of the version before work beside it. They show nothing of these entries: of an edited message what was sent, of a
-- deleted one an empty text, of an answer its text alone. They count deleted messages as unread until those are read, and
-- answer a repeated send of a deleted message with a conflict.
--
-- PostgreSQL overwrites what was blanked when it vacuums the table, and its log has it for as long as the log is kept.

-- What a message has besides its content: which one it answers, and who is mentioned. Goes with its deletion.
CREATE TABLE message_extras (
    conversation BIGINT NOT NULL REFERENCES conversations (id),
    seq          BIGINT NOT NULL,
    -- JSON: see usecases/record.rs.
    record       TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation, seq)
);

-- What became of a message that was edited, deleted or pinned.
CREATE TABLE message_changes (
    conversation BIGINT NOT NULL REFERENCES conversations (id),
    seq          BIGINT NOT NULL,
    -- Of the last edit, escaped as entries.content; the content of the entry while NULL.
    content      TEXT   COLLATE "C",
    -- Of the last edit: a JSON array of user ids.
    mentions     TEXT   COLLATE "C",
    -- The entries that did it, and when each was made.
    content_seq  BIGINT,
    edited_at    BIGINT,
    deleted_seq  BIGINT,
    deleted_at   BIGINT,
    pinned_seq   BIGINT,
    pinned_at    BIGINT,
    PRIMARY KEY (conversation, seq)
);

-- Counts those past a read mark.
CREATE INDEX deleted_messages ON message_changes (conversation, seq) WHERE deleted_seq IS NOT NULL;
CREATE INDEX pinned_messages ON message_changes (conversation, seq) WHERE pinned_seq IS NOT NULL;

-- The reactions that were not taken back.
CREATE TABLE reactions (
    conversation BIGINT NOT NULL REFERENCES conversations (id),
    seq          BIGINT NOT NULL,
    emoji        TEXT   COLLATE "C" NOT NULL,
    person       BIGINT NOT NULL REFERENCES people (id),
    -- The entry that added it.
    entry_seq    BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq, emoji, person)
);

-- The entries that edited a message, which its deletion blanks.
CREATE TABLE message_edits (
    conversation BIGINT NOT NULL REFERENCES conversations (id),
    seq          BIGINT NOT NULL,
    entry_seq    BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq, entry_seq)
);

-- Digests of the writes that made entries which were blanked since, under the store's key, so that a repetition of one is
-- still recognised.
CREATE TABLE erased_entries (
    conversation BIGINT NOT NULL REFERENCES conversations (id),
    seq          BIGINT NOT NULL,
    digest       TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation, seq)
);

INSERT INTO properties (name, value)
    VALUES ('digest_key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''));

-- Clients name messages by their ids. Messages are not written while it is built: some two seconds for a million entries.
CREATE INDEX entries_by_id ON entries (message_id);

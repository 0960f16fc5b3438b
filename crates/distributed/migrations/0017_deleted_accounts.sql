-- Deleted accounts (docs/decisions/0064). The profile of one has no name and the source 3.
--
-- Nodes of the version before work beside it. They show an empty name, and accept messages to a deleted account.

-- What is left to do for each: a row goes when nothing is.
CREATE TABLE account_deletions (
    person          BIGINT   PRIMARY KEY REFERENCES people (id),
    -- Whether what the user wrote is erased too.
    erases_messages SMALLINT NOT NULL,
    -- The entries up to this one, by entries.id, are erased.
    position        BIGINT   NOT NULL DEFAULT 0,
    -- A node works at it until then.
    claimed_until   BIGINT   NOT NULL DEFAULT 0,
    created_at      BIGINT   NOT NULL
);

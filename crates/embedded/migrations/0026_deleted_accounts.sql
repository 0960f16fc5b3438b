-- Deleted accounts (docs/decisions/0064). The profile of one has no name and the source 3.

-- What is left to do for each: a row goes when nothing is.
CREATE TABLE account_deletions (
    person          INTEGER PRIMARY KEY REFERENCES people (id),
    -- Whether what the user wrote is erased too.
    erases_messages INTEGER NOT NULL,
    -- The entries up to this one, by entries.id, are erased.
    position        INTEGER NOT NULL DEFAULT 0,
    -- A process works at it until then.
    claimed_until   INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL
) STRICT;

-- What members have set for their conversations. A member who has set nothing has no row.

CREATE TABLE member_settings (
    conversation INTEGER NOT NULL,
    person       INTEGER NOT NULL,
    -- In milliseconds as all times.
    muted_until  INTEGER,
    archived     INTEGER NOT NULL DEFAULT 0,
    pinned       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation, person),
    -- They go with the membership.
    FOREIGN KEY (conversation, person) REFERENCES members (conversation, person) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Where a new message takes the conversation out of an archive.
CREATE INDEX archived_conversations ON member_settings (conversation) WHERE archived = 1;

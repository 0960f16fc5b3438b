-- What members have set for their conversations. A member who has set nothing has no row.
--
-- Nodes of the version before work beside it. What is sent through them takes no conversation out of an archive.

CREATE TABLE member_settings (
    conversation BIGINT   NOT NULL,
    person       BIGINT   NOT NULL,
    -- In milliseconds as all times.
    muted_until  BIGINT,
    archived     SMALLINT NOT NULL DEFAULT 0,
    pinned       SMALLINT NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation, person),
    -- They go with the membership.
    FOREIGN KEY (conversation, person) REFERENCES members (conversation, person) ON DELETE CASCADE
);

CREATE INDEX archived_conversations ON member_settings (conversation) WHERE archived = 1;

-- Whether a member may have archived it: an append looks for these members where it is set. Both are changed under the
-- lock of the conversation's row.
ALTER TABLE conversations ADD COLUMN has_archived BOOLEAN NOT NULL DEFAULT false;

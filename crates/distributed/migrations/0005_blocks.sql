-- Who has blocked whom.
--
-- Nodes of the version before work beside it, and accept what a block forbids.

CREATE TABLE blocks (
    person     BIGINT NOT NULL REFERENCES people (id),
    blocked    BIGINT NOT NULL REFERENCES people (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (person, blocked)
);

CREATE INDEX blocks_by_blocked ON blocks (blocked, person);

-- Whether the person may have blocked somebody or be blocked: an append looks for blocks only where its sender's is set.
-- It is set with the first block, in the same transaction, and stays.
ALTER TABLE people ADD COLUMN has_blocks BOOLEAN NOT NULL DEFAULT false;

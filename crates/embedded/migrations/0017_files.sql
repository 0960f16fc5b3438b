-- Files that members upload: what is known of each. The bytes are elsewhere, under the same ids.

CREATE TABLE files (
    id           TEXT    PRIMARY KEY,
    owner        INTEGER NOT NULL REFERENCES people (id),
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    name         TEXT    NOT NULL,
    -- What the owner says until the bytes are all there; then what was found.
    type         TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    -- How many bytes are on the disk.
    received     INTEGER NOT NULL DEFAULT 0,
    -- 0 uploading, 1 processing, 2 ready, 3 failed, 4 blocked, 5 deleted, 6 deleted and its bytes too.
    state        INTEGER NOT NULL DEFAULT 0,
    -- Of an image.
    width        INTEGER,
    height       INTEGER,
    thumbnail    INTEGER NOT NULL DEFAULT 0,
    -- The message that has it.
    seq          INTEGER,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
) STRICT;

-- What a user began in the last day.
CREATE INDEX files_of_owners ON files (owner, created_at);
CREATE INDEX files_of_messages ON files (conversation, seq) WHERE seq IS NOT NULL;
-- For the sweep.
CREATE INDEX unsent_files ON files (changed_at) WHERE seq IS NULL AND state < 5;
CREATE INDEX deleted_files ON files (state, created_at) WHERE state >= 5;

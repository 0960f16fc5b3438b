-- Files that members upload: what is known of each. The bytes are elsewhere, under the same ids.
--
-- Nodes of the version before work beside it. Of a message with files they show the text; where they delete one, its files
-- stay: update all nodes before files are used.

CREATE TABLE files (
    id           TEXT     COLLATE "C" PRIMARY KEY,
    owner        BIGINT   NOT NULL REFERENCES people (id),
    conversation BIGINT   NOT NULL REFERENCES conversations (id),
    -- Escaped as entries.content.
    name         TEXT     COLLATE "C" NOT NULL,
    -- What the owner says until the bytes are all there; then what was found.
    type         TEXT     COLLATE "C" NOT NULL,
    size         BIGINT   NOT NULL,
    -- How many bytes are on the disk.
    received     BIGINT   NOT NULL DEFAULT 0,
    -- 0 uploading, 1 processing, 2 ready, 3 failed, 4 blocked, 5 deleted, 6 deleted and its bytes too.
    state        SMALLINT NOT NULL DEFAULT 0,
    -- Of an image.
    width        BIGINT,
    height       BIGINT,
    thumbnail    SMALLINT NOT NULL DEFAULT 0,
    -- The message that has it.
    seq          BIGINT,
    created_at   BIGINT   NOT NULL,
    changed_at   BIGINT   NOT NULL
);

-- What a user began in the last day.
CREATE INDEX files_of_owners ON files (owner, created_at);
CREATE INDEX files_of_messages ON files (conversation, seq) WHERE seq IS NOT NULL;
-- For the sweep.
CREATE INDEX unsent_files ON files (changed_at) WHERE seq IS NULL AND state < 5;
CREATE INDEX deleted_files ON files (state, created_at) WHERE state >= 5;

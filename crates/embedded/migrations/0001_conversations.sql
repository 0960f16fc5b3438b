-- People, conversations and their logs. Rows refer to each other by small integers; the ids of the outside world are
-- kept once each.

CREATE TABLE people (
    id           INTEGER PRIMARY KEY,
    user_id      TEXT    NOT NULL UNIQUE,
    user_folded  TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    name_folded  TEXT    NOT NULL,
    avatar_url   TEXT,
    -- Who wrote the profile: 0 nobody, 1 the user or a token, 2 the host application.
    source       INTEGER NOT NULL,
    -- The manual status: 0 online, 1 away, 2 busy, 3 invisible.
    status       INTEGER NOT NULL DEFAULT 0,
    status_text  TEXT,
    status_until INTEGER,
    last_seen    INTEGER,
    created_at   INTEGER NOT NULL
) STRICT;

-- The order of the directory, with all that a search looks at.
CREATE INDEX people_by_name ON people (name_folded, user_id, user_folded);

CREATE TABLE conversations (
    id              INTEGER PRIMARY KEY,
    conversation_id TEXT    NOT NULL UNIQUE,
    -- Set for the one conversation of two people.
    direct_key      TEXT    UNIQUE,
    head_seq        INTEGER NOT NULL DEFAULT 0,
    -- When the newest entry was made, or the conversation if it has none.
    last_at         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    conversation  INTEGER NOT NULL REFERENCES conversations (id),
    person        INTEGER NOT NULL REFERENCES people (id),
    read_seq      INTEGER NOT NULL DEFAULT 0,
    delivered_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation, person)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_person ON members (person, conversation);

-- In the order of arrival: a batch that touches many conversations still writes neighbouring pages.
CREATE TABLE entries (
    id           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq          INTEGER NOT NULL,
    message_id   TEXT    NOT NULL,
    sender       INTEGER NOT NULL REFERENCES people (id),
    content      TEXT    NOT NULL,
    -- 'c' and the client's message id, or 't', the temporary id and the content's digest.
    dedupe_key   TEXT,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX entries_by_seq ON entries (conversation, seq);
-- The key first: keys that grow with time (UUIDv7, `temp-` and a millisecond) then touch the end of the index only,
-- where random ones would dirty a page each. It halves what an append costs.
CREATE UNIQUE INDEX entries_by_key ON entries (dedupe_key, conversation, sender) WHERE dedupe_key IS NOT NULL;

-- Numbers that outlive a restart.
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

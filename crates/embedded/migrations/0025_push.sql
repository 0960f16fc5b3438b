-- Web Push (docs/decisions/0060): subscriptions of browsers, and which messages each is to be sent. Texts are not kept here.

-- The keys by which push services know this server. The newest is for new subscriptions; each subscription keeps its own.
CREATE TABLE push_keys (
    id          INTEGER PRIMARY KEY,
    public_key  TEXT    NOT NULL UNIQUE,
    private_key TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE push_subscriptions (
    id         INTEGER PRIMARY KEY,
    person     INTEGER NOT NULL REFERENCES people (id),
    -- With AUTH=local: the session that it ends with, whatever ends that.
    session    TEXT    REFERENCES sessions (digest) ON DELETE CASCADE,
    endpoint   TEXT    NOT NULL UNIQUE,
    p256dh     TEXT    NOT NULL,
    auth       TEXT    NOT NULL,
    -- Whether what is sent has texts and names.
    content    INTEGER NOT NULL,
    push_key   INTEGER NOT NULL REFERENCES push_keys (id),
    created_at INTEGER NOT NULL,
    -- When the browser said last that it has it.
    renewed_at INTEGER NOT NULL,
    -- How often in a row sending failed, and when it is tried again.
    failures   INTEGER NOT NULL DEFAULT 0,
    retry_at   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX push_subscriptions_by_person ON push_subscriptions (person, renewed_at);
CREATE INDEX push_subscriptions_by_session ON push_subscriptions (session) WHERE session IS NOT NULL;

-- Messages to send are among the entries from from_seq to to_seq. Times are the database's own.
CREATE TABLE push_queue (
    subscription INTEGER NOT NULL REFERENCES push_subscriptions (id) ON DELETE CASCADE,
    conversation INTEGER NOT NULL,
    from_seq     INTEGER NOT NULL,
    to_seq       INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    -- Grows with each claim.
    claim        INTEGER NOT NULL DEFAULT 0,
    -- Whether due_at is the end of a claim.
    is_claimed   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription, conversation)
) STRICT, WITHOUT ROWID;

CREATE INDEX push_queue_by_time ON push_queue (due_at);

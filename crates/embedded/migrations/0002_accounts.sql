-- Local accounts and their sessions.

CREATE TABLE accounts (
    -- Case left aside, so that a name is taken in every spelling.
    name_folded   TEXT    PRIMARY KEY,
    username      TEXT    NOT NULL,
    person        INTEGER NOT NULL UNIQUE REFERENCES people (id),
    password_hash TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    digest     TEXT    PRIMARY KEY,
    person     INTEGER NOT NULL REFERENCES people (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_end ON sessions (expires_at);

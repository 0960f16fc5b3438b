-- Who has blocked whom.

CREATE TABLE blocks (
    person     INTEGER NOT NULL REFERENCES people (id),
    blocked    INTEGER NOT NULL REFERENCES people (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (person, blocked)
) STRICT, WITHOUT ROWID;

CREATE INDEX blocks_by_blocked ON blocks (blocked, person);

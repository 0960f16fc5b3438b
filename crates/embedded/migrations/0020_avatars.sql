-- Pictures of accounts and of groups. The bytes are with the files, and the profile or the group says which one it has.

CREATE TABLE avatars (
    id           TEXT    PRIMARY KEY,
    person       INTEGER REFERENCES people (id),
    conversation INTEGER REFERENCES conversations (id),
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

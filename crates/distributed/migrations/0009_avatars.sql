-- Pictures of accounts and of groups. The bytes are with the files, and the profile or the group says which one it has.

CREATE TABLE avatars (
    id           TEXT   COLLATE "C" PRIMARY KEY,
    person       BIGINT REFERENCES people (id),
    conversation BIGINT REFERENCES conversations (id),
    created_at   BIGINT NOT NULL
);

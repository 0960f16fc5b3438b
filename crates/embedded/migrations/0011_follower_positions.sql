-- How far each named follower has handled the entries, in the order of their commits: entries.id, which the one writer
-- assigns in that order.

CREATE TABLE follower_positions (
    name     TEXT    PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

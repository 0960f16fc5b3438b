-- What is known of the store as a whole. Its generation tells clients that it is the store they know: another one is made
-- whenever it went back in time.

CREATE TABLE properties (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO properties (name, value) VALUES ('generation', lower(hex(randomblob(8))));

-- What the release with schema 7 wrote: a dump of its database after a few conversations, messages and read marks.
-- The pragmas are what a dump leaves out.
PRAGMA foreign_keys = OFF;
PRAGMA application_id = 1281453424;
PRAGMA user_version = 7;
BEGIN TRANSACTION;
CREATE TABLE account_networks (
    person  INTEGER NOT NULL REFERENCES people (id),
    -- A /24 of IPv4 or a /64 of IPv6, by its first address.
    network TEXT    NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (person, network)
) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    -- Case left aside, so that a name is taken in every spelling.
    name_folded   TEXT    PRIMARY KEY,
    username      TEXT    NOT NULL,
    person        INTEGER NOT NULL UNIQUE REFERENCES people (id),
    password_hash TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
, name_search TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
CREATE TABLE conversations (
    id              INTEGER PRIMARY KEY,
    conversation_id TEXT    NOT NULL UNIQUE,
    -- Set for the one conversation of two people.
    direct_key      TEXT    UNIQUE,
    head_seq        INTEGER NOT NULL DEFAULT 0,
    -- When the newest entry was made, or the conversation if it has none.
    last_at         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
, position INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "conversations" VALUES(1,'7','1:1:2',3,1795944816493,1795944816268,3);
INSERT INTO "conversations" VALUES(2,'8',NULL,2,1795944816572,1795944816309,5);
INSERT INTO "conversations" VALUES(3,'9','1:2:3',0,1795944816338,1795944816338,0);
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "counters" VALUES('changes',1);
INSERT INTO "counters" VALUES('epoch',1);
INSERT INTO "counters" VALUES('presence',0);
INSERT INTO "counters" VALUES('text_keys',1);
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
INSERT INTO "entries" VALUES(1,1,1,'01a226a7-1f15-77ea-a963-75ff6aa8ca56',1,'message 1','cid-1',1795944816405);
INSERT INTO "entries" VALUES(2,1,2,'01a226a7-1f41-73a6-aab5-968779b28312',1,'message 2','cid-2',1795944816449);
INSERT INTO "entries" VALUES(3,1,3,'01a226a7-1f6d-745a-a3fc-b17c35937dc2',1,'message 3','cid-3',1795944816493);
INSERT INTO "entries" VALUES(4,2,1,'01a226a7-1fab-75e6-80da-ee127afd9e33',3,'to all','ttemp-1:UAJFp3zayurjkYY7MKF86kgEpThA1I4dekpkNsRwzj0',1795944816555);
INSERT INTO "entries" VALUES(5,2,2,'01a226a7-1fbc-7043-b0f5-63e4675dc67b',2,'an answer','cid-4',1795944816572);
CREATE TABLE members (
    conversation  INTEGER NOT NULL REFERENCES conversations (id),
    person        INTEGER NOT NULL REFERENCES people (id),
    read_seq      INTEGER NOT NULL DEFAULT 0,
    delivered_seq INTEGER NOT NULL DEFAULT 0, told_read_seq INTEGER NOT NULL DEFAULT 0, told_delivered_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation, person)
) STRICT, WITHOUT ROWID;
INSERT INTO "members" VALUES(1,1,3,3,3,3);
INSERT INTO "members" VALUES(1,2,1,1,1,1);
INSERT INTO "members" VALUES(2,1,0,0,0,0);
INSERT INTO "members" VALUES(2,2,2,2,2,2);
INSERT INTO "members" VALUES(2,3,1,1,1,1);
INSERT INTO "members" VALUES(3,2,0,0,0,0);
INSERT INTO "members" VALUES(3,3,0,0,0,0);
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
, claims_at INTEGER) STRICT;
INSERT INTO "people" VALUES(1,'1','1','Zoë','zoe',NULL,2,0,NULL,NULL,NULL,1795944816268,NULL);
INSERT INTO "people" VALUES(2,'2','2','2','2',NULL,0,0,NULL,NULL,NULL,1795944816268,NULL);
INSERT INTO "people" VALUES(3,'3','3','3','3',NULL,0,0,NULL,NULL,NULL,1795944816309,NULL);
CREATE TABLE properties (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "properties" VALUES('generation','410c49c75be359ff');
CREATE TABLE sessions (
    digest     TEXT    PRIMARY KEY,
    person     INTEGER NOT NULL REFERENCES people (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX people_by_name ON people (name_folded, user_id, user_folded);
CREATE INDEX members_by_person ON members (person, conversation);
CREATE UNIQUE INDEX entries_by_seq ON entries (conversation, seq);
CREATE UNIQUE INDEX entries_by_key ON entries (dedupe_key, conversation, sender) WHERE dedupe_key IS NOT NULL;
CREATE INDEX sessions_by_end ON sessions (expires_at);
CREATE INDEX account_networks_by_age ON account_networks (last_at);
CREATE INDEX sessions_by_person ON sessions (person, created_at);
COMMIT;
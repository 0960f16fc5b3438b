-- Groups: what a conversation of more than two has besides its log and its members. A conversation with other than two
-- members is a group also without a row here, since nodes of the version before make none.
--
-- Such nodes work beside this one. They show whole logs to all members of a group, whatever its history, and entries
-- about members and details as hidden ones; and whom they add or remove, no entry tells.

CREATE TABLE conversation_groups (
    conversation BIGINT   PRIMARY KEY REFERENCES conversations (id),
    name         TEXT     COLLATE "C",
    avatar_url   TEXT     COLLATE "C",
    -- What members who join later see: 0 what follows the entry that added them, 1 all.
    history      SMALLINT NOT NULL,
    -- The entry that changed the name or the picture last; 0 if there is none.
    details_seq  BIGINT   NOT NULL DEFAULT 0,
    -- Who made it, and their own id for it; NULL where the host application did.
    maker        BIGINT   REFERENCES people (id),
    client_id    TEXT     COLLATE "C"
);

CREATE UNIQUE INDEX groups_by_client_id ON conversation_groups (maker, client_id) WHERE client_id IS NOT NULL;

-- Where the log begins for a member; 0 for the whole log.
ALTER TABLE members ADD COLUMN first_seq BIGINT NOT NULL DEFAULT 0;
-- The entries that added a member and that gave them their role; 0 if there is none.
ALTER TABLE members ADD COLUMN joined_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN role_seq BIGINT NOT NULL DEFAULT 0;

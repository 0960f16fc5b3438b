-- What a member is in a conversation: 0 a member, 1 an admin, 2 an owner.

ALTER TABLE members ADD COLUMN role INTEGER NOT NULL DEFAULT 0;

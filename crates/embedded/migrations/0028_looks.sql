-- What two user names look alike by (username_look, docs/decisions/0070). The start fills it in: see sqlite/keys.rs.
ALTER TABLE accounts ADD COLUMN name_look TEXT NOT NULL DEFAULT '';
-- Not unique: accounts that look alike may be there already.
CREATE INDEX accounts_by_look ON accounts (name_look);

-- What two user names look alike by (username_look, docs/decisions/0070). The start fills it in: see postgres/keys.rs.
--
-- Nodes of the version before work beside it; what they create looks like nobody until the keys are made anew.
ALTER TABLE accounts ADD COLUMN name_look TEXT COLLATE "C" NOT NULL DEFAULT '';
-- Not unique: accounts that look alike may be there already.
CREATE INDEX accounts_by_look ON accounts (name_look);

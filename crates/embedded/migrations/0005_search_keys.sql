-- What a search compares user names by, apart from what signing in compares them by. Both are filled at the start
-- (sqlite/keys.rs), since SQL cannot fold.

ALTER TABLE accounts ADD COLUMN name_search TEXT NOT NULL DEFAULT '';

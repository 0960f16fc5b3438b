-- The tokens of each message gain the ranges of entries that it is in, by which a search reads the newest first
-- (postgres/search_windows.rs). The index is made anew: its follower begins again.
TRUNCATE search_index;
UPDATE search_position SET position = 0;

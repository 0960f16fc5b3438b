-- The first users who reacted with an emoji: a page names them, and counts the others by the primary key.
CREATE INDEX reactions_in_order ON reactions (conversation, seq, emoji, entry_seq);

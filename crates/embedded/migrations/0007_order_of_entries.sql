-- Conversations are listed by what only grows: where their newest entry stands among all entries, and where there is none, the
-- newest entry of the time when the conversation was made. A clock that goes back changes nothing in that.

ALTER TABLE conversations ADD COLUMN position INTEGER NOT NULL DEFAULT 0;

UPDATE conversations SET position = (
    SELECT e.id FROM entries e WHERE e.conversation = conversations.id AND e.seq = conversations.head_seq
) WHERE head_seq > 0;

-- Those without entries keep their place between the others.
UPDATE conversations SET position = ranked.position FROM (
    SELECT id, max(position) OVER (ORDER BY last_at, conversation_id ROWS UNBOUNDED PRECEDING) AS position FROM conversations
) AS ranked WHERE ranked.id = conversations.id AND conversations.head_seq = 0;

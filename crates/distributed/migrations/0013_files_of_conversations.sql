-- Lists of the files of a conversation, by their kinds.
--
-- Nodes of the version before work beside it. Where they send a message with several files, the lists have these in any
-- order.

-- The place of a file among those of its message.
ALTER TABLE files ADD COLUMN position SMALLINT NOT NULL DEFAULT 0;

-- 1 pictures and videos, 2 audio, 3 others: FileKind in domain/src/file/kind.rs. Files are not written while it is built:
-- some two seconds for a million files.
CREATE INDEX sent_files ON files (
    conversation,
    (CASE substr(type, 1, 6) WHEN 'image/' THEN 1 WHEN 'video/' THEN 1 WHEN 'audio/' THEN 2 ELSE 3 END),
    seq DESC,
    position,
    id
) WHERE seq IS NOT NULL AND state = 2;

-- Lists of the files of a conversation, by their kinds.

-- The place of a file among those of its message.
ALTER TABLE files ADD COLUMN position INTEGER NOT NULL DEFAULT 0;

-- 1 pictures and videos, 2 audio, 3 others: FileKind in domain/src/file/kind.rs.
CREATE INDEX sent_files ON files (
    conversation,
    (CASE substr(type, 1, 6) WHEN 'image/' THEN 1 WHEN 'video/' THEN 1 WHEN 'audio/' THEN 2 ELSE 3 END),
    seq DESC,
    position,
    id
) WHERE seq IS NOT NULL AND state = 2;

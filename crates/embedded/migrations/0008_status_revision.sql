-- Grows with each status that is written, so that the presence store can ignore an older one that reaches it late.

ALTER TABLE people ADD COLUMN status_revision INTEGER NOT NULL DEFAULT 0;

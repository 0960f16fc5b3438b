-- What has to be told of a deleted account (docs/decisions/0066).
--
-- Nodes of the version before work beside it: what they finish, they have told.

-- Whether all nodes have been told that it is deleted.
ALTER TABLE account_deletions ADD COLUMN announced SMALLINT NOT NULL DEFAULT 0;
-- The digests of the sessions that the deletion ended, one a line, until then.
ALTER TABLE account_deletions ADD COLUMN ended TEXT NOT NULL DEFAULT '';

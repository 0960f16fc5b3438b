-- Tokens of the host application that were issued to the user at this time or before are refused (docs/decisions/0068).
--
-- Nodes of the version before work beside it, and accept such tokens.
ALTER TABLE people ADD COLUMN tokens_ended_at BIGINT;

-- Tokens of the host application that were issued to the user at this time or before are refused (docs/decisions/0068).
ALTER TABLE people ADD COLUMN tokens_ended_at INTEGER;

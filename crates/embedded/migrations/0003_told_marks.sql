-- What others are told of a member's marks, apart from what is true: the marks of someone who is invisible move for
-- their own devices only. What was there before had been told.

ALTER TABLE members ADD COLUMN told_read_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN told_delivered_seq INTEGER NOT NULL DEFAULT 0;
UPDATE members SET told_read_seq = read_seq, told_delivered_seq = delivered_seq;

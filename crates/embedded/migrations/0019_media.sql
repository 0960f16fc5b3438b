-- What is found in pictures, sound and video besides.

-- What to show until a picture is loaded (https://blurha.sh).
ALTER TABLE files ADD COLUMN blur_hash TEXT;
-- In milliseconds.
ALTER TABLE files ADD COLUMN duration INTEGER;

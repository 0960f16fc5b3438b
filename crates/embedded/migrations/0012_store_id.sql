-- Names the store. It stays the same over restores, which make another generation.
INSERT INTO properties (name, value) VALUES ('store_id', lower(hex(randomblob(16))));

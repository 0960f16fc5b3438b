CREATE TABLE users (id text PRIMARY KEY, name text NOT NULL, avatar_url text);
CREATE TABLE conversations (id bigserial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE participants (
  conversation_id bigint NOT NULL REFERENCES conversations,
  user_id text NOT NULL,
  PRIMARY KEY (conversation_id, user_id)
);
CREATE TABLE messages (
  id bigserial PRIMARY KEY,
  conversation_id bigint NOT NULL REFERENCES conversations,
  sender_id text NOT NULL,
  content text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON messages (conversation_id, id);
INSERT INTO users (id, name)
  SELECT 'user' || lpad(number::text, 6, '0'), 'name' || lpad(number::text, 6, '0') FROM generate_series(0, 4999) number;

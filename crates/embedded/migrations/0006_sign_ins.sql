-- The networks that accounts were signed in from, for 30 days: guessing from elsewhere does not keep their owners out. As they are:
-- there are so few that a digest of one would hide nothing.

CREATE TABLE account_networks (
    person  INTEGER NOT NULL REFERENCES people (id),
    -- A /24 of IPv4 or a /64 of IPv6, by its first address.
    network TEXT    NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (person, network)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_networks_by_age ON account_networks (last_at);

-- The oldest session of an account ends where it has too many, and all of them with its password.
CREATE INDEX sessions_by_person ON sessions (person, created_at);

-- When the token was issued whose claims the profile has: an older one, or one of the same second, does not replace them.
ALTER TABLE people ADD COLUMN claims_at INTEGER;

//! The statements of the directory.

use super::super::connection::Sql;
use tokio_postgres::types::Type;

/// The columns that `stored_person` and `profile` read.
macro_rules! person_columns {
    () => {
        "user_id, name, avatar_url, status, status_text, status_until, last_seen, source, claims_at, status_revision, id, hides_last_seen, hides_reads"
    };
}

pub(super) const FIND: Sql = Sql {
    text: concat!(
        "SELECT ",
        person_columns!(),
        " FROM people WHERE user_id = $1"
    ),
    types: &[Type::TEXT],
};

/// Locks the person; foreign keys may refer to them meanwhile.
pub(super) const LOCK: Sql = Sql {
    text: concat!(
        "SELECT ",
        person_columns!(),
        " FROM people WHERE user_id = $1 FOR NO KEY UPDATE"
    ),
    types: &[Type::TEXT],
};

pub(super) const KNOWN: Sql = Sql {
    text: "SELECT user_id FROM people WHERE user_id = ANY($1) AND source <> 3",
    types: &[Type::TEXT_ARRAY],
};

const PROFILE_TYPES: &[Type] = &[
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT2,
    Type::INT8,
    Type::INT8,
];

/// No row where another transaction made the person meanwhile.
pub(super) const INSERT: Sql = Sql {
    text: "INSERT INTO people (user_id, user_folded, name, name_folded, avatar_url, source, claims_at, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (user_id) DO NOTHING RETURNING id",
    types: PROFILE_TYPES,
};

pub(super) const UPSERT: Sql = Sql {
    text: "INSERT INTO people (user_id, user_folded, name, name_folded, avatar_url, source, claims_at, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, name_folded = excluded.name_folded,
               avatar_url = excluded.avatar_url, source = excluded.source, claims_at = excluded.claims_at
           RETURNING id",
    types: PROFILE_TYPES,
};

pub(super) const SET_STATUS: Sql = Sql {
    text: "UPDATE people SET status = $2, status_text = $3, status_until = $4, status_revision = $5
           WHERE id = $1 AND source <> 3",
    types: &[Type::INT8, Type::INT2, Type::TEXT, Type::INT8, Type::INT8],
};

pub(super) const PRIVACY: Sql = Sql {
    text: "SELECT user_id, hides_last_seen, hides_reads, status_revision FROM people WHERE user_id = ANY($1)",
    types: &[Type::TEXT_ARRAY],
};

pub(super) const SET_PRIVACY: Sql = Sql {
    text: "UPDATE people SET hides_last_seen = $2, hides_reads = $3, status_revision = $4,
               last_seen = CASE WHEN $2 = 0 THEN last_seen END WHERE id = $1 AND source <> 3",
    types: &[Type::INT8, Type::INT2, Type::INT2, Type::INT8],
};

pub(super) const LAST_SEEN: Sql = Sql {
    text: "SELECT user_id, last_seen FROM people WHERE user_id = ANY($1)",
    types: &[Type::TEXT_ARRAY],
};

/// In the order of ids, so that two nodes do not wait for each other.
pub(super) const LOCK_LAST_SEEN: Sql = Sql {
    text: "SELECT user_id, last_seen, id FROM people WHERE user_id = ANY($1) AND source <> 3 AND hides_last_seen = 0
           ORDER BY id FOR NO KEY UPDATE",
    types: &[Type::TEXT_ARRAY],
};

pub(super) const SET_LAST_SEEN: Sql = Sql {
    text: "UPDATE people p SET last_seen = u.last_seen FROM unnest($1::int8[], $2::int8[]) AS u (id, last_seen) WHERE p.id = u.id",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};

/// `strpos` and not `LIKE`, so that `%` and `_` stand for themselves. Accounts are also found by
/// their user name. Deleted ones are not found.
pub(super) const SEARCH: Sql = Sql {
    text: "SELECT user_id, name, avatar_url, name_folded FROM people
           WHERE (name_folded, user_id) > ($2, $3) AND source <> 3 AND ($1 = '' OR strpos(name_folded, $1) > 0 OR strpos(user_folded, $1) > 0
               OR EXISTS (SELECT 1 FROM accounts a WHERE a.person = people.id AND strpos(a.name_search, $1) > 0))
           ORDER BY name_folded, user_id LIMIT $4",
    types: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8],
};

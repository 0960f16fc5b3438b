//! Values as the columns hold them, and the row of a user.

use lamplight_domain::identity::UserId;
use lamplight_domain::permission::Role;
use lamplight_domain::presence::ManualStatus;
use rusqlite::{Connection, OptionalExtension as _};

/// Now by the database's clock, in milliseconds.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}
pub(super) use now;

/// A role that a newer version wrote gives no rights beyond a member's.
pub(super) fn role_from_db(role: i64) -> Role {
    match role {
        1 => Role::Admin,
        2 => Role::Owner,
        _ => Role::Member,
    }
}

/// SQLite's integers are signed; no log grows past them.
pub(super) fn to_db(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(super) fn from_db(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}

pub(super) fn manual_to_db(status: ManualStatus) -> i64 {
    match status {
        ManualStatus::Online => 0,
        ManualStatus::Away => 1,
        ManualStatus::Busy => 2,
        ManualStatus::Invisible => 3,
    }
}

/// A user's row in `people`.
pub(super) fn person_row(conn: &Connection, user: &UserId) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT id FROM people WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| row.get(0))
        .optional()
}

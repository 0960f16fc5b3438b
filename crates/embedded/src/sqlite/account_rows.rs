//! Statements that several account commands share.

use lamplight_domain::time::Timestamp;
use rusqlite::{Connection, params};

pub(super) fn has_password(conn: &Connection, person: i64, hash: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM accounts WHERE person = ?1 AND password_hash = ?2")?
        .exists(params![person, hash])
}

/// Ends the sessions of a user, but not `except` nor sessions opened after `until`; returns their
/// digests.
pub(super) fn end_all(
    conn: &Connection,
    person: i64,
    except: Option<&str>,
    until: Option<Timestamp>,
) -> rusqlite::Result<Vec<String>> {
    let until = until.map_or(i64::MAX, |until| until.0);
    conn.prepare_cached(
        "DELETE FROM sessions WHERE person = ?1 AND digest IS NOT ?2 AND created_at <= ?3 RETURNING digest",
    )?
    .query_map(params![person, except, until], |row| row.get(0))?
    .collect()
}

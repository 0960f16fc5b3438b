//! Marks a database that is being filled from another store.

use rusqlite::{Connection, OptionalExtension as _};

/// The property of a store that is being filled.
pub(super) const SOURCE: &str = "transfer_source";

/// The store that a database is being filled from.
pub(super) fn source(conn: &Connection) -> rusqlite::Result<Option<String>> {
    conn.query_row(
        "SELECT value FROM properties WHERE name = ?1",
        [SOURCE],
        |row| row.get(0),
    )
    .optional()
}

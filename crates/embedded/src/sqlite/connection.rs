//! Connections to the database and their settings.

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// How long to wait for another program's lock (a backup, a shell); well below the deadline of a
/// send.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// Opens a connection with the settings that all connections share.
pub(crate) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection stays on one thread, so SQLite's own mutexes would only cost.
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // Plan each statement once, independently of bound values. Otherwise SQLite plans joins and partial
    // indexes again for each new value, which cost a quarter of an append.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Settings of the one connection that writes. `pages` gets the length of the write-ahead log.
pub(super) fn prepare_writer(
    conn: &mut Connection,
    max_pages: Option<u32>,
    pages: &Arc<AtomicI32>,
) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    // FULL: a commit returns when it is on the disk, so an acknowledged message is durable.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // In KiB. Appends use the ends of a few trees for each busy conversation.
    conn.pragma_update(None, "cache_size", -8_192)?;
    // Shrinks the write-ahead log after a burst.
    conn.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    if let Some(pages) = max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // Overwrites deleted content, so that no page keeps the text of a deleted message.
    conn.pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))?;
    // Replaces SQLite's automatic checkpoint within a commit: ours runs after the answers and is
    // recorded.
    let pages = Arc::clone(pages);
    conn.wal_hook(Some(move |_: &mut Wal, count: i32| {
        pages.store(count, Ordering::Relaxed);
        Ok(())
    }))
}

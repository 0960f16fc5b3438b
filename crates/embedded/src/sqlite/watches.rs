//! The leases of announced uploads, whose end must be announced even if their process dies, by the
//! clock of the database.

use super::codec::{now, to_db};
use super::files::stored_file;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::FileId;
use rusqlite::{Connection, Row, params};
use std::time::Duration;

/// After a clock went back, nothing waits longer than any lease.
const LONGEST: i64 = 15 * 60 * 1_000;

/// Those whose lease is over. After a clock went back, all that would wait too long are.
pub(super) const SILENT: &str = concat!(
    "SELECT id FROM files INDEXED BY watched_uploads
     WHERE silent_at IS NOT NULL AND NOT (silent_at > ",
    now!(),
    " AND silent_at <= ",
    now!(),
    " + ?1) ORDER BY silent_at LIMIT ?2"
);
const WATCH: &str = concat!(
    "UPDATE files SET silent_at = ",
    now!(),
    " + ?2 WHERE id = ?1 AND state = 0"
);

pub(crate) fn watch_uploads(
    conn: &Connection,
    ids: &[FileId],
    lease: Option<Duration>,
) -> rusqlite::Result<()> {
    let lease = lease.map(|lease| to_db(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)));
    let mut watch = conn.prepare_cached(WATCH)?;
    for id in ids {
        watch.execute(params![id.as_str(), lease])?;
    }
    Ok(())
}

pub(crate) fn lost_uploads(conn: &Connection, limit: usize) -> rusqlite::Result<Vec<StoredFile>> {
    let id = |row: &Row<'_>| Ok(FileId::trusted(row.get_ref(0)?.as_str()?));
    let silent: Vec<FileId> = conn
        .prepare_cached(SILENT)?
        .query_map(params![LONGEST, to_db(limit as u64)], id)?
        .collect::<rusqlite::Result<_>>()?;
    let mut lost = Vec::new();
    for id in silent {
        conn.prepare_cached("UPDATE files SET silent_at = NULL WHERE id = ?1")?
            .execute([id.as_str()])?;
        // The end of all other uploads was announced.
        let file = stored_file(conn, &id)?;
        lost.extend(file.filter(|file| file.state == FileState::Uploading));
    }
    Ok(lost)
}

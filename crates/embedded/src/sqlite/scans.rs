//! Files that wait for the scanner: a queue by time, by the clock of the database.

use super::codec::{from_db, now, to_db};
use super::files::stored_file;
use lamplight_domain::file::FileState;
use lamplight_domain::identity::FileId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::FileScan;
use rusqlite::{Connection, Row, params};
use std::time::Duration;

/// After a clock went back, nothing waits longer than the longest pause (and some).
const LONGEST: i64 = 15 * 60 * 1_000;

/// Those that are due. After a clock went back, all that would wait too long are.
pub(super) const DUE: &str = concat!(
    "SELECT id FROM files INDEXED BY files_to_scan
     WHERE scan_at IS NOT NULL AND state IN (1, 3, 4) AND NOT (scan_at > ",
    now!(),
    " AND scan_at <= ",
    now!(),
    " + ?1) ORDER BY scan_at LIMIT ?2"
);
const PUT_OFF: &str = concat!(
    "UPDATE files SET scan_at = ",
    now!(),
    " + ?2, scan_failures = scan_failures + ?3 WHERE id = ?1 AND scan_at IS NOT NULL"
);

fn millis(duration: Duration) -> i64 {
    to_db(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn put_off(conn: &Connection, id: &FileId, by: Duration, failures: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(PUT_OFF)?
        .execute(params![id.as_str(), millis(by), failures])
        .map(drop)
}

pub(crate) fn claim_scans(
    conn: &Connection,
    lease: Duration,
    limit: usize,
) -> rusqlite::Result<Vec<FileScan>> {
    let id = |row: &Row<'_>| Ok(FileId::trusted(row.get_ref(0)?.as_str()?));
    let due: Vec<FileId> = conn
        .prepare_cached(DUE)?
        .query_map(params![LONGEST, to_db(limit as u64)], id)?
        .collect::<rusqlite::Result<_>>()?;
    let mut claimed = Vec::with_capacity(due.len());
    for id in due {
        put_off(conn, &id, lease, 0)?;
        if let Some(file) = stored_file(conn, &id)? {
            let failures: i64 = conn
                .prepare_cached("SELECT scan_failures FROM files WHERE id = ?1")?
                .query_row([id.as_str()], |row| row.get(0))?;
            let failures = u32::try_from(from_db(failures)).unwrap_or(u32::MAX);
            claimed.push(FileScan { file, failures });
        }
    }
    Ok(claimed)
}

pub(crate) fn renew_scan(conn: &Connection, id: &FileId, lease: Duration) -> rusqlite::Result<()> {
    put_off(conn, id, lease, 0)
}

pub(crate) fn scan_later(conn: &Connection, id: &FileId, pause: Duration) -> rusqlite::Result<()> {
    put_off(conn, id, pause, 1)
}

pub(crate) fn scanned_file(
    conn: &Connection,
    id: &FileId,
    state: FileState,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = conn
        .prepare_cached(
            "UPDATE files SET state = ?2, changed_at = ?3, scan_at = CASE WHEN ?2 = 2 THEN NULL ELSE scan_at END
             WHERE id = ?1 AND state = 1",
        )?
        .execute(params![id.as_str(), state.number(), at.0])?;
    Ok(changed > 0)
}

pub(crate) fn scan_is_over(conn: &Connection, id: &FileId) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE files SET scan_at = NULL WHERE id = ?1 AND state <> 1")?
        .execute([id.as_str()])
        .map(drop)
}

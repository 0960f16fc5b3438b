//! Files that wait for the scanner: a queue by time, by the clock of the database, since the nodes'
//! clocks differ.

use super::codec::{from_db, now, to_db};
use super::connection::Sql;
use super::database::{Database, Repeat};
use super::error::Failure;
use super::files::{ATTACHMENT_COLUMNS, attachment_columns, change, stored};
use lamplight_domain::file::FileState;
use lamplight_domain::identity::FileId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{FileScan, StoreResult};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The time is read once: an index cannot be searched for what changes from row to row.
pub(super) const CLAIM: Sql = Sql {
    text: concat!(
        "UPDATE files f SET scan_at = ",
        now!(),
        " + $1 FROM people o, conversations c
         WHERE f.id IN (SELECT id FROM files WHERE scan_at <= (SELECT ",
        now!(),
        ") AND state IN (1, 3, 4) ORDER BY scan_at LIMIT $2 FOR UPDATE SKIP LOCKED)
             AND o.id = f.owner AND c.id = f.conversation
         RETURNING ",
        attachment_columns!(),
        ", o.user_id, c.conversation_id, f.received, f.state, f.seq, f.created_at, f.changed_at,
           f.generation, f.place, f.claimed, false, f.scan_failures"
    ),
    types: &[Type::INT8, Type::INT8],
};

const PUT_OFF: Sql = Sql {
    text: concat!(
        "UPDATE files SET scan_at = ",
        now!(),
        " + $2, scan_failures = scan_failures + $3 WHERE id = $1 AND scan_at IS NOT NULL"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

const SCANNED: Sql = Sql {
    text: "UPDATE files SET state = $2, changed_at = $3, scan_at = CASE WHEN $2 = 2 THEN NULL ELSE scan_at END
           WHERE id = $1 AND state = 1",
    types: &[Type::TEXT, Type::INT2, Type::INT8],
};

const OVER: Sql = Sql {
    text: "UPDATE files SET scan_at = NULL WHERE id = $1 AND state <> 1",
    types: &[Type::TEXT],
};

fn millis(duration: Duration) -> i64 {
    to_db(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) async fn claim_scans(
    database: &Database,
    lease: Duration,
    limit: usize,
) -> StoreResult<Vec<FileScan>> {
    let (lease, limit) = (&millis(lease), &to_db(limit as u64));
    // What a lost connection leaves in doubt is free again after the lease.
    let rows = database
        .transact(Repeat::Never, |connection| async move {
            connection.query(&CLAIM, &[lease, limit]).await
        })
        .await?;
    let scan = |row: &Row| {
        let failures: i64 = row.try_get(ATTACHMENT_COLUMNS + 11)?;
        Ok(FileScan {
            file: stored(row)?,
            failures: u32::try_from(from_db(failures)).unwrap_or(u32::MAX),
        })
    };
    let claimed: Result<Vec<FileScan>, tokio_postgres::Error> = rows.iter().map(scan).collect();
    Ok(claimed.map_err(Failure::from)?)
}

async fn put_off(database: &Database, id: &FileId, by: Duration, failures: i64) -> StoreResult<()> {
    change(database, &PUT_OFF, &[&id.as_str(), &millis(by), &failures])
        .await
        .map(drop)
}

pub(crate) async fn renew_scan(
    database: &Database,
    id: &FileId,
    lease: Duration,
) -> StoreResult<()> {
    put_off(database, id, lease, 0).await
}

pub(crate) async fn scan_later(
    database: &Database,
    id: &FileId,
    pause: Duration,
) -> StoreResult<()> {
    put_off(database, id, pause, 1).await
}

pub(crate) async fn scanned_file(
    database: &Database,
    id: &FileId,
    state: FileState,
    at: Timestamp,
) -> StoreResult<bool> {
    let changed = change(database, &SCANNED, &[&id.as_str(), &state.number(), &at.0]).await?;
    Ok(changed > 0)
}

pub(crate) async fn scan_is_over(database: &Database, id: &FileId) -> StoreResult<()> {
    change(database, &OVER, &[&id.as_str()]).await.map(drop)
}

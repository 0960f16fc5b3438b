//! The leases of announced uploads, whose end must be announced even if their node dies. They use
//! the clock of the database, since the nodes' clocks differ.

use super::codec::{now, to_db};
use super::connection::Sql;
use super::database::{Database, Repeat};
use super::error::Failure;
use super::files::{attachment_columns, stored};
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::StoreResult;
use std::time::Duration;
use tokio_postgres::types::Type;

/// Locks the rows in one order: two nodes may name the same uploads.
const WATCH: Sql = Sql {
    text: concat!(
        "UPDATE files SET silent_at = ",
        now!(),
        " + $2 WHERE id IN (SELECT id FROM files WHERE id = ANY ($1) AND state = 0 ORDER BY id FOR UPDATE)"
    ),
    types: &[Type::TEXT_ARRAY, Type::INT8],
};

/// The time is read once: an index cannot be searched for what changes from row to row.
pub(super) const LOST: Sql = Sql {
    text: concat!(
        "UPDATE files f SET silent_at = NULL FROM people o, conversations c
         WHERE f.id IN (SELECT id FROM files WHERE silent_at <= (SELECT ",
        now!(),
        ") ORDER BY silent_at LIMIT $1 FOR UPDATE SKIP LOCKED)
             AND o.id = f.owner AND c.id = f.conversation
         RETURNING ",
        attachment_columns!(),
        ", o.user_id, c.conversation_id, f.received, f.state, f.seq, f.created_at, f.changed_at,
           f.generation, f.place, f.claimed, false"
    ),
    types: &[Type::INT8],
};

pub(crate) async fn watch_uploads(
    database: &Database,
    ids: &[FileId],
    lease: Option<Duration>,
) -> StoreResult<()> {
    let ids: Vec<&str> = ids.iter().map(FileId::as_str).collect();
    let lease = lease.map(|lease| to_db(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)));
    let (ids, lease) = (&ids, &lease);
    database
        .transact(Repeat::Safe, |connection| async move {
            connection.execute(&WATCH, &[ids, lease]).await.map(drop)
        })
        .await
}

pub(crate) async fn lost_uploads(
    database: &Database,
    limit: usize,
) -> StoreResult<Vec<StoredFile>> {
    let limit = &to_db(limit as u64);
    let rows = database
        .transact(Repeat::Never, |connection| async move {
            connection.query(&LOST, &[limit]).await
        })
        .await?;
    let files: Result<Vec<StoredFile>, tokio_postgres::Error> = rows.iter().map(stored).collect();
    // The end of all other uploads was announced.
    let is_lost = |file: &StoredFile| file.state == FileState::Uploading;
    Ok(files
        .map_err(Failure::from)?
        .into_iter()
        .filter(is_lost)
        .collect())
}

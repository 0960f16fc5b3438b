//! Entries in the order of their ids, behind a fence: docs/decisions/0023.

use super::codec::{from_db, to_db};
use super::connection::Sql;
use super::database::{Database, Repeat};
use super::entries::{ENTRY_COLUMNS, entry, entry_columns, entry_joins};
use super::error::Failure;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{
    CommitPosition, CommittedEntry, CommittedSeqs, StoreError, StoreResult,
};
use lamplight_usecases::weight;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Pauses between two looks whether the transactions have ended that a fence waits for.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long a read waits for them.
const WAIT: Duration = Duration::from_secs(2);

/// Every transaction that can still commit a lower id got its number before this one: it locked a
/// conversation before it drew an id.
pub(super) const FENCE: Sql = Sql {
    text: "SELECT coalesce(max(id), 0), pg_current_xact_id()::text FROM entries",
    types: &[],
};

const HAS_PASSED: Sql = Sql {
    text: "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8",
    types: &[Type::TEXT],
};

/// Ends with the first entry that an answer has no room for, as pages of a log do.
pub(super) const READ: Sql = Sql {
    text: concat!(
        "SELECT ",
        entry_columns!(),
        ", e.id, c.conversation_id
           FROM (SELECT e.*, sum(octet_length(e.content)) OVER (ORDER BY e.id ROWS UNBOUNDED PRECEDING)
                   - octet_length(e.content) AS bytes_before
               FROM (SELECT * FROM entries WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) e) e
           JOIN conversations c ON c.id = e.conversation",
        entry_joins!(),
        "WHERE e.bytes_before <= 1000000 AND pg_snapshot_xmin(pg_current_snapshot()) >= $4::text::xid8 ORDER BY e.id"
    ),
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::TEXT],
};

/// Which entries there are. Their numbers follow each other in each conversation, as their ids do.
pub(super) const READ_SEQS: Sql = Sql {
    text: "SELECT c.conversation_id, e.first_seq, e.last_seq, e.last_id, e.last_at
           FROM (SELECT conversation, min(seq) AS first_seq, max(seq) AS last_seq, max(id) AS last_id, max(created_at) AS last_at
               FROM (SELECT id, conversation, seq, created_at FROM entries WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) e
               GROUP BY conversation) e
           JOIN conversations c ON c.id = e.conversation
           WHERE pg_snapshot_xmin(pg_current_snapshot()) >= $4::text::xid8",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::TEXT],
};

const POSITION: Sql = Sql {
    text: "SELECT position FROM follower_positions WHERE name = $1",
    types: &[Type::TEXT],
};

const CONFIRM: Sql = Sql {
    text: "INSERT INTO follower_positions AS f (name, position) VALUES ($1, $2)
           ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE excluded.position > f.position",
    types: &[Type::TEXT, Type::INT8],
};

const NEWEST: Sql = Sql {
    text: "SELECT coalesce(max(id), 0) FROM entries",
    types: &[],
};

/// The newest id at some moment, and the transaction that no longer matters once it is the oldest.
struct Fence {
    newest: i64,
    transaction: String,
}

async fn fence(database: &Database) -> StoreResult<Fence> {
    let row = one(database.row(&FENCE, &[]).await?)?;
    Ok(Fence {
        newest: row.try_get(0).map_err(Failure::from)?,
        transaction: row.try_get(1).map_err(Failure::from)?,
    })
}

fn one(row: Option<Row>) -> StoreResult<Row> {
    row.ok_or_else(|| StoreError::Internal("an aggregate has no row".into()))
}

pub(crate) async fn position(
    database: &Database,
    name: &str,
) -> StoreResult<Option<CommitPosition>> {
    let Some(row) = database.row(&POSITION, &[&name]).await? else {
        return Ok(None);
    };
    let position = row.try_get(0).map_err(Failure::from)?;
    Ok(Some(CommitPosition(from_db(position))))
}

/// The newest id that no lower one can follow any more.
pub(crate) async fn head(database: &Database) -> StoreResult<CommitPosition> {
    let fence = fence(database).await?;
    let began = Instant::now();
    let mut pause = PAUSE;
    loop {
        let row = one(database.row(&HAS_PASSED, &[&fence.transaction]).await?)?;
        if row.try_get(0).map_err(Failure::from)? {
            return Ok(CommitPosition(from_db(fence.newest)));
        }
        if began.elapsed() > WAIT {
            return Err(StoreError::Unavailable(
                "a transaction on the server has been open for long: the order of entries is not known yet".into(),
            ));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The entries behind a fence.
pub(crate) async fn read(
    database: &Database,
    after: CommitPosition,
    limit: usize,
) -> StoreResult<Vec<CommittedEntry>> {
    let rows = behind_fence(database, &READ, after, limit).await?;
    Ok(committed(&rows).map_err(Failure::from)?)
}

/// Which entries there are behind a fence.
pub(crate) async fn read_seqs(
    database: &Database,
    after: CommitPosition,
    limit: usize,
) -> StoreResult<Vec<CommittedSeqs>> {
    let rows = behind_fence(database, &READ_SEQS, after, limit).await?;
    let seqs = |row: &Row| {
        Ok(CommittedSeqs {
            conversation: ConversationId::trusted(row.try_get::<_, &str>(0)?),
            seqs: from_db(row.try_get(1)?)..=from_db(row.try_get(2)?),
            position: CommitPosition(from_db(row.try_get(3)?)),
            created_at: Timestamp(row.try_get(4)?),
        })
    };
    let page: Result<_, tokio_postgres::Error> = rows.iter().map(seqs).collect();
    Ok(page.map_err(Failure::from)?)
}

/// The rows of `read`, which takes what [`READ`] takes: of entries behind a fence. Waits a while for the
/// transactions that are open; after that, no entry is readable yet.
pub(super) async fn behind_fence(
    database: &Database,
    read: &Sql,
    after: CommitPosition,
    limit: usize,
) -> StoreResult<Vec<Row>> {
    let (after, limit) = (to_db(after.0), to_db(limit as u64));
    let fence = fence(database).await?;
    if fence.newest <= after {
        return Ok(Vec::new());
    }
    let began = Instant::now();
    let mut pause = PAUSE;
    loop {
        let rows = database
            .rows(read, &[&after, &fence.newest, &limit, &fence.transaction])
            .await?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        if began.elapsed() > WAIT {
            return Ok(Vec::new());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn committed(rows: &[Row]) -> Result<Vec<CommittedEntry>, tokio_postgres::Error> {
    let mut budget = ByteBudget::default();
    let mut committed = Vec::with_capacity(rows.len());
    for row in rows {
        let conversation = ConversationId::trusted(row.try_get::<_, &str>(ENTRY_COLUMNS + 1)?);
        let Some(entry) = entry(row, 0, &conversation)? else {
            continue;
        };
        if !budget.takes(weight::entry(&entry)) {
            break;
        }
        committed.push(CommittedEntry {
            position: CommitPosition(from_db(row.try_get(ENTRY_COLUMNS)?)),
            entry,
        });
    }
    Ok(committed)
}

pub(crate) async fn confirm(
    database: &Database,
    name: &str,
    up_to: CommitPosition,
) -> StoreResult<()> {
    let (name, position) = (&name, &to_db(up_to.0));
    database
        .transact(Repeat::Safe, |connection| async move {
            connection
                .execute(&CONFIRM, &[name, position])
                .await
                .map(drop)
        })
        .await
}

/// The newest id that is committed, readable or not.
pub(crate) async fn newest(database: &Database) -> StoreResult<CommitPosition> {
    let row = one(database.row(&NEWEST, &[]).await?)?;
    let newest = row.try_get(0).map_err(Failure::from)?;
    Ok(CommitPosition(from_db(newest)))
}

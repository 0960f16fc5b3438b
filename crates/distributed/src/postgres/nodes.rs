//! The nodes that use the database: a row for each, renewed by the database's clock.

use super::schema::NODES_LOCK;
use super::{Connection, Failure, PostgresStore, Repeat, Sql};
use lamplight_usecases::ports::{StoreError, StoreResult};
use std::collections::HashSet;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// A node by its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeRow {
    pub(crate) node_id: String,
    /// Another one with each start.
    pub(crate) incarnation: i64,
    /// What names the Redis and the prefix that it uses: `None` without one, empty if it is not
    /// known yet.
    pub(crate) redis: Option<String>,
    /// When it was renewed, in microseconds: only compared with other times of the same row.
    pub(crate) renewed: i64,
    /// How long ago that was.
    pub(crate) age: Duration,
}

/// The outcome of [`PostgresStore::renew_node`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renewal {
    /// `Some(false)` if another incarnation has the row, `None` if there is no row.
    pub(crate) is_renewed: Option<bool>,
    /// The other nodes that renewed their rows within [`LAPSED`], each with its incarnation.
    pub(crate) others: HashSet<String>,
}

/// A row that is older than this by the database's clock belongs to a node that ended.
pub(crate) const LAPSED: Duration = Duration::from_secs(10);

/// The outcome of [`PostgresStore::register_node`].
#[derive(Debug)]
pub(crate) enum Registration<C> {
    Done { incarnation: i64 },
    Refused { rows: Vec<NodeRow>, why: C },
}

static LOCK: Sql = Sql {
    text: "SELECT pg_advisory_xact_lock($1)",
    types: &[Type::INT8],
};
static ROWS: Sql = Sql {
    text: "SELECT node_id, incarnation, redis,
        (extract(epoch FROM renewed_at) * 1000000)::int8,
        (extract(epoch FROM clock_timestamp() - renewed_at) * 1000)::int8
        FROM nodes",
    types: &[],
};
// Rows of nodes that never come back, such as those of containers, must not pile up.
static CLEAN: Sql = Sql {
    text: "DELETE FROM nodes WHERE renewed_at < clock_timestamp() - interval '1 day'",
    types: &[],
};
// By the clock, so that an incarnation does not come back after its row was removed.
static INSERT: Sql = Sql {
    text: "INSERT INTO nodes (node_id, incarnation, redis, started_at, renewed_at)
        VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::int8, $2, clock_timestamp(), clock_timestamp())
        ON CONFLICT (node_id) DO UPDATE SET incarnation = greatest(excluded.incarnation, nodes.incarnation + 1),
            redis = excluded.redis, started_at = excluded.started_at, renewed_at = excluded.renewed_at
        RETURNING incarnation",
    types: &[Type::TEXT, Type::TEXT],
};
static RENEW: Sql = Sql {
    text: "WITH renewed AS (
            UPDATE nodes SET renewed_at = clock_timestamp(), redis = $3 WHERE node_id = $1 AND incarnation = $2 RETURNING 1
        ) SELECT EXISTS (SELECT 1 FROM renewed), EXISTS (SELECT 1 FROM nodes WHERE node_id = $1), ARRAY(
            SELECT node_id || ' ' || incarnation FROM nodes
            WHERE node_id <> $1 AND renewed_at > clock_timestamp() - $4 * interval '1 ms')",
    types: &[Type::TEXT, Type::INT8, Type::TEXT, Type::INT4],
};
static REMOVE: Sql = Sql {
    text: "DELETE FROM nodes WHERE node_id = $1 AND incarnation = $2",
    types: &[Type::TEXT, Type::INT8],
};

impl PostgresStore {
    /// Registers a node under a new incarnation, unless `refuse` finds a reason among the rows that
    /// are there. Registrations of several nodes are one after the other.
    pub(crate) async fn register_node<C>(
        &self,
        node_id: &str,
        redis: Option<&str>,
        refuse: impl Fn(&[NodeRow]) -> Option<C>,
    ) -> StoreResult<Registration<C>> {
        self.transact(Repeat::Safe, |connection| {
            let refuse = &refuse;
            async move {
                connection.execute(&LOCK, &[&NODES_LOCK]).await?;
                connection.execute(&CLEAN, &[]).await?;
                let rows = rows(&connection).await?;
                if let Some(why) = refuse(&rows) {
                    return Ok(Registration::Refused { rows, why });
                }
                let inserted = connection.query(&INSERT, &[&node_id, &redis]).await?;
                let incarnation = inserted[0].try_get(0)?;
                Ok(Registration::Done { incarnation })
            }
        })
        .await
    }

    /// Renews a node's row, and reads which other nodes are there.
    pub(crate) async fn renew_node(
        &self,
        node_id: &str,
        incarnation: i64,
        redis: Option<&str>,
    ) -> StoreResult<Renewal> {
        let lapsed = i32::try_from(LAPSED.as_millis()).unwrap_or(i32::MAX);
        let row = self
            .row(&RENEW, &[&node_id, &incarnation, &redis, &lapsed])
            .await?;
        let read = |row: Row| {
            let (is_renewed, is_there): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
            let others: Vec<String> = row.try_get(2)?;
            Ok(Some(Renewal {
                is_renewed: (is_renewed || is_there).then_some(is_renewed),
                others: others.into_iter().collect(),
            }))
        };
        let outcome: Result<_, Failure> = row.map_or(Ok(None), read);
        outcome?.ok_or_else(|| StoreError::Internal("renewing a node returned no row".to_owned()))
    }

    /// Removes a node's row, at its stop.
    pub(crate) async fn remove_node(&self, node_id: &str, incarnation: i64) -> StoreResult<()> {
        self.row(&REMOVE, &[&node_id, &incarnation]).await.map(drop)
    }
}

async fn rows(connection: &Connection) -> Result<Vec<NodeRow>, Failure> {
    let read = |row: Row| {
        let age: i64 = row.try_get(4)?;
        Ok(NodeRow {
            node_id: row.try_get(0)?,
            incarnation: row.try_get(1)?,
            redis: row.try_get(2)?,
            renewed: row.try_get(3)?,
            age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
        })
    };
    let rows = connection.query(&ROWS, &[]).await?;
    rows.into_iter().map(read).collect()
}

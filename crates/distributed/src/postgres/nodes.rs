//! The nodes that use a store. Two of them need Redis, and the same one: without it a node would
//! not learn what the other one publishes.

use super::{Failure, PostgresStore, Repeat, Sql, from_db};
use lamplight_usecases::ports::StoreResult;
use std::time::Duration;
use tokio_postgres::types::Type;

/// A node that did not renew its row for this long is gone.
pub const NODE_LEASE: Duration = Duration::from_secs(15);

/// Rows of nodes that have been gone for so long are deleted.
const FORGOTTEN_AFTER: &str = "1 day";

/// Two starts follow each other.
const LOCK: Sql = Sql {
    text: "SELECT pg_advisory_xact_lock($1)",
    types: &[Type::INT8],
};

const LIVE: Sql = Sql {
    text: "SELECT node_id, redis, (extract(epoch FROM clock_timestamp() - renewed_at) * 1000)::int8
           FROM nodes WHERE node_id <> $1 AND renewed_at > clock_timestamp() - $2 * interval '1 millisecond' ORDER BY node_id",
    types: &[Type::TEXT, Type::INT8],
};

/// Incarnations grow by the clock as well, so that they grow over a deleted row.
const CLAIM: Sql = Sql {
    text: "INSERT INTO nodes (node_id, incarnation, redis) VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::int8, $2)
           ON CONFLICT (node_id) DO UPDATE SET incarnation = greatest(nodes.incarnation + 1, excluded.incarnation), redis = excluded.redis,
               started_at = clock_timestamp(), renewed_at = clock_timestamp()
           RETURNING incarnation",
    types: &[Type::TEXT, Type::TEXT],
};

const RENEW: Sql = Sql {
    text: "UPDATE nodes SET renewed_at = clock_timestamp() WHERE node_id = $1 AND incarnation = $2",
    types: &[Type::TEXT, Type::INT8],
};

const RELEASE: Sql = Sql {
    text: "UPDATE nodes SET renewed_at = clock_timestamp() - interval '1 hour' WHERE node_id = $1 AND incarnation = $2",
    types: &[Type::TEXT, Type::INT8],
};

/// The database's own clock decides, never a node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveNode {
    pub node: String,
    /// What names its Redis and prefix, if it has one.
    pub redis: Option<String>,
    /// How long ago it renewed its row.
    pub silent_for: Duration,
}

/// The answer to a node that starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeClaim {
    /// It is registered; a later incarnation of the same id ends this one.
    Claimed { incarnation: u64 },
    /// Nodes are alive that it cannot work with: they have no Redis, or another one, or it has none.
    Conflict(Vec<LiveNode>),
}

impl PostgresStore {
    /// Registers this node, unless nodes with another Redis, or without one, are alive.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim_node(&self, node: &str, redis: Option<&str>) -> StoreResult<NodeClaim> {
        let lease = i64::try_from(NODE_LEASE.as_millis()).unwrap_or(i64::MAX);
        self.transact(Repeat::Safe, |connection| async move {
            let lock = super::schema::NODES_LOCK;
            connection.query(&LOCK, &[&lock]).await?;
            let mut conflicts = Vec::new();
            for row in connection.query(&LIVE, &[&node, &lease]).await? {
                let other = LiveNode {
                    node: row.try_get(0)?,
                    redis: row.try_get(1)?,
                    silent_for: Duration::from_millis(from_db(row.try_get(2)?)),
                };
                if redis.is_none() || other.redis.as_deref() != redis {
                    conflicts.push(other);
                }
            }
            if !conflicts.is_empty() {
                return Ok(NodeClaim::Conflict(conflicts));
            }
            let forget = format!(
                "DELETE FROM nodes WHERE renewed_at < clock_timestamp() - interval '{FORGOTTEN_AFTER}' AND node_id <> $1"
            );
            connection
                .client()
                .execute_typed(&forget, &[(&node, Type::TEXT)])
                .await
                .map_err(Failure::from)?;
            let row = connection.query_opt(&CLAIM, &[&node, &redis]).await?;
            let incarnation: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
            let incarnation = from_db(incarnation);
            Ok(NodeClaim::Claimed { incarnation })
        })
        .await
    }

    /// Extends the registration; every third of [`NODE_LEASE`]. `false` if a later incarnation of
    /// the node's id has taken its place.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn renew_node(&self, node: &str, incarnation: u64) -> StoreResult<bool> {
        self.update_node(&RENEW, node, incarnation).await
    }

    /// Ends the registration, so that another node can start at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release_node(&self, node: &str, incarnation: u64) -> StoreResult<bool> {
        self.update_node(&RELEASE, node, incarnation).await
    }

    async fn update_node(&self, sql: &Sql, node: &str, incarnation: u64) -> StoreResult<bool> {
        let incarnation = super::to_db(incarnation);
        let updated = self.transact(Repeat::Safe, |connection| async move {
            connection.execute(sql, &[&node, &incarnation]).await
        });
        Ok(updated.await? > 0)
    }
}

//! Migrations, embedded in the binary and run at the start, each in a transaction with its number.
//! Several nodes may start at once: one migrates, the others wait for it. Migrations only add, so
//! that a node of the version before works on while others are updated.

use super::error::{OpenError, describe};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::Type;

/// Keys of advisory locks, "Lamp" in the upper half. They belong to one database.
pub(super) const MIGRATION_LOCK: i64 = 0x4c61_6d70_0000_0001;
pub(super) const IDENTITY_LOCK: i64 = 0x4c61_6d70_0000_0002;
pub(super) const NODES_LOCK: i64 = 0x4c61_6d70_0000_0003;
pub(super) const PUSH_LOCK: i64 = 0x4c61_6d70_0000_0004;

/// A migration, and the oldest schema whose version of Lamplight can work with the result.
struct Migration {
    sql: &'static str,
    oldest_compatible: i32,
}

/// In order; a schema's number is its place, from 1.
const MIGRATIONS: &[Migration] = &[
    Migration {
        sql: include_str!("../../migrations/0001_schema.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0002_changes_of_messages.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0003_search.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0004_member_settings.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0005_blocks.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0006_files.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0007_groups.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0008_media.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0009_avatars.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0010_scans.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0011_upload_claims.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0012_watched_uploads.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0013_files_of_conversations.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0014_push.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0015_reactions_in_order.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0016_search_windows.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0017_deleted_accounts.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0018_privacy.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0019_looks.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0020_announced_deletions.sql"),
        oldest_compatible: 1,
    },
    Migration {
        sql: include_str!("../../migrations/0021_ended_tokens.sql"),
        oldest_compatible: 1,
    },
];

const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS lamplight_schema (
    version           INTEGER PRIMARY KEY,
    -- The oldest schema whose version of Lamplight can work with this one.
    oldest_compatible INTEGER NOT NULL,
    applied_at        TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// How long a node waits for another one that migrates.
const WAIT: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '120s'; \
                    SET LOCAL idle_in_transaction_session_timeout = 0";

/// Runs the missing migrations.
pub(super) async fn migrate(client: &ClientWrapper) -> Result<(), OpenError> {
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    let exists = client
        .query_typed("SELECT to_regclass('lamplight_schema') IS NOT NULL", &[])
        .await
        .and_then(|rows| rows[0].try_get::<_, bool>(0))
        .map_err(|error| OpenError::Database(describe(&error)))?;
    // A node whose schema is current needs no lock.
    if exists && current(client).await.map_err(failed(0))?.check(known)? == known {
        return Ok(());
    }
    for (version, migration) in (1..).zip(MIGRATIONS) {
        let outcome = step(client, version, known, migration).await;
        if outcome.is_err() {
            drop(client.batch_execute("ROLLBACK").await);
        }
        outcome?;
    }
    Ok(())
}

async fn step(
    client: &ClientWrapper,
    version: i32,
    known: i32,
    migration: &Migration,
) -> Result<(), OpenError> {
    let failed = failed(version);
    client
        .batch_execute(&format!(
            "BEGIN; {WAIT}; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
        ))
        .await
        .map_err(failed)?;
    // After the lock, because CREATE TABLE IF NOT EXISTS fails where two create it at once.
    client
        .batch_execute(CREATE_VERSIONS)
        .await
        .map_err(failed)?;
    let found = current(client).await.map_err(failed)?.check(known)?;
    if found < version {
        if found > 0 {
            tracing::info!(
                version,
                "migrating the database; this can take a while for a large one"
            );
        }
        client.batch_execute(migration.sql).await.map_err(failed)?;
        let insert = "INSERT INTO lamplight_schema (version, oldest_compatible) VALUES ($1, $2)";
        client
            .execute_typed(
                insert,
                &[
                    (&version, Type::INT4),
                    (&migration.oldest_compatible, Type::INT4),
                ],
            )
            .await
            .map_err(failed)?;
    }
    client.batch_execute("COMMIT").await.map_err(failed)
}

/// The schema version and flags in the database.
struct Found {
    version: i32,
    oldest_compatible: i32,
}

impl Found {
    /// The schema's number, if this version can work with it.
    fn check(&self, known: i32) -> Result<i32, OpenError> {
        if self.oldest_compatible > known {
            return Err(OpenError::Newer {
                found: self.version,
                known,
            });
        }
        // A newer schema that allows this version has all that this version needs.
        Ok(self.version.min(known))
    }
}

async fn current(client: &ClientWrapper) -> Result<Found, tokio_postgres::Error> {
    let sql = "SELECT coalesce(max(version), 0), coalesce(max(oldest_compatible), 0) FROM lamplight_schema";
    let rows = client.query_typed(sql, &[]).await?;
    Ok(Found {
        version: rows[0].try_get(0)?,
        oldest_compatible: rows[0].try_get(1)?,
    })
}

fn failed(version: i32) -> impl Fn(tokio_postgres::Error) -> OpenError + Copy {
    move |error| OpenError::Migration {
        version,
        why: describe(&error),
    }
}

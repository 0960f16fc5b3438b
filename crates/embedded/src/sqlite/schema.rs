//! Migrations, embedded in the binary and run at the start, each in a transaction with the new
//! schema number. They only add; a database from a newer version is not opened.

use super::error::OpenError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// In order; a schema's number is its place, from 1.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_conversations.sql"),
    include_str!("../../migrations/0002_accounts.sql"),
    include_str!("../../migrations/0003_told_marks.sql"),
    include_str!("../../migrations/0004_generation.sql"),
    include_str!("../../migrations/0005_search_keys.sql"),
    include_str!("../../migrations/0006_sign_ins.sql"),
    include_str!("../../migrations/0007_order_of_entries.sql"),
    include_str!("../../migrations/0008_status_revision.sql"),
    include_str!("../../migrations/0009_other_entries.sql"),
    include_str!("../../migrations/0010_roles.sql"),
    include_str!("../../migrations/0011_follower_positions.sql"),
    include_str!("../../migrations/0012_store_id.sql"),
    include_str!("../../migrations/0013_changes_of_messages.sql"),
    include_str!("../../migrations/0014_search.sql"),
    include_str!("../../migrations/0015_member_settings.sql"),
    include_str!("../../migrations/0016_blocks.sql"),
    include_str!("../../migrations/0017_files.sql"),
    include_str!("../../migrations/0018_groups.sql"),
    include_str!("../../migrations/0019_media.sql"),
    include_str!("../../migrations/0020_avatars.sql"),
    include_str!("../../migrations/0021_scans.sql"),
    include_str!("../../migrations/0022_upload_claims.sql"),
    include_str!("../../migrations/0023_watched_uploads.sql"),
    include_str!("../../migrations/0024_files_of_conversations.sql"),
    include_str!("../../migrations/0025_push.sql"),
    include_str!("../../migrations/0026_deleted_accounts.sql"),
    include_str!("../../migrations/0027_privacy.sql"),
    include_str!("../../migrations/0028_looks.sql"),
    include_str!("../../migrations/0029_announced_deletions.sql"),
    include_str!("../../migrations/0030_ended_tokens.sql"),
];

/// Identifies Lamplight's databases in the file header ("Lamp").
const APPLICATION_ID: i32 = 0x4c61_6d70;

/// The schema number of a database, 0 for an empty one.
pub(crate) fn recognise(
    conn: &Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<u32, OpenError> {
    let number = |sql| {
        conn.query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|source| OpenError::of(path, source))
    };
    let found = u32::try_from(number("PRAGMA user_version")?).unwrap_or(u32::MAX);
    let application = number("PRAGMA application_id")?;
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != i64::from(APPLICATION_ID) && !(is_empty && found == 0 && application == 0) {
        return Err(OpenError::NotOurs {
            path: path.to_owned(),
        });
    }
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(found)
}

/// Runs the missing ones of `migrations`.
pub(crate) fn migrate(
    conn: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), OpenError> {
    let found = recognise(conn, path, migrations)?;
    for (version, sql) in (1..).zip(migrations).skip(found as usize) {
        if found > 0 {
            tracing::info!(
                version,
                "migrating the database; this can take a while for a large one"
            );
        }
        let step = |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()
        };
        step(conn).map_err(|source| OpenError::Migration {
            path: path.to_owned(),
            version,
            source,
        })?;
    }
    Ok(())
}

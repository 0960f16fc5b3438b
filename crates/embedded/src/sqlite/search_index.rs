//! Keeps the index of messages in step with the log.

use super::batch::Batch;
use super::codec::{from_db, to_db};
use super::connection::connect;
use super::error::OpenError;
use super::follower::commit_head;
use super::lock::resolve;
use lamplight_domain::entry::{EntryKind, MessageAction};
use lamplight_usecases::ports::{CommitPosition, IndexProgress};
use lamplight_usecases::record;
use lamplight_usecases::search_index::{index_text, tokens};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use std::collections::BTreeSet;
use std::path::Path;

/// Bytes of entries that one step reads.
const MOST_BYTES: i64 = 256 * 1_024;

const AFTER: &str = "SELECT e.id, e.conversation, e.seq, o.kind, CASE WHEN o.kind IS NULL THEN NULL ELSE e.content END, octet_length(e.content)
     FROM entries e LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
     WHERE e.id > ?1 ORDER BY e.id LIMIT ?2";

const NOW: &str = "SELECT e.id, e.sender, CASE WHEN c.deleted_seq IS NULL THEN ifnull(c.content, e.content) END, t.text
     FROM entries e
     LEFT JOIN message_changes c ON c.conversation = e.conversation AND c.seq = e.seq
     LEFT JOIN search_texts t ON t.entry = e.id
     WHERE e.conversation = ?1 AND e.seq = ?2";

/// How far the index is.
pub(crate) fn progress(conn: &Connection) -> rusqlite::Result<IndexProgress> {
    let position = CommitPosition(from_db(position(conn)?));
    let newest = commit_head(conn)?;
    Ok(IndexProgress {
        position,
        is_behind: position < newest,
        newest,
    })
}

fn position(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT position FROM search_position")?
        .query_row([], |row| row.get(0))
}

/// Indexes at most `limit` further entries.
pub(crate) fn advance(batch: &mut Batch<'_>, limit: usize) -> rusqlite::Result<IndexProgress> {
    let conn = batch.conn;
    let position = position(conn)?;
    let Step {
        messages,
        position: reached,
        is_behind,
    } = step(conn, position, limit)?;
    let mut has_removed = false;
    for (conversation, seq) in messages {
        has_removed |= set(conn, conversation, seq)?;
    }
    if has_removed {
        // Older pages in the write-ahead log have what was removed.
        batch.erased();
    }
    if reached > position {
        conn.prepare_cached("UPDATE search_position SET position = ?1")?
            .execute([reached])?;
    }
    Ok(IndexProgress {
        position: CommitPosition(from_db(reached)),
        is_behind,
        newest: commit_head(conn)?,
    })
}

struct Step {
    /// By conversation and `seq`.
    messages: BTreeSet<(i64, i64)>,
    position: i64,
    is_behind: bool,
}

/// The messages that the entries after a position are about.
fn step(conn: &Connection, after: i64, limit: usize) -> rusqlite::Result<Step> {
    let mut step = Step {
        messages: BTreeSet::new(),
        position: after,
        is_behind: false,
    };
    let wanted = to_db(limit as u64);
    let mut statement = conn.prepare_cached(AFTER)?;
    let mut found = statement.query(params![after, wanted])?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = found.next()? {
        count += 1;
        bytes += row.get::<_, i64>(5)?;
        step.position = row.get(0)?;
        let conversation = row.get(1)?;
        match row.get_ref(3)?.as_str_or_null()? {
            None => {
                step.messages.insert((conversation, row.get(2)?));
            }
            Some(kind) => {
                let record = row.get_ref(4)?.as_str_or_null()?.unwrap_or_default();
                if let EntryKind::Change(change) = record::read_change(kind, record)
                    && matches!(
                        change.action,
                        MessageAction::Edit { .. } | MessageAction::Delete
                    )
                {
                    step.messages
                        .insert((conversation, to_db(change.message_seq)));
                }
            }
        }
        if bytes > MOST_BYTES {
            step.is_behind = true;
            break;
        }
    }
    step.is_behind |= count == limit;
    Ok(step)
}

/// Makes the index have what a message says now. Whether something was removed.
fn set(conn: &Connection, conversation: i64, seq: i64) -> rusqlite::Result<bool> {
    let now = conn
        .prepare_cached(NOW)?
        .query_row(params![conversation, seq], |row| {
            let text = row.get_ref(2)?.as_str_or_null()?.map(index_text);
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                text.unwrap_or_default(),
                row.get::<_, Option<String>>(3)?,
            ))
        })
        .optional()?;
    let Some((id, sender, text, indexed)) = now else {
        return Ok(false);
    };
    if indexed.as_deref().unwrap_or_default() == text {
        return Ok(false);
    }
    let joined = |text: &str| {
        let tokens: Vec<String> = tokens(text, conversation, sender).collect();
        tokens.join(" ")
    };
    if let Some(indexed) = &indexed {
        conn.prepare_cached(
            "INSERT INTO search_index (search_index, rowid, tokens) VALUES ('delete', ?1, ?2)",
        )?
        .execute(params![id, joined(indexed)])?;
        conn.prepare_cached("DELETE FROM search_texts WHERE entry = ?1")?
            .execute([id])?;
    }
    if !text.is_empty() {
        conn.prepare_cached("INSERT INTO search_index (rowid, tokens) VALUES (?1, ?2)")?
            .execute(params![id, joined(&text)])?;
        conn.prepare_cached("INSERT INTO search_texts (entry, text) VALUES (?1, ?2)")?
            .execute(params![id, text])?;
    }
    Ok(indexed.is_some())
}

pub(crate) fn reindex(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "INSERT INTO search_index (search_index) VALUES ('delete-all');
         DELETE FROM search_texts;
         UPDATE search_position SET position = 0;",
    )
}

/// Empties the index of the database at `path`, whether or not a server uses it: that one notices, and
/// makes the index anew.
///
/// # Errors
/// When the database cannot be used; nothing was changed.
pub fn reindex_file(path: &Path) -> Result<(), OpenError> {
    let path = resolve(path);
    if !path.is_file() {
        return Err(OpenError::Missing {
            what: "database",
            path,
        });
    }
    let failed = |source| OpenError::of(&path, source);
    let mut conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    // Whoever opens the database next decides about its write-ahead log.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(failed)?;
    conn.pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))
        .map_err(failed)?;
    let empty = |conn: &mut Connection| {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        reindex(&transaction)?;
        transaction.commit()
    };
    empty(&mut conn).map_err(failed)
}

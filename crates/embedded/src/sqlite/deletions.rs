//! Erases the content of deleted messages. `secure_delete` overwrites the pages.

use super::codec::{from_db, to_db};
use super::history::log_head;
use super::repeats::blank;
use lamplight_domain::entry::Change;
use lamplight_domain::identity::ConversationId;
use lamplight_usecases::record;
use rusqlite::{Connection, params};
use std::iter;

pub(super) const EDITS: &str =
    "SELECT entry_seq FROM message_edits WHERE conversation = ?1 AND seq = ?2 ORDER BY entry_seq";

/// Blanks a message and its edits, and deletes its extras and reactions.
pub(super) fn erase(
    conn: &Connection,
    row: i64,
    conversation: &ConversationId,
    of: &Change,
) -> rusqlite::Result<()> {
    let seq = of.message_seq;
    let blank_edit = record::write_erased_edit(&of.message, seq);
    let edits = conn
        .prepare_cached(EDITS)?
        .query_map(params![row, to_db(seq)], |row| row.get(0).map(from_db))?
        .collect::<rusqlite::Result<Vec<u64>>>()?;
    let edits = edits.into_iter().map(|edit| (edit, blank_edit.as_str()));
    blank(conn, row, conversation, iter::once((seq, "")).chain(edits))?;
    for sql in [
        "DELETE FROM message_extras WHERE conversation = ?1 AND seq = ?2",
        "DELETE FROM reactions WHERE conversation = ?1 AND seq = ?2",
    ] {
        conn.prepare_cached(sql)?
            .execute(params![row, to_db(seq)])?;
    }
    Ok(())
}

pub(super) const IS_DELETED: &str = "SELECT 1 FROM message_changes
     WHERE conversation = ?1 AND seq = ?2 AND deleted_seq IS NOT NULL";

/// The newest message before a `seq` that is not deleted, 0 if there is none. Each step skips the
/// messages that had been deleted by then, so it passes a deleted message at most once for each time
/// that it was the last one.
pub(super) fn last_before(conn: &Connection, row: i64, seq: u64) -> rusqlite::Result<u64> {
    let mut is_deleted = conn.prepare_cached(IS_DELETED)?;
    let mut candidate = seq;
    loop {
        candidate = log_head(conn, row, candidate - 1)?.last_message_seq;
        if candidate == 0 || !is_deleted.exists(params![row, to_db(candidate)])? {
            return Ok(candidate);
        }
    }
}

//! Inserts an entry of any kind under the next `seq` of its log.

use super::batch::CachedConversation;
use super::codec::{from_db, to_db};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::CommitPosition;
use rusqlite::{Connection, params};

/// An entry to be inserted.
pub(super) struct EntryRow<'a> {
    pub(super) id: &'a str,
    pub(super) sender: i64,
    /// The kind's name, unless it is a message.
    pub(super) other_kind: Option<&'a str>,
    /// Whether it moves its conversation to the front of lists.
    pub(super) moves_list: bool,
    pub(super) content: &'a str,
    pub(super) dedupe_key: Option<&'a str>,
    pub(super) created_at: Timestamp,
    /// Of a deletion of the last message: the one before it that is the last from then on.
    pub(super) last_before: Option<u64>,
}

/// An entry that was inserted.
pub(super) struct Inserted {
    pub(super) seq: u64,
    pub(super) position: CommitPosition,
    pub(super) created_at: Timestamp,
}

/// Inserts an entry under the next `seq`.
pub(super) fn insert(
    conn: &Connection,
    known: &mut CachedConversation,
    entry: &EntryRow<'_>,
) -> rusqlite::Result<Inserted> {
    let head = match entry.last_before {
        Some(before) => known.head.next_without_last(before),
        None => known.head.next(entry.other_kind.is_none()),
    };
    // A clock that went back puts no entry before the one that it follows.
    let created_at = entry.created_at.max(known.last_at);
    conn.prepare_cached(
        "INSERT INTO entries (conversation, seq, message_id, sender, content, dedupe_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![known.row, to_db(head.seq), entry.id, entry.sender, entry.content, entry.dedupe_key, created_at.0])?;
    let position = conn.last_insert_rowid();
    if let Some(kind) = entry.other_kind {
        conn.prepare_cached(
            "INSERT INTO other_entries (conversation, seq, kind, message_count, last_message_seq) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![known.row, to_db(head.seq), kind, to_db(head.message_count), to_db(head.last_message_seq)])?;
    }
    if entry.moves_list {
        conn.prepare_cached(
            "UPDATE conversations SET head_seq = ?2, last_at = ?3, position = ?4 WHERE id = ?1",
        )?
        .execute(params![known.row, to_db(head.seq), created_at.0, position])?;
    } else {
        conn.prepare_cached("UPDATE conversations SET head_seq = ?2, last_at = ?3 WHERE id = ?1")?
            .execute(params![known.row, to_db(head.seq), created_at.0])?;
    }
    known.head = head;
    known.last_at = created_at;
    Ok(Inserted {
        seq: head.seq,
        position: CommitPosition(from_db(position)),
        created_at,
    })
}

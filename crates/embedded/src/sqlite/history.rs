//! Reads of logs: pages, catch-ups, and how far a log had got at an entry. Each function needs one
//! snapshot: a reader's, or the writer's transaction.

use super::batch::{from_db, role_from_db, to_db};
use lamplight_domain::conversation::Receipt;
use lamplight_domain::entry::{Entry, EntryKind, LogHead};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, client_message_id};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::pages::{self, Side};
use lamplight_usecases::ports::{History, Range, SyncPage, SyncPosition};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// A query for entries, in the columns that [`entry`] reads.
macro_rules! entries {
    ($rest:literal) => {
        super::history::entries!("NULL", $rest)
    };
    ($further_columns:literal, $rest:literal) => {
        concat!(
            "SELECT e.message_id, e.seq, p.user_id, e.content, e.dedupe_key, e.created_at, o.kind, ",
            $further_columns,
            " ",
            "FROM entries e JOIN people p ON p.id = e.sender ",
            "LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq ",
            $rest
        )
    };
}
pub(crate) use entries;

pub(crate) fn entry(row: &Row<'_>, conversation: &ConversationId) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: MessageId::trusted(row.get_ref(0)?.as_str()?),
        conversation: conversation.clone(),
        seq: from_db(row.get(1)?),
        sender: UserId::trusted(row.get_ref(2)?.as_str()?),
        // This version writes messages only, so an entry of any other kind is a newer version's.
        kind: match row.get_ref(6)? {
            ValueRef::Null => EntryKind::message(Content::trusted(row.get_ref(3)?.as_str()?)),
            _ => EntryKind::Unknown,
        },
        client_message_id: row
            .get_ref(4)?
            .as_str_or_null()?
            .and_then(client_message_id),
        created_at: Timestamp(row.get(5)?),
    })
}

pub(super) const NEAREST_OTHER: &str =
    "SELECT seq, message_count, last_message_seq FROM other_entries
     WHERE conversation = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1";

/// How far a log had got at `seq`.
pub(super) fn log_head(
    conn: &Connection,
    conversation: i64,
    seq: u64,
) -> rusqlite::Result<LogHead> {
    Ok(LogHead::at(seq, nearest_other(conn, conversation, seq)?))
}

/// How far a log had got at its head and at a read mark: one search where no entry past the mark is
/// of another kind.
pub(super) fn log_heads(
    conn: &Connection,
    conversation: i64,
    head_seq: u64,
    read_seq: u64,
) -> rusqlite::Result<(LogHead, LogHead)> {
    let nearest = nearest_other(conn, conversation, head_seq)?;
    let head = LogHead::at(head_seq, nearest);
    let read = match nearest {
        Some(nearest) if nearest.seq > read_seq => log_head(conn, conversation, read_seq)?,
        _ => LogHead::at(read_seq, nearest),
    };
    Ok((head, read))
}

fn nearest_other(
    conn: &Connection,
    conversation: i64,
    seq: u64,
) -> rusqlite::Result<Option<LogHead>> {
    conn.prepare_cached(NEAREST_OTHER)?
        .query_row(params![conversation, to_db(seq)], |row| {
            Ok(LogHead {
                seq: from_db(row.get(0)?),
                message_count: from_db(row.get(1)?),
                last_message_seq: from_db(row.get(2)?),
            })
        })
        .optional()
}

struct Membership {
    row: i64,
    head_seq: u64,
    read_seq: u64,
}

fn membership(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<Membership>> {
    let found = conn
        .prepare_cached(
            "SELECT c.id, c.head_seq, m.read_seq, m.role FROM conversations c
             JOIN members m ON m.conversation = c.id AND m.person = (SELECT id FROM people WHERE user_id = ?2)
             WHERE c.conversation_id = ?1",
        )?
        .query_row([conversation.as_str(), caller.as_str()], |row| {
            let membership = Membership {
                row: row.get(0)?,
                head_seq: from_db(row.get(1)?),
                read_seq: from_db(row.get(2)?),
            };
            Ok((membership, role_from_db(row.get(3)?)))
        })
        .optional()?;
    let allowed = authorize(found.as_ref().map(|(_, role)| *role), Action::View);
    Ok(found
        .map(|(membership, _)| membership)
        .filter(|_| allowed.is_ok()))
}

const OLDER: &str =
    entries!("WHERE e.conversation = ?1 AND e.seq < ?2 ORDER BY e.seq DESC LIMIT ?3");
const NEWER: &str = entries!("WHERE e.conversation = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3");

/// At most `limit` entries beyond `edge` and within the byte budget, the nearest first.
fn beyond(
    conn: &Connection,
    sql: &'static str,
    row: i64,
    conversation: &ConversationId,
    edge: i64,
    limit: usize,
) -> rusqlite::Result<Side> {
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map(params![row, edge, wanted], |row| entry(row, conversation))?;
    Side::nearest(found, limit)
}

/// At most `limit` entries, and whether there are more.
fn page(
    conn: &Connection,
    row: i64,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> rusqlite::Result<History> {
    let side = |sql, edge| beyond(conn, sql, row, conversation, edge, limit);
    Ok(match range {
        Range::Newest => side(OLDER, i64::MAX)?.older(),
        Range::Before(seq) => side(OLDER, to_db(seq))?.older(),
        Range::After(seq) => side(NEWER, to_db(seq))?.newer(),
        Range::Around(seq) => {
            let edge = to_db(seq);
            let newer = side(NEWER, edge.saturating_sub(1))?;
            pages::around(side(OLDER, edge)?, newer, limit)
        }
    })
}

pub(crate) fn history(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> rusqlite::Result<Option<History>> {
    let Some(membership) = membership(conn, caller, conversation)? else {
        return Ok(None);
    };
    page(conn, membership.row, conversation, range, limit).map(Some)
}

pub(crate) fn sync_page(
    conn: &Connection,
    caller: &UserId,
    have: &SyncPosition,
    limit: usize,
) -> rusqlite::Result<Option<SyncPage>> {
    let conversation = &have.conversation;
    let Some(membership) = membership(conn, caller, conversation)? else {
        return Ok(None);
    };
    let reset = have.seq > membership.head_seq || is_another(conn, membership.row, have)?;
    let range = if reset {
        Range::Newest
    } else {
        Range::After(have.seq)
    };
    let History {
        entries, has_more, ..
    } = page(conn, membership.row, conversation, range, limit)?;
    let first_seq = conn
        .prepare_cached("SELECT seq FROM entries WHERE conversation = ?1 ORDER BY seq LIMIT 1")?
        .query_row([membership.row], |row| row.get(0))
        .optional()?
        .map_or(membership.head_seq + 1, from_db);
    let receipts = conn
        .prepare_cached(
            "SELECT p.user_id, m.told_delivered_seq, m.told_read_seq FROM members m JOIN people p ON p.id = m.person
             WHERE m.conversation = ?1 ORDER BY p.user_id",
        )?
        .query_map([membership.row], |row| {
            Ok(Receipt {
                user: UserId::trusted(row.get_ref(0)?.as_str()?),
                delivered_seq: from_db(row.get(1)?),
                read_seq: from_db(row.get(2)?),
            })
        })?
        .collect::<rusqlite::Result<Vec<Receipt>>>()?;
    Ok(Some(SyncPage {
        entries,
        reset,
        head_seq: membership.head_seq,
        read_seq: membership.read_seq,
        receipts,
        first_seq,
        has_more,
    }))
}

/// Whether the log has another entry where the client has this one.
fn is_another(conn: &Connection, row: i64, have: &SyncPosition) -> rusqlite::Result<bool> {
    let Some(id) = &have.id else { return Ok(false) };
    conn.prepare_cached(
        "SELECT message_id <> ?3 FROM entries WHERE conversation = ?1 AND seq = ?2",
    )?
    .query_row(params![row, to_db(have.seq), id.as_str()], |row| row.get(0))
    .optional()
    .map(|another| another.unwrap_or(false))
}

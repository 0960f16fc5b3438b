//! Reads of logs: pages, catch-ups, and how far a log had got at an entry. Each function needs one
//! snapshot: a reader's, or the writer's transaction.

use super::codec::{from_db, role_from_db, to_db};
use super::entries::{entries, entry};
use lamplight_domain::conversation::Receipt;
use lamplight_domain::entry::{Entry, LogHead};
use lamplight_domain::group::begins_anew;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::pages::{self, Side};
use lamplight_usecases::ports::{History, Range, SyncPage, SyncPosition};
use rusqlite::{Connection, OptionalExtension as _, params};

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

/// The new entries of a log for one of its members.
pub(super) struct News {
    /// Messages past the read mark that are not deleted.
    pub(super) unread: u64,
    /// The newest message that is not deleted; 0 if there is none.
    pub(super) last_message_seq: u64,
    /// Something may have been done to that message.
    pub(super) may_be_changed: bool,
}

/// One search if every entry past the mark is a message: changes of a message are entries after it.
pub(super) fn news(
    conn: &Connection,
    conversation: i64,
    head_seq: u64,
    read_seq: u64,
) -> rusqlite::Result<News> {
    let nearest = nearest_other(conn, conversation, head_seq)?;
    let head = LogHead::at(head_seq, nearest);
    let others_up_to = nearest.map_or(0, |nearest| nearest.seq);
    let unread = if others_up_to > read_seq {
        let read = log_head(conn, conversation, read_seq)?;
        let deleted = conn
            .prepare_cached(DELETED_AFTER)?
            .query_row(params![conversation, to_db(read_seq)], |row| row.get(0))?;
        head.unread(read).saturating_sub(from_db(deleted))
    } else {
        head.unread(LogHead::at(read_seq, nearest))
    };
    Ok(News {
        unread,
        last_message_seq: head.last_message_seq,
        may_be_changed: others_up_to > head.last_message_seq,
    })
}

pub(super) const DELETED_AFTER: &str =
    "SELECT count(*) FROM message_changes INDEXED BY deleted_messages
     WHERE conversation = ?1 AND seq > ?2 AND deleted_seq IS NOT NULL";

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

pub(super) struct Membership {
    pub(super) row: i64,
    pub(super) head_seq: u64,
    read_seq: u64,
    /// Where the member's log begins.
    pub(super) first_seq: u64,
}

impl Membership {
    fn log<'a>(&self, conversation: &'a ConversationId) -> Log<'a> {
        Log {
            row: self.row,
            conversation,
            first_seq: self.first_seq,
        }
    }
}

pub(super) fn membership(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<Membership>> {
    let found = conn
        .prepare_cached(
            "SELECT c.id, c.head_seq, m.read_seq, m.role, m.first_seq FROM conversations c
             JOIN members m ON m.conversation = c.id AND m.person = (SELECT id FROM people WHERE user_id = ?2)
             WHERE c.conversation_id = ?1",
        )?
        .query_row([conversation.as_str(), caller.as_str()], |row| {
            let membership = Membership {
                row: row.get(0)?,
                head_seq: from_db(row.get(1)?),
                read_seq: from_db(row.get(2)?),
                first_seq: from_db(row.get(4)?),
            };
            Ok((membership, role_from_db(row.get(3)?)))
        })
        .optional()?;
    let allowed = authorize(found.as_ref().map(|(_, role)| *role), Action::View);
    Ok(found
        .map(|(membership, _)| membership)
        .filter(|_| allowed.is_ok()))
}

const OLDER: &str = entries!(
    "WHERE e.conversation = ?1 AND e.seq < ?2 AND e.seq >= ?4 ORDER BY e.seq DESC LIMIT ?3"
);
const NEWER: &str =
    entries!("WHERE e.conversation = ?1 AND e.seq > ?2 AND e.seq >= ?4 ORDER BY e.seq LIMIT ?3");

/// A log as one of its members sees it.
#[derive(Clone, Copy)]
struct Log<'a> {
    row: i64,
    conversation: &'a ConversationId,
    first_seq: u64,
}

/// At most `limit` entries beyond `edge` and within the byte budget, the nearest first.
fn beyond(
    conn: &Connection,
    sql: &'static str,
    log: Log<'_>,
    edge: i64,
    limit: usize,
) -> rusqlite::Result<Side> {
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut statement = conn.prepare_cached(sql)?;
    let params = params![log.row, edge, wanted, to_db(log.first_seq)];
    let found = statement.query_map(params, |row| {
        Ok(entry(row, log.conversation)?.seen_from(log.first_seq))
    })?;
    Side::nearest(found, limit)
}

/// At most `limit` entries, and whether there are more.
fn page(conn: &Connection, log: Log<'_>, range: Range, limit: usize) -> rusqlite::Result<History> {
    let side = |sql, edge| beyond(conn, sql, log, edge, limit);
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
    page(conn, membership.log(conversation), range, limit).map(Some)
}

/// The `seq` of the first entry that is not older than `at`, or else of the newest one.
pub(crate) fn seq_at(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
    at: Timestamp,
) -> rusqlite::Result<Option<u64>> {
    let Some(membership) = membership(conn, caller, conversation)? else {
        return Ok(None);
    };
    let head = membership.head_seq;
    let mut statement = conn.prepare_cached(CREATED_AT)?;
    let (mut low, mut high) = (first_seq(conn, &membership)?, head.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        let created: Option<i64> = statement
            .query_row(params![membership.row, to_db(middle)], |row| row.get(0))
            .optional()?;
        if created.is_none_or(|created| created < at.0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(Some(low.min(head)))
}

const CREATED_AT: &str = "SELECT created_at FROM entries WHERE conversation = ?1 AND seq = ?2";

/// The entries after a `seq`, not adapted to a member.
pub(crate) fn entries_after(
    conn: &Connection,
    conversation: &ConversationId,
    seq: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let row = conn
        .prepare_cached("SELECT id FROM conversations WHERE conversation_id = ?1")?
        .query_row([conversation.as_str()], |row| row.get(0))
        .optional()?;
    let Some(row) = row else {
        return Ok(Vec::new());
    };
    let log = Log {
        row,
        conversation,
        first_seq: 0,
    };
    page(conn, log, Range::After(seq), limit).map(|page| page.entries)
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
    let reset = have.seq > membership.head_seq
        || begins_anew(have.seq, membership.first_seq)
        || is_another(conn, membership.row, have)?;
    let range = if reset {
        Range::Newest
    } else {
        Range::After(have.seq)
    };
    let History {
        entries, has_more, ..
    } = page(conn, membership.log(conversation), range, limit)?;
    let first_seq = first_seq(conn, &membership)?;
    let receipts = conn
        .prepare_cached(
            "SELECT p.user_id, m.told_delivered_seq, iif(p.hides_reads OR me.hides_reads, 0, m.told_read_seq)
             FROM people me, members m JOIN people p ON p.id = m.person
             WHERE me.user_id = ?2 AND m.conversation = ?1 ORDER BY p.user_id",
        )?
        .query_map(params![membership.row, caller.as_str()], |row| {
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

/// The oldest `seq` that is kept and that the member may see.
pub(super) fn first_seq(conn: &Connection, membership: &Membership) -> rusqlite::Result<u64> {
    let first = conn
        .prepare_cached("SELECT seq FROM entries WHERE conversation = ?1 ORDER BY seq LIMIT 1")?
        .query_row([membership.row], |row| row.get(0))
        .optional()?;
    let first = first.map_or(membership.head_seq + 1, from_db);
    Ok(first.max(membership.first_seq))
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

//! Pages of messages as they are now.

use super::codec::{from_db, role_from_db, to_db};
use super::connection::{Params, Sql};
use super::database::Database;
use super::entries::{
    CHANGE_COLUMNS, ENTRY_COLUMNS, REACTION_COLUMNS, changed, entry, entry_columns, entry_joins,
    reacted, reaction_columns, reaction_joins,
};
use super::error::Failure;
use super::queries::{members_at, profiles};
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::permission::{Action, authorize};
use lamplight_usecases::named;
use lamplight_usecases::pages::{self, FoundMessages, Side};
use lamplight_usecases::ports::{MessagePage, PinnedPage, Range, StoreResult};
use lamplight_usecases::weight::ANSWER_BYTES;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Messages beyond an edge, nearest first: no row for those who are not members, one without a
/// message where there is none. The content of an edited message is that of its last edit. Ends with
/// the first message that [`ANSWER_BYTES`] have no room for, as pages of the log do.
macro_rules! page {
    (@rows $rows:expr, $order:literal) => {
        concat!(
            "SELECT h.*, m.role, c.head_seq,
                 greatest(m.first_seq, coalesce((SELECT x.seq FROM entries x WHERE x.conversation = c.id ORDER BY x.seq LIMIT 1), c.head_seq + 1)),
                 m.first_seq, c.id, c.members_version
             FROM (SELECT c.id, c.head_seq, c.members_version, me.id AS person FROM conversations c, people me
                 WHERE c.conversation_id = $1 AND me.user_id = $2 OFFSET 0) c
             JOIN members m ON m.conversation = c.id AND m.person = c.person
             LEFT JOIN LATERAL (SELECT ",
            entry_columns!(),
            ", NULL::text AS now, e.mentions, e.edited_at, e.deleted_at, e.pinned_at, ",
            reaction_columns!("c.person"),
            " FROM (SELECT e.*, sum(octet_length(e.content)) OVER (ORDER BY e.seq ", $order, " ROWS UNBOUNDED PRECEDING)
                      - octet_length(e.content) AS bytes_before
                  FROM (SELECT e.conversation, e.seq, e.message_id, e.sender, coalesce(k.content, e.content) AS content,
                          e.dedupe_key, e.created_at, k.mentions, k.edited_at, k.deleted_at, k.pinned_at
                      FROM ", $rows, ") e) e",
            entry_joins!(),
            reaction_joins!(),
            "WHERE e.bytes_before <= 1000000) h ON true ORDER BY h.seq ",
            $order
        )
    };
    ($condition:literal, $order:literal) => {
        page!(@rows concat!(
            "entries e LEFT JOIN message_changes k ON k.conversation = e.conversation AND k.seq = e.seq
             WHERE e.conversation = c.id AND ", $condition, " AND NOT EXISTS (
                 SELECT 1 FROM other_entries o WHERE o.conversation = e.conversation AND o.seq = e.seq)
             ORDER BY e.seq ", $order, " LIMIT $4"
        ), $order)
    };
}

const _: () = assert!(ANSWER_BYTES == 1_000_000, "the statement says so too");

const PAGE_TYPES: &[Type] = &[Type::TEXT, Type::TEXT, Type::INT8, Type::INT8];

pub(super) const OLDER: Sql = Sql {
    text: page!("e.seq < $3 AND e.seq >= m.first_seq", "DESC"),
    types: PAGE_TYPES,
};

pub(super) const NEWER: Sql = Sql {
    text: page!("e.seq > $3 AND e.seq >= m.first_seq", "ASC"),
    types: PAGE_TYPES,
};

/// From the index of pinned messages, which are few: their entries may be anywhere in the log.
pub(super) const PINNED: Sql = Sql {
    text: page!(@rows
        "(SELECT k.* FROM message_changes k
              WHERE k.conversation = c.id AND k.pinned_seq IS NOT NULL AND k.seq < $3 AND k.seq >= m.first_seq
              ORDER BY k.seq DESC LIMIT $4) k
         JOIN entries e ON e.conversation = k.conversation AND e.seq = k.seq",
        "DESC"),
    types: PAGE_TYPES,
};

/// Where the columns about the conversation begin.
const OF_CONVERSATION: usize = ENTRY_COLUMNS + CHANGE_COLUMNS + REACTION_COLUMNS;

/// Messages of a part of a log, all of one snapshot with the log's head.
pub(crate) async fn messages(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> StoreResult<Option<MessagePage>> {
    let (id, user) = (conversation.as_str(), caller.as_str());
    let wanted = to_db(limit as u64).saturating_add(1);
    let edge = match range {
        Range::Newest => i64::MAX,
        Range::Before(seq) | Range::After(seq) | Range::Around(seq) => to_db(seq),
    };
    // Of `Around`, the entry itself is among the newer ones.
    let edge_before = edge.saturating_sub(1);
    let params: Params<'_> = &[&id, &user, &edge, &wanted];
    let from: Params<'_> = &[&id, &user, &edge_before, &wanted];
    let (rows, others) = match range {
        Range::Newest | Range::Before(_) => (database.rows(&OLDER, params).await?, None),
        Range::After(_) => (database.rows(&NEWER, params).await?, None),
        Range::Around(_) => {
            let statements = [(&OLDER, params), (&NEWER, from)];
            let [older, newer] = database.snapshot(statements).await?;
            (older, Some(newer))
        }
    };
    let Some(log) = log_of(&rows)? else {
        return Ok(None);
    };
    let side = |rows: &[Row]| side(rows, conversation, caller, &log, limit);
    let near = side(&rows)?;
    let found = match (range, others) {
        (Range::After(_), _) => FoundMessages::Newer(near),
        (_, Some(newer)) => FoundMessages::Both(near, side(&newer)?),
        (_, None) => FoundMessages::Older(near),
    };
    let mut page = pages::messages(found, range, limit, log.first_seq, log.head_seq);
    if !page.messages.is_empty() {
        let members = members_at(database, log.version).await?;
        let named = named::in_messages(&page.messages, &members);
        page.users = profiles(database, &named).await?;
    }
    Ok(Some(page))
}

/// The newest pinned messages before a `seq`.
pub(crate) async fn pinned(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
    before: u64,
    limit: usize,
) -> StoreResult<Option<PinnedPage>> {
    let (id, user, edge) = (conversation.as_str(), caller.as_str(), to_db(before));
    let wanted = to_db(limit as u64).saturating_add(1);
    let rows = database
        .rows(&PINNED, &[&id, &user, &edge, &wanted])
        .await?;
    let Some(log) = log_of(&rows)? else {
        return Ok(None);
    };
    let Side {
        mut items,
        has_more,
    } = side(&rows, conversation, caller, &log, limit)?;
    items.reverse();
    let mut users = Vec::new();
    if !items.is_empty() {
        let members = members_at(database, log.version).await?;
        users = profiles(database, &named::in_messages(&items, &members)).await?;
    }
    Ok(Some(PinnedPage {
        messages: items,
        has_more,
        as_of_seq: log.head_seq,
        users,
    }))
}

/// The state of the log in the rows of a page.
struct Log {
    head_seq: u64,
    first_seq: u64,
    /// Where the log of the caller begins.
    begins: u64,
    /// The conversation's row, and the version of its members.
    version: (i64, i64),
}

/// `None` for those who may not see it.
fn log_of(rows: &[Row]) -> Result<Option<Log>, Failure> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let number = |at| Ok::<i64, Failure>(first.try_get(OF_CONVERSATION + at)?);
    let role: i16 = first.try_get(OF_CONVERSATION)?;
    if authorize(Some(role_from_db(role)), Action::View).is_err() {
        return Ok(None);
    }
    Ok(Some(Log {
        head_seq: from_db(number(1)?),
        first_seq: from_db(number(2)?),
        begins: from_db(number(3)?),
        version: (number(4)?, number(5)?),
    }))
}

/// The messages in rows, nearest first.
fn side(
    rows: &[Row],
    conversation: &ConversationId,
    caller: &UserId,
    log: &Log,
    limit: usize,
) -> Result<Side<Message>, Failure> {
    let found = rows
        .iter()
        .filter_map(|row| message(row, conversation, caller).transpose())
        .map(|message| message.map(|message| message.seen_from(log.begins)));
    Ok(Side::nearest(found, limit)?)
}

fn message(
    row: &Row,
    conversation: &ConversationId,
    viewer: &UserId,
) -> Result<Option<Message>, tokio_postgres::Error> {
    let Some(entry) = entry(row, 0, conversation)? else {
        return Ok(None);
    };
    let mut message = changed(row, ENTRY_COLUMNS, entry)?;
    reacted(row, ENTRY_COLUMNS + CHANGE_COLUMNS, &mut message, viewer)?;
    Ok(Some(message))
}

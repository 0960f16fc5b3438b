//! Reads of logs: pages and catch-ups.

use super::codec::{from_db, role_from_db, to_db};
use super::connection::{Params, Sql};
use super::database::Database;
use super::entries::{ENTRY_COLUMNS, entry, entry_columns, entry_joins};
use super::error::Failure;
use super::queries::{members_at, profiles};
use lamplight_domain::conversation::Receipt;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::named;
use lamplight_usecases::pages::{self, Side};
use lamplight_usecases::ports::{History, Range, StoreResult, SyncPage, SyncPosition};
use lamplight_usecases::weight::ANSWER_BYTES;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// A select of entries in the columns that [`entry()`] reads, nearest to an edge first. It ends with
/// the first entry that does not fit into [`ANSWER_BYTES`]: the reader stops there, and PostgreSQL
/// would send all the others too.
macro_rules! nearest {
    ($condition:literal, $order:literal, $limit:literal) => {
        concat!(
            "SELECT ",
            entry_columns!(),
            " FROM (",
            "SELECT e.*, sum(octet_length(e.content)) OVER (ORDER BY e.seq ",
            $order,
            " ROWS UNBOUNDED PRECEDING)",
            " - octet_length(e.content) AS bytes_before FROM (",
            "SELECT * FROM entries WHERE conversation = c.id AND ",
            $condition,
            " ORDER BY seq ",
            $order,
            " LIMIT ",
            $limit,
            ") e) e",
            entry_joins!(),
            "WHERE e.bytes_before <= 1000000"
        )
    };
}

const _: () = assert!(ANSWER_BYTES == 1_000_000, "the statement says so too");

/// A page beyond an edge: no row for those who are not members, one without an entry where there is
/// none.
macro_rules! page {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT h.*, m.role, m.first_seq, c.id, c.members_version FROM (SELECT c.id, c.members_version, me.id AS person FROM conversations c, people me ",
            "WHERE c.conversation_id = $1 AND me.user_id = $2 OFFSET 0) c ",
            "JOIN members m ON m.conversation = c.id AND m.person = c.person ",
            "LEFT JOIN LATERAL (",
            nearest!($condition, $order, "$4"),
            ") h ON true ORDER BY h.seq ",
            $order
        )
    };
}

const PAGE_TYPES: &[Type] = &[Type::TEXT, Type::TEXT, Type::INT8, Type::INT8];

pub(super) const OLDER: Sql = Sql {
    text: page!("seq < $3 AND seq >= m.first_seq", "DESC"),
    types: PAGE_TYPES,
};

pub(super) const NEWER: Sql = Sql {
    text: page!("seq > $3 AND seq >= m.first_seq", "ASC"),
    types: PAGE_TYPES,
};

/// The entries after a `seq`, not adapted to a member.
pub(super) const AFTER: Sql = Sql {
    text: concat!(
        "SELECT h.* FROM (SELECT id FROM conversations WHERE conversation_id = $1 OFFSET 0) c CROSS JOIN LATERAL (",
        nearest!("seq > $2", "ASC", "$3"),
        ") h ORDER BY h.seq"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// The place of a time in a log, by halving it: no row for those who are not members.
pub(super) const SEQ_AT: Sql = Sql {
    text: "WITH RECURSIVE log AS (
             SELECT c.id, c.head_seq, m.role,
                 greatest(m.first_seq, coalesce((SELECT x.seq FROM entries x WHERE x.conversation = c.id ORDER BY x.seq LIMIT 1), c.head_seq + 1)) AS first_seq
             FROM (SELECT c.id, c.head_seq, me.id AS person FROM conversations c, people me
                 WHERE c.conversation_id = $1 AND me.user_id = $2 OFFSET 0) c
             JOIN members m ON m.conversation = c.id AND m.person = c.person
         ), part AS (
             SELECT first_seq AS low, head_seq + 1 AS high FROM log
             UNION ALL
             SELECT CASE WHEN e.created_at < $3 THEN e.seq + 1 ELSE p.low END, CASE WHEN e.created_at < $3 THEN p.high ELSE e.seq END
             FROM part p CROSS JOIN log l CROSS JOIN LATERAL (
                 SELECT x.seq, x.created_at FROM entries x WHERE x.conversation = l.id AND x.seq = (p.low + p.high) / 2 OFFSET 0) e
             WHERE p.low < p.high
         ) SELECT l.role, least(p.low, l.head_seq) FROM log l JOIN part p ON p.low >= p.high",
    types: &[Type::TEXT, Type::TEXT, Type::INT8],
};

/// The `seq` of the first entry that is not older than `at`, or else of the newest one.
pub(crate) async fn seq_at(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
    at: Timestamp,
) -> StoreResult<Option<u64>> {
    let (id, user) = (conversation.as_str(), caller.as_str());
    let rows = database.rows(&SEQ_AT, &[&id, &user, &at.0]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let role: i16 = row.try_get(0).map_err(Failure::from)?;
    let seq: i64 = row.try_get(1).map_err(Failure::from)?;
    let allowed = authorize(Some(role_from_db(role)), Action::View);
    Ok(allowed.is_ok().then(|| from_db(seq)))
}

/// Where a client stands in each conversation: whether it has to reset, and what its log has.
macro_rules! positions {
    () => {
        "FROM (SELECT a.n, a.seq, a.id AS known_id, c.id, c.head_seq, me.id AS person
             FROM unnest($2::text[], $3::int8[], $4::text[]) WITH ORDINALITY AS a (conversation, seq, id, n)
             JOIN conversations c ON c.conversation_id = a.conversation
             JOIN people me ON me.user_id = $1 OFFSET 0) c
         JOIN members m ON m.conversation = c.id AND m.person = c.person
         CROSS JOIN LATERAL (SELECT c.seq > c.head_seq OR (c.seq > 0 AND c.seq + 1 < m.first_seq) OR EXISTS (
             SELECT 1 FROM entries x WHERE x.conversation = c.id AND x.seq = c.seq AND x.message_id <> c.known_id
         ) AS reset) r "
    };
}

/// The entries after each position; where the client resets, the newest ones, newest first.
pub(super) const MISSED: Sql = Sql {
    text: concat!(
        "SELECT h.*, c.n, m.role, r.reset, c.head_seq, m.read_seq, ",
        "greatest(m.first_seq, coalesce((SELECT x.seq FROM entries x WHERE x.conversation = c.id ORDER BY x.seq LIMIT 1), c.head_seq + 1)), ",
        "m.first_seq ",
        positions!(),
        "LEFT JOIN LATERAL ((",
        nearest!(
            "seq > c.seq AND seq >= m.first_seq AND NOT r.reset",
            "ASC",
            "$5"
        ),
        ") UNION ALL (",
        nearest!("seq >= m.first_seq AND r.reset", "DESC", "$5"),
        ")) h ON true ORDER BY c.n, CASE WHEN r.reset THEN -h.seq ELSE h.seq END"
    ),
    types: &[
        Type::TEXT,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8,
    ],
};

/// The visible marks of all members of the conversations that are the caller's.
pub(super) const RECEIPTS: Sql = Sql {
    text: "SELECT c.n, p.user_id, o.visible_delivered_seq,
               CASE WHEN c.hides_reads = 0 AND p.hides_reads = 0 THEN o.visible_read_seq ELSE 0 END
           FROM (SELECT a.n, c.id, me.id AS person, me.hides_reads FROM unnest($2::text[]) WITH ORDINALITY AS a (conversation, n)
               JOIN conversations c ON c.conversation_id = a.conversation
               JOIN people me ON me.user_id = $1 OFFSET 0) c
           JOIN members m ON m.conversation = c.id AND m.person = c.person
           JOIN members o ON o.conversation = m.conversation
           JOIN people p ON p.id = o.person ORDER BY c.n, p.user_id",
    types: &[Type::TEXT, Type::TEXT_ARRAY],
};

/// At most `limit` entries beyond `edge`, the nearest first, with the conversation's row and the
/// version of its members; `None` for those who may not read them.
async fn beyond(
    database: &Database,
    sql: &Sql,
    caller: &UserId,
    conversation: &ConversationId,
    edge: i64,
    limit: usize,
) -> StoreResult<Option<(Side, (i64, i64))>> {
    let wanted = to_db(limit as u64).saturating_add(1);
    let rows = database
        .rows(
            sql,
            &[&conversation.as_str(), &caller.as_str(), &edge, &wanted],
        )
        .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let role = role_from_db(first.try_get(ENTRY_COLUMNS).map_err(Failure::from)?);
    if authorize(Some(role), Action::View).is_err() {
        return Ok(None);
    }
    let number = |at| Ok::<i64, Failure>(first.try_get(ENTRY_COLUMNS + at)?);
    let first_seq = from_db(number(1)?);
    let version = (number(2)?, number(3)?);
    let found = rows
        .iter()
        .filter_map(|row| entry(row, 0, conversation).transpose())
        .map(|entry| entry.map(|entry| entry.seen_from(first_seq)));
    let side = Side::nearest(found, limit).map_err(Failure::from)?;
    Ok(Some((side, version)))
}

pub(crate) async fn history(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> StoreResult<Option<History>> {
    let side = |sql, edge| beyond(database, sql, caller, conversation, edge, limit);
    let found = match range {
        Range::Newest => older(side(&OLDER, i64::MAX).await?),
        Range::Before(seq) => older(side(&OLDER, to_db(seq)).await?),
        Range::After(seq) => {
            let newer = side(&NEWER, to_db(seq)).await?;
            newer.map(|(side, version)| (side.newer(), version))
        }
        Range::Around(seq) => {
            let edge = to_db(seq);
            // Entries appended between the two reads are after both.
            let older = side(&OLDER, edge).await?;
            let newer = side(&NEWER, edge.saturating_sub(1)).await?;
            let sides = older.zip(newer);
            sides
                .map(|((older, _), (newer, version))| (pages::around(older, newer, limit), version))
        }
    };
    let Some((mut page, version)) = found else {
        return Ok(None);
    };
    if !page.entries.is_empty() {
        let members = members_at(database, version).await?;
        let named = named::in_entries(&page.entries, &members);
        page.users = profiles(database, &named).await?;
    }
    Ok(Some(page))
}

fn older<V>(found: Option<(Side, V)>) -> Option<(History, V)> {
    found.map(|(side, version)| (side.older(), version))
}

/// The entries after a `seq`, not adapted to a member.
pub(crate) async fn entries_after(
    database: &Database,
    conversation: &ConversationId,
    seq: u64,
    limit: usize,
) -> StoreResult<Vec<Entry>> {
    let params: Params<'_> = &[&conversation.as_str(), &to_db(seq), &to_db(limit as u64)];
    let rows = database.rows(&AFTER, params).await?;
    let found = rows
        .iter()
        .filter_map(|row| entry(row, 0, conversation).transpose());
    let side = Side::nearest(found, limit).map_err(Failure::from)?;
    Ok(side.items)
}

/// The entries that the caller missed, in the requested order.
pub(crate) async fn sync(
    database: &Database,
    caller: &UserId,
    have: &[SyncPosition],
    limit: usize,
) -> StoreResult<Vec<Option<SyncPage>>> {
    let conversations: Vec<&str> = have.iter().map(|one| one.conversation.as_str()).collect();
    let seqs: Vec<i64> = have.iter().map(|one| to_db(one.seq)).collect();
    let ids: Vec<Option<&str>> = have
        .iter()
        .map(|one| one.id.as_ref().map(MessageId::as_str))
        .collect();
    let wanted = to_db(limit as u64).saturating_add(1);
    let caller = caller.as_str();
    let [missed, receipts] = database
        .snapshot([
            (&MISSED, &[&caller, &conversations, &seqs, &ids, &wanted]),
            (&RECEIPTS, &[&caller, &conversations]),
        ])
        .await?;
    Ok(sync_pages(have, &missed, &receipts, limit).map_err(Failure::from)?)
}

fn sync_pages(
    have: &[SyncPosition],
    missed: &[Row],
    receipts: &[Row],
    limit: usize,
) -> Result<Vec<Option<SyncPage>>, tokio_postgres::Error> {
    let (mut missed, mut receipts) = (missed, receipts);
    let mut pages = Vec::with_capacity(have.len());
    for (number, one) in (1_i64..).zip(have) {
        let rows = take_while(&mut missed, ENTRY_COLUMNS, number)?;
        let receipts = take_while(&mut receipts, 0, number)?;
        let Some(first) = rows.first() else {
            pages.push(None);
            continue;
        };
        if authorize(
            Some(role_from_db(first.try_get(ENTRY_COLUMNS + 1)?)),
            Action::View,
        )
        .is_err()
        {
            pages.push(None);
            continue;
        }
        let reset = first.try_get(ENTRY_COLUMNS + 2)?;
        let first_seq = from_db(first.try_get(ENTRY_COLUMNS + 6)?);
        let found = rows
            .iter()
            .filter_map(|row| entry(row, 0, &one.conversation).transpose())
            .map(|entry| entry.map(|entry| entry.seen_from(first_seq)));
        let side = Side::nearest(found, limit)?;
        let History {
            entries, has_more, ..
        } = if reset { side.older() } else { side.newer() };
        let receipt = |row: &Row| {
            Ok(Receipt {
                user: UserId::trusted(row.try_get::<_, &str>(1)?),
                delivered_seq: from_db(row.try_get(2)?),
                read_seq: from_db(row.try_get(3)?),
            })
        };
        pages.push(Some(SyncPage {
            entries,
            reset,
            head_seq: from_db(first.try_get(ENTRY_COLUMNS + 3)?),
            read_seq: from_db(first.try_get(ENTRY_COLUMNS + 4)?),
            receipts: receipts
                .iter()
                .map(receipt)
                .collect::<Result<_, tokio_postgres::Error>>()?,
            first_seq: from_db(first.try_get(ENTRY_COLUMNS + 5)?),
            has_more,
        }));
    }
    Ok(pages)
}

/// Splits off the rows at the front whose number at `column` is this one.
fn take_while<'a>(
    rows: &mut &'a [Row],
    column: usize,
    number: i64,
) -> Result<&'a [Row], tokio_postgres::Error> {
    let mut count = 0;
    for row in *rows {
        if row.try_get::<_, i64>(column)? != number {
            break;
        }
        count += 1;
    }
    let (taken, rest) = rows.split_at(count);
    *rows = rest;
    Ok(taken)
}

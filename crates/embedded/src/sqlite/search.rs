//! Searches in the index of messages. Each needs one snapshot: a reader's.

use super::codec::{from_db, person_row, to_db};
use super::entries::{entries, entry};
use super::history::membership;
use super::messages_now::message_now;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::search_terms::finds;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::SearchKey;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{Page, Search};
use lamplight_usecases::search_index::{MOST_CONVERSATIONS, query_token, sender_token};
use lamplight_usecases::weight;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::fmt::Write as _;

const OWN: &str = "SELECT c.id, c.position, c.head_seq, m.first_seq FROM members m JOIN conversations c ON c.id = m.conversation
     WHERE m.person = ?1 ORDER BY c.position DESC, c.id DESC LIMIT ?2";

/// Between two entries, the newest first. FTS5 reads its postings in this order.
pub(super) const HITS: &str =
    "SELECT rowid FROM search_index WHERE search_index MATCH ?1 AND rowid > ?2 AND rowid < ?3
     ORDER BY rowid DESC LIMIT ?4";

const BY_ID: &str = entries!(
    "e.conversation, c.conversation_id, mine.first_seq",
    "JOIN conversations c ON c.id = e.conversation
     JOIN members mine ON mine.conversation = e.conversation AND mine.person = (SELECT id FROM people WHERE user_id = ?2)
     WHERE e.id = ?1 AND e.seq >= mine.first_seq"
);

/// A conversation to look in.
struct Place {
    row: i64,
    /// No entry of it is newer.
    position: i64,
    head_seq: i64,
    /// Where the caller's log begins.
    first_seq: i64,
}

pub(crate) fn search(
    conn: &Connection,
    caller: &UserId,
    search: &Search,
    after: Option<SearchKey>,
    limit: usize,
) -> rusqlite::Result<Option<Page<Message>>> {
    let nothing = Page {
        items: Vec::new(),
        next: None,
    };
    let (Some(person), sender) = (
        person_row(conn, caller)?,
        search.sender.as_ref().map(|user| person_row(conn, user)),
    ) else {
        return Ok(search.conversation.is_none().then_some(nothing));
    };
    let Some(places) = places(conn, caller, person, search.conversation.as_ref())? else {
        return Ok(None);
    };
    let sender = match sender.transpose()? {
        Some(None) => return Ok(Some(nothing)),
        Some(Some(row)) => Some(row),
        None => None,
    };
    if search.terms.is_empty() {
        return Ok(Some(nothing));
    }
    let edge = after.map_or(i64::MAX, |key| key.entry);
    let hits = hits(conn, places, search, sender, edge, limit)?;
    page(conn, caller, search, &hits, limit).map(Some)
}

/// The caller's conversations, those with the newest entries first.
fn places(
    conn: &Connection,
    caller: &UserId,
    person: i64,
    only: Option<&ConversationId>,
) -> rusqlite::Result<Option<Vec<Place>>> {
    if let Some(conversation) = only {
        let membership = membership(conn, caller, conversation)?;
        return Ok(membership.map(|membership| {
            vec![Place {
                row: membership.row,
                position: i64::MAX,
                head_seq: to_db(membership.head_seq),
                first_seq: to_db(membership.first_seq),
            }]
        }));
    }
    conn.prepare_cached(OWN)?
        .query_map(params![person, to_db(MOST_CONVERSATIONS as u64)], |row| {
            Ok(Place {
                row: row.get(0)?,
                position: row.get(1)?,
                head_seq: row.get(2)?,
                first_seq: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()
        .map(Some)
}

/// The newest `limit` hits before `edge`, and one more if there is one; newest first.
fn hits(
    conn: &Connection,
    places: Vec<Place>,
    search: &Search,
    sender: Option<i64>,
    edge: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let mut hits: Vec<i64> = Vec::new();
    let mut statement = conn.prepare_cached(HITS)?;
    for place in places {
        let full = hits.get(limit).copied();
        if full.is_some_and(|oldest| oldest >= place.position) {
            break;
        }
        let (mut low, mut high) = (full.unwrap_or(0), edge);
        if place.first_seq > 1 {
            low = low.max(row_at(conn, &place, place.first_seq)?.saturating_sub(1));
        }
        if let Some(time) = search.before {
            high = high.min(first_from(conn, &place, time)?);
        }
        if let Some(time) = search.after {
            let after = Timestamp(time.0.saturating_add(1));
            low = low.max(first_from(conn, &place, after)?.saturating_sub(1));
        }
        if low >= high {
            continue;
        }
        let asked = question(place.row, search, sender);
        let found = statement.query_map(
            params![asked, low, high, to_db(limit as u64).saturating_add(1)],
            |row| row.get(0),
        )?;
        let before = hits.len();
        for hit in found {
            hits.push(hit?);
        }
        if hits.len() > before {
            hits.sort_unstable_by(|one, other| other.cmp(one));
            hits.truncate(limit + 1);
        }
    }
    Ok(hits)
}

/// In FTS5's language. A token has no quotes.
fn question(conversation: i64, search: &Search, sender: Option<i64>) -> String {
    let mut asked = String::new();
    for term in &search.terms {
        let star = if term.is_prefix { "*" } else { "" };
        let token = query_token(conversation, term);
        let _ = write!(asked, "\"{token}\"{star} AND ");
    }
    match sender {
        Some(sender) => {
            let _ = write!(asked, "\"{}\"", sender_token(conversation, sender));
        }
        None => asked.truncate(asked.len() - " AND ".len()),
    }
    asked
}

/// The row of the entry at a `seq`; that of no entry if there is none.
fn row_at(conn: &Connection, place: &Place, seq: i64) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT id FROM entries WHERE conversation = ?1 AND seq = ?2")?
        .query_row(params![place.row, seq], |row| row.get(0))
        .optional()
        .map(|row| row.unwrap_or(i64::MAX))
}

/// The row of the first entry of a log that is not older than this. Times in a log never fall.
fn first_from(conn: &Connection, place: &Place, time: Timestamp) -> rusqlite::Result<i64> {
    let mut statement = conn.prepare_cached(
        "SELECT id, created_at FROM entries WHERE conversation = ?1 AND seq = ?2",
    )?;
    let (mut low, mut high) = (1, place.head_seq);
    let mut first = i64::MAX;
    while low <= high {
        let middle = low + (high - low) / 2;
        let found = statement
            .query_row(params![place.row, middle], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        match found {
            Some((id, created_at)) if created_at >= time.0 => {
                first = id;
                high = middle - 1;
            }
            _ => low = middle + 1,
        }
    }
    Ok(first)
}

/// The messages of hits, without those that the index has not followed yet.
fn page(
    conn: &Connection,
    caller: &UserId,
    search: &Search,
    hits: &[i64],
    limit: usize,
) -> rusqlite::Result<Page<Message>> {
    let mut budget = ByteBudget::default();
    let mut items = Vec::new();
    let mut last = None;
    let mut has_more = hits.len() > limit;
    let mut statement = conn.prepare_cached(BY_ID)?;
    for id in hits.iter().copied().take(limit) {
        let found = statement
            .query_row(params![id, caller.as_str()], |row| {
                let conversation = ConversationId::trusted(row.get_ref(10)?.as_str()?);
                let first_seq = from_db(row.get(11)?);
                let entry = entry(row, &conversation)?.seen_from(first_seq);
                Ok((row.get::<_, i64>(9)?, entry))
            })
            .optional()?;
        let message = match found {
            Some((row, entry)) => message_now(conn, row, caller, entry)?,
            None => None,
        };
        if let Some(message) = message.filter(|message| finds(&search.terms, message.content())) {
            if !budget.takes(weight::message(&message)) {
                has_more = true;
                break;
            }
            items.push(message);
        }
        last = Some(SearchKey { entry: id });
    }
    let next = last.filter(|_| has_more).map(SearchKey::write);
    Ok(Page { items, next })
}

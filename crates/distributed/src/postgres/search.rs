//! Searches in the index of messages.

use super::codec::{from_db, role_from_db, to_db};
use super::connection::Sql;
use super::database::Database;
use super::entries::{
    CHANGE_COLUMNS, ENTRY_COLUMNS, REACTION_COLUMNS, change_columns, change_joins, changed, entry,
    entry_columns, entry_joins, reacted, reaction_columns, reaction_joins,
};
use super::error::Failure;
use super::search_windows::{Window, windows};
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::search_terms::finds;
use lamplight_usecases::cursor::SearchKey;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{Page, Search, StoreResult};
use lamplight_usecases::search_index::{MOST_CONVERSATIONS, query_token, sender_token};
use lamplight_usecases::weight;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// Conversations of the first query, and those of the longest.
const FIRST: usize = 32;
const LONGEST: usize = 512;

/// The entry at which the log of a member `m` of a conversation `c` begins: 0 for a whole log.
macro_rules! first_entry {
    () => {
        "CASE WHEN m.first_seq > 1 THEN coalesce((SELECT e.id FROM entries e
             WHERE e.conversation = c.id AND e.seq = m.first_seq), 9223372036854775807) ELSE 0 END"
    };
}

/// The caller's conversations, those with the newest entries first.
pub(super) const OWN: Sql = Sql {
    text: concat!(
        "SELECT c.id, c.position, m.role, ",
        first_entry!(),
        " FROM (SELECT id FROM people WHERE user_id = $1 OFFSET 0) me
           JOIN members m ON m.person = me.id JOIN conversations c ON c.id = m.conversation
           ORDER BY c.position DESC, c.id DESC LIMIT $2"
    ),
    types: &[Type::TEXT, Type::INT8],
};

pub(super) const ONE: Sql = Sql {
    text: concat!(
        "SELECT c.id, c.position, m.role, ",
        first_entry!(),
        " FROM (SELECT c.id, c.position, me.id AS person FROM conversations c, people me
               WHERE c.conversation_id = $2 AND me.user_id = $1 OFFSET 0) c
           JOIN members m ON m.conversation = c.id AND m.person = c.person"
    ),
    types: &[Type::TEXT, Type::TEXT],
};

pub(super) const PERSON: Sql = Sql {
    text: "SELECT id FROM people WHERE user_id = $1",
    types: &[Type::TEXT],
};

/// Of what the index has for each question, the newest that follow an entry of the question's own and
/// precede an entry. The index is asked first: by the order of entries, PostgreSQL would read those of
/// others.
pub(super) const HITS: Sql = Sql {
    text: "SELECT h.entry FROM unnest($1::text[], $2::int8[]) AS a (question, low)
           CROSS JOIN LATERAL (
               SELECT s.entry FROM (SELECT entry FROM search_index WHERE tokens @@ a.question::tsquery OFFSET 0) s
               WHERE s.entry > a.low AND s.entry < $3 ORDER BY s.entry DESC LIMIT $4) h
           ORDER BY h.entry DESC LIMIT $4",
    types: &[Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::INT8, Type::INT8],
};

/// As [`HITS`], between two times.
pub(super) const HITS_IN_TIME: Sql = Sql {
    text: "SELECT h.entry FROM unnest($1::text[], $2::int8[]) AS a (question, low)
           CROSS JOIN LATERAL (
               SELECT s.entry FROM (SELECT entry FROM search_index WHERE tokens @@ a.question::tsquery OFFSET 0) s
               JOIN entries e ON e.id = s.entry
               WHERE s.entry > a.low AND s.entry < $3 AND e.created_at < $5 AND e.created_at > $6
               ORDER BY s.entry DESC LIMIT $4) h
           ORDER BY h.entry DESC LIMIT $4",
    types: &[
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
    ],
};

/// Messages by their ids, those that the caller may read at this moment.
pub(super) const FOUND: Sql = Sql {
    text: concat!(
        "SELECT ",
        entry_columns!(),
        ", ",
        change_columns!(),
        ", ",
        reaction_columns!("e.viewer"),
        ", e.id, c.conversation_id, e.first_seq
         FROM (SELECT e.*, m.first_seq, m.person AS viewer FROM unnest($2::int8[]) AS a (id) JOIN entries e ON e.id = a.id
             JOIN members m ON m.conversation = e.conversation AND m.person = (SELECT id FROM people WHERE user_id = $1)
             WHERE e.seq >= m.first_seq OFFSET 0) e
         JOIN conversations c ON c.id = e.conversation",
        entry_joins!(),
        change_joins!(),
        reaction_joins!(),
        "ORDER BY e.id DESC"
    ),
    types: &[Type::TEXT, Type::INT8_ARRAY],
};

/// A conversation to look in.
struct Place {
    row: i64,
    /// No entry of it is newer.
    position: i64,
    /// The entry at which the caller's log begins, 0 for a whole log.
    first: i64,
}

pub(crate) async fn search(
    database: &Database,
    caller: &UserId,
    search: &Search,
    after: Option<SearchKey>,
    limit: usize,
) -> StoreResult<Option<Page<Message>>> {
    let nothing = Page {
        items: Vec::new(),
        next: None,
    };
    let user = caller.as_str();
    let rows = match &search.conversation {
        Some(conversation) => {
            database
                .rows(&ONE, &[&user, &conversation.as_str()])
                .await?
        }
        None => {
            let most = to_db(MOST_CONVERSATIONS as u64);
            database.rows(&OWN, &[&user, &most]).await?
        }
    };
    let places = places(&rows).map_err(Failure::from)?;
    if places.is_empty() && search.conversation.is_some() {
        return Ok(None);
    }
    let sender = match &search.sender {
        Some(sender) => match database.row(&PERSON, &[&sender.as_str()]).await? {
            Some(row) => Some(row.try_get(0).map_err(Failure::from)?),
            None => return Ok(Some(nothing)),
        },
        None => None,
    };
    if search.terms.is_empty() {
        return Ok(Some(nothing));
    }
    let edge = after.map_or(i64::MAX, |key| key.entry);
    let hits = hits(database, &places, search, sender, edge, limit).await?;
    if hits.is_empty() {
        return Ok(Some(nothing));
    }
    let wanted = &hits[..hits.len().min(limit)];
    let rows = database.rows(&FOUND, &[&user, &wanted]).await?;
    Ok(Some(
        page(&rows, caller, search, &hits, limit).map_err(Failure::from)?,
    ))
}

fn places(rows: &[Row]) -> Result<Vec<Place>, tokio_postgres::Error> {
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        if authorize(Some(role_from_db(row.try_get(2)?)), Action::View).is_ok() {
            places.push(Place {
                row: row.try_get(0)?,
                position: row.try_get(1)?,
                first: row.try_get(3)?,
            });
        }
    }
    Ok(places)
}

/// The newest `limit` hits before `edge`, and one more if there is one; newest first.
async fn hits(
    database: &Database,
    mut places: &[Place],
    search: &Search,
    sender: Option<i64>,
    edge: i64,
    limit: usize,
) -> StoreResult<Vec<i64>> {
    let mut hits: Vec<i64> = Vec::new();
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut at_once = FIRST;
    while let Some(first) = places.first() {
        let newest = first.position.min(edge.saturating_sub(1));
        let (now, rest) = places.split_at(at_once.min(places.len()));
        places = rest;
        at_once = (at_once * 4).min(LONGEST);
        for window in windows(newest) {
            let low = hits.get(limit).copied().unwrap_or(0);
            if low >= window.below - 1 {
                break;
            }
            let (asked, lows) = questions(now, search, sender, low, window);
            if asked.is_empty() {
                continue;
            }
            let rows = if search.before.is_some() || search.after.is_some() {
                let before = search.before.map_or(i64::MAX, |time| time.0);
                let after = search.after.map_or(i64::MIN, |time| time.0);
                let params: &[&(dyn ToSql + Sync)] =
                    &[&asked, &lows, &edge, &wanted, &before, &after];
                database.rows(&HITS_IN_TIME, params).await?
            } else {
                let params: &[&(dyn ToSql + Sync)] = &[&asked, &lows, &edge, &wanted];
                database.rows(&HITS, params).await?
            };
            for row in &rows {
                hits.push(row.try_get(0).map_err(Failure::from)?);
            }
            hits.sort_unstable_by(|one, other| other.cmp(one));
            hits.truncate(limit + 1);
        }
    }
    Ok(hits)
}

/// What to ask of the index for a window, and the entry that each answer has to follow: one question for
/// the whole logs, and one for each log that begins later. A hit of before must not count, or the end of
/// a page would tell that it is there.
fn questions(
    places: &[Place],
    search: &Search,
    sender: Option<i64>,
    low: i64,
    window: Window,
) -> (Vec<String>, Vec<i64>) {
    let ranges = window.question();
    let (whole, late): (Vec<&Place>, Vec<&Place>) = places
        .iter()
        .filter(|place| place.position >= window.from && place.first < window.below)
        .partition(|place| place.first == 0);
    let whole: Vec<String> = whole
        .into_iter()
        .map(|place| question(place, search, sender))
        .collect();
    let whole = (!whole.is_empty()).then(|| (format!("({})&{ranges}", whole.join("|")), low));
    let late = late.into_iter().map(|place| {
        let low = low.max(place.first.saturating_sub(1));
        let question = question(place, search, sender);
        (format!("{question}&{ranges}"), low)
    });
    whole.into_iter().chain(late).unzip()
}

/// In the language of `tsquery`. A token has neither quotes nor backslashes.
fn question(place: &Place, search: &Search, sender: Option<i64>) -> String {
    let term = |term| {
        let token = query_token(place.row, term);
        let star = if term.is_prefix { ":*" } else { "" };
        format!("'{token}'{star}")
    };
    let mut all: Vec<String> = search.terms.iter().map(term).collect();
    all.extend(sender.map(|sender| format!("'{}'", sender_token(place.row, sender))));
    format!("({})", all.join("&"))
}

/// The messages of hits, without those that the index has not followed yet.
fn page(
    rows: &[Row],
    caller: &UserId,
    search: &Search,
    hits: &[i64],
    limit: usize,
) -> Result<Page<Message>, tokio_postgres::Error> {
    const OF_ENTRY: usize = ENTRY_COLUMNS + CHANGE_COLUMNS + REACTION_COLUMNS;
    let mut budget = ByteBudget::default();
    let mut items = Vec::new();
    let mut last = hits.iter().take(limit).next_back().copied();
    let mut has_more = hits.len() > limit;
    let mut before = None;
    for row in rows {
        let conversation = ConversationId::trusted(row.try_get::<_, &str>(OF_ENTRY + 1)?);
        let Some(entry) = entry(row, 0, &conversation)? else {
            continue;
        };
        let mut message = changed(row, ENTRY_COLUMNS, entry)?;
        reacted(row, ENTRY_COLUMNS + CHANGE_COLUMNS, &mut message, caller)?;
        let message = message.seen_from(from_db(row.try_get(OF_ENTRY + 2)?));
        if finds(&search.terms, message.content()) {
            if !budget.takes(weight::message(&message)) {
                (last, has_more) = (before, true);
                break;
            }
            items.push(message);
        }
        before = Some(row.try_get(OF_ENTRY)?);
    }
    let next = last
        .filter(|_| has_more)
        .map(|entry| SearchKey { entry }.write());
    Ok(Page { items, next })
}

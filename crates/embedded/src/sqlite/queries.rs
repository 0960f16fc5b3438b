//! Reads of conversations, their members and the lists of them. Each function needs one snapshot: a
//! reader's, or the writer's transaction.

use super::codec::{from_db, role_from_db, to_db};
use super::entries::entry_at;
use super::history::{News, news};
use super::messages_now::without_reactions;
use super::settings::settings;
use lamplight_domain::conversation::{
    Conversation, ConversationDetails, ConversationSummary, GroupDetails, MemberProfiles, Members,
    SHOWN_MEMBERS,
};
use lamplight_domain::group::{Readers, is_group};
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::ConversationKey;
use lamplight_usecases::named;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{ListFilter, Page};
use lamplight_usecases::weight;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::HashSet;

/// The columns of `conversations` that a summary needs.
struct Outline {
    row: i64,
    id: ConversationId,
    head_seq: i64,
    created_at: i64,
    position: i64,
}

fn outline(row: &Row<'_>) -> rusqlite::Result<Outline> {
    Ok(Outline {
        row: row.get(0)?,
        id: ConversationId::trusted(row.get_ref(1)?.as_str()?),
        head_seq: row.get(2)?,
        created_at: row.get(3)?,
        position: row.get(4)?,
    })
}

fn summarise(
    conn: &Connection,
    person: i64,
    outline: Outline,
) -> rusqlite::Result<ConversationSummary> {
    let (read_seq, role, first_seq, settings) = conn
        .prepare_cached(
            "SELECT m.read_seq, m.role, m.first_seq, s.muted_until, s.archived, s.pinned FROM members m
             LEFT JOIN member_settings s ON s.conversation = m.conversation AND s.person = m.person
             WHERE m.conversation = ?1 AND m.person = ?2",
        )?
        .query_row(params![outline.row, person], |row| {
            Ok((
                from_db(row.get(0)?),
                role_from_db(row.get(1)?),
                from_db(row.get(2)?),
                settings(row, 3)?,
            ))
        })?;
    let head_seq = from_db(outline.head_seq);
    let News {
        unread,
        last_message_seq,
        may_be_changed,
    } = news(conn, outline.row, head_seq, read_seq)?;
    let last = if last_message_seq < first_seq {
        None
    } else {
        entry_at(conn, outline.row, &outline.id, last_message_seq)?
    };
    let last_message = match last.map(|last| last.seen_from(first_seq)) {
        Some(last) if may_be_changed => without_reactions(conn, outline.row, last)?,
        last => last.map(Into::into),
    };
    Ok(ConversationSummary {
        id: outline.id,
        role,
        last_message,
        unread,
        head_seq,
        read_seq,
        settings,
        created_at: Timestamp(outline.created_at),
    })
}

/// The data that is the same for all members.
fn details_of(conn: &Connection, row: i64) -> rusqlite::Result<ConversationDetails> {
    let members = conn
        .prepare_cached(
            "SELECT p.user_id, p.name, p.avatar_url FROM members m JOIN people p ON p.id = m.person
             WHERE m.conversation = ?1 ORDER BY p.user_id LIMIT ?2",
        )?
        .query_map(params![row, to_db(SHOWN_MEMBERS as u64)], |row| {
            profile(row, 0)
        })?
        .collect::<rusqlite::Result<MemberProfiles>>()?;
    let recorded = conn
        .prepare_cached("SELECT name, avatar_url FROM conversation_groups WHERE conversation = ?1")?
        .query_row([row], |row| {
            let text = |at| row.get::<_, Option<String>>(at);
            Ok((text(0)?, text(1)?))
        })
        .optional()?;
    if !is_group(recorded.is_some(), members.len()) {
        return Ok(ConversationDetails {
            members,
            group: None,
        });
    }
    let (name, avatar_url) = recorded.unwrap_or_default();
    let member_count = if members.len() < SHOWN_MEMBERS {
        members.len() as u64
    } else {
        conn.prepare_cached("SELECT count(*) FROM members WHERE conversation = ?1")?
            .query_row([row], |row| row.get(0).map(from_db))?
    };
    let group = GroupDetails {
        name: name.map(Into::into),
        avatar_url: avatar_url.map(Into::into),
        member_count,
    };
    Ok(ConversationDetails {
        members,
        group: Some(group),
    })
}

fn fill(conn: &Connection, person: i64, outline: Outline) -> rusqlite::Result<Conversation> {
    let details = details_of(conn, outline.row)?;
    Ok(summarise(conn, person, outline)?.with_details(details))
}

/// A profile from three columns, the first of them at `at`.
pub(crate) fn profile(row: &Row<'_>, at: usize) -> rusqlite::Result<Profile> {
    Ok(Profile {
        id: UserId::trusted(row.get_ref(at)?.as_str()?),
        name: row.get_ref(at + 1)?.as_str()?.into(),
        avatar_url: row.get_ref(at + 2)?.as_str_or_null()?.map(Into::into),
    })
}

/// The profiles of users in a page, as far as they fit beside it.
pub(crate) fn profiles(conn: &Connection, users: &[UserId]) -> rusqlite::Result<Vec<Profile>> {
    let mut statement =
        conn.prepare_cached("SELECT user_id, name, avatar_url FROM people WHERE user_id = ?1")?;
    let mut found = Vec::with_capacity(users.len());
    for user in users {
        let one = statement.query_row([user.as_str()], |row| profile(row, 0));
        found.extend(one.optional()?);
    }
    Ok(named::fitting(users, found))
}

fn person(conn: &Connection, user: &UserId) -> rusqlite::Result<Option<i64>> {
    super::codec::person_row(conn, user)
}

/// A conversation of the caller's, and the caller's row.
fn own(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<(i64, Outline)>> {
    let Some(person) = person(conn, caller)? else {
        return Ok(None);
    };
    let found = conn
        .prepare_cached(
            "SELECT c.id, c.conversation_id, c.head_seq, c.created_at, c.position FROM conversations c
             JOIN members m ON m.conversation = c.id AND m.person = ?2 WHERE c.conversation_id = ?1",
        )?
        .query_row(params![conversation.as_str(), person], outline)
        .optional()?;
    Ok(found.map(|found| (person, found)))
}

pub(crate) fn conversation(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<Conversation>> {
    own(conn, caller, conversation)?
        .map(|(person, found)| fill(conn, person, found))
        .transpose()
}

pub(crate) fn summary(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<ConversationSummary>> {
    own(conn, caller, conversation)?
        .map(|(person, found)| summarise(conn, person, found))
        .transpose()
}

pub(crate) fn details(
    conn: &Connection,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<ConversationDetails>> {
    row_of(conn, conversation)?
        .map(|row| details_of(conn, row))
        .transpose()
}

fn row_of(conn: &Connection, conversation: &ConversationId) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT id FROM conversations WHERE conversation_id = ?1")?
        .query_row([conversation.as_str()], |row| row.get(0))
        .optional()
}

/// The members of a conversation, and where each one's log begins.
pub(crate) fn readers(
    conn: &Connection,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<Readers>> {
    let Some(row) = row_of(conn, conversation)? else {
        return Ok(None);
    };
    let mut statement = conn.prepare_cached(
        "SELECT p.user_id, m.first_seq FROM members m JOIN people p ON p.id = m.person
         WHERE m.conversation = ?1 ORDER BY p.user_id",
    )?;
    let found = statement.query_map([row], |row| {
        let user = UserId::trusted(row.get_ref(0)?.as_str()?);
        Ok((user, from_db(row.get(1)?)))
    })?;
    let found = found.collect::<rusqlite::Result<Vec<(UserId, u64)>>>()?;
    Ok(Some(Readers::new(found)))
}

/// The conversation under a direct key, as one of the two sees it.
pub(crate) fn direct(
    conn: &Connection,
    caller: &UserId,
    key: &str,
) -> rusqlite::Result<Option<Conversation>> {
    let found = conn
        .prepare_cached("SELECT conversation_id FROM conversations WHERE direct_key = ?1")?
        .query_row([key], |row| {
            Ok(ConversationId::trusted(row.get_ref(0)?.as_str()?))
        })
        .optional()?;
    found.map_or(Ok(None), |id| conversation(conn, caller, &id))
}

const BY_NEWEST: &str = "SELECT c.id, c.conversation_id, c.head_seq, c.created_at, c.position
     FROM members m JOIN conversations c ON c.id = m.conversation
     WHERE m.person = ?1 AND (c.position, c.id) < (?2, ?3)
     AND (?5 IS NULL OR ?5 = EXISTS (SELECT 1 FROM member_settings s
         WHERE s.conversation = m.conversation AND s.person = m.person AND s.archived = 1))
     AND (?6 IS NULL OR ?6 = EXISTS (SELECT 1 FROM member_settings s
         WHERE s.conversation = m.conversation AND s.person = m.person AND s.pinned = 1))
     ORDER BY c.position DESC, c.id DESC LIMIT ?4";

pub(crate) fn conversations(
    conn: &Connection,
    caller: &UserId,
    filter: Option<ListFilter>,
    after: Option<ConversationKey>,
    limit: usize,
) -> rusqlite::Result<Page<Conversation>> {
    let Some(person) = person(conn, caller)? else {
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    };
    let after = after.unwrap_or(ConversationKey {
        position: i64::MAX,
        row: 0,
    });
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut found = conn
        .prepare_cached(BY_NEWEST)?
        .query_map(
            params![
                person,
                after.position,
                after.row,
                wanted,
                filter.and_then(ListFilter::archived),
                filter.and_then(ListFilter::pinned),
            ],
            outline,
        )?
        .collect::<rusqlite::Result<Vec<Outline>>>()?;
    let mut has_more = found.len() > limit;
    found.truncate(limit);
    let mut budget = ByteBudget::default();
    let mut items = Vec::new();
    let mut last = None;
    for outline in found {
        let key = ConversationKey {
            position: outline.position,
            row: outline.row,
        };
        let conversation = fill(conn, person, outline)?;
        if !budget.takes(weight::conversation(&conversation)) {
            has_more = true;
            break;
        }
        items.push(conversation);
        last = Some(key);
    }
    let next = last.filter(|_| has_more).map(|last| last.write());
    Ok(Page { items, next })
}

/// Those with entries past the read mark.
pub(super) const COUNTED: &str =
    "SELECT c.id, c.head_seq, m.read_seq, s.muted_until, s.archived, s.pinned
     FROM members m JOIN conversations c ON c.id = m.conversation
     LEFT JOIN member_settings s ON s.conversation = m.conversation AND s.person = m.person
     WHERE m.person = ?1 AND c.head_seq > m.read_seq";

/// The unread messages in the caller's conversations that are neither muted nor archived.
pub(crate) fn total_unread(
    conn: &Connection,
    caller: &UserId,
    at: Timestamp,
) -> rusqlite::Result<u64> {
    let Some(person) = person(conn, caller)? else {
        return Ok(0);
    };
    let mut statement = conn.prepare_cached(COUNTED)?;
    let mut found = statement.query([person])?;
    let mut total = 0;
    while let Some(row) = found.next()? {
        if settings(row, 3)?.is_counted(at) {
            let (head_seq, read_seq) = (from_db(row.get(1)?), from_db(row.get(2)?));
            total += news(conn, row.get(0)?, head_seq, read_seq)?.unread;
        }
    }
    Ok(total)
}

pub(crate) fn others(
    conn: &Connection,
    caller: &UserId,
    known: &HashSet<ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<Conversation>> {
    let Some(person) = person(conn, caller)? else {
        return Ok(Vec::new());
    };
    // This many conversations include `limit` unknown ones, if that many exist.
    let wanted = to_db(limit as u64).saturating_add(to_db(known.len() as u64));
    let mut statement = conn.prepare_cached(BY_NEWEST)?;
    let any = None::<bool>;
    let found = statement.query_map(params![person, i64::MAX, 0, wanted, any, any], outline)?;
    let (mut items, mut budget) = (Vec::new(), ByteBudget::default());
    for found in found {
        let found = found?;
        if items.len() == limit {
            break;
        }
        if !known.contains(&found.id) {
            let conversation = fill(conn, person, found)?;
            if !budget.takes(weight::conversation(&conversation)) {
                break;
            }
            items.push(conversation);
        }
    }
    Ok(items)
}

pub(crate) fn members(
    conn: &Connection,
    conversation: &ConversationId,
) -> rusqlite::Result<Option<Members>> {
    let Some(row) = row_of(conn, conversation)? else {
        return Ok(None);
    };
    let mut statement = conn
        .prepare_cached("SELECT p.user_id FROM members m JOIN people p ON p.id = m.person WHERE m.conversation = ?1 ORDER BY p.user_id")?;
    let found = statement.query_map([row], |row| Ok(UserId::trusted(row.get_ref(0)?.as_str()?)))?;
    Ok(Some(
        found.collect::<rusqlite::Result<Vec<UserId>>>()?.into(),
    ))
}

pub(crate) fn shared_with(
    conn: &Connection,
    user: &UserId,
) -> rusqlite::Result<Vec<(ConversationId, Members)>> {
    let Some(person) = person(conn, user)? else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(
        "SELECT c.conversation_id, p.user_id FROM members mine
         JOIN conversations c ON c.id = mine.conversation
         JOIN members m ON m.conversation = mine.conversation
         JOIN people p ON p.id = m.person
         WHERE mine.person = ?1 ORDER BY mine.conversation, p.user_id",
    )?;
    let mut found = statement.query([person])?;
    let mut shared: Vec<(ConversationId, Vec<UserId>)> = Vec::new();
    while let Some(row) = found.next()? {
        let conversation = row.get_ref(0)?.as_str()?;
        let user = UserId::trusted(row.get_ref(1)?.as_str()?);
        match shared.last_mut() {
            Some((id, members)) if id.as_str() == conversation => members.push(user),
            _ => shared.push((ConversationId::trusted(conversation), vec![user])),
        }
    }
    Ok(shared
        .into_iter()
        .map(|(id, members)| (id, members.into()))
        .collect())
}

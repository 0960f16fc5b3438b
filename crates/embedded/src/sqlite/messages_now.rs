//! Messages as they are now: entries with what later entries made of them. Each function needs one
//! snapshot: a reader's, or the writer's transaction.

use super::codec::{from_db, person_row, to_db};
use super::entries::{entries, entry};
use super::history::{first_seq, membership};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::Entry;
use lamplight_domain::fold::{Message, REACTION_USERS, Reactions};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::pages::{self, FoundMessages, Side};
use lamplight_usecases::ports::{MessagePage, PinnedPage, Range};
use lamplight_usecases::record;
use rusqlite::{Connection, Row, params};
use std::collections::{BinaryHeap, HashMap, hash_map};

// The inner query passes entries of other kinds in two indexes, which it merges, without reading them: a message can
// have thousands of reactions.
pub(super) const OLDER: &str = entries!(
    "WHERE e.conversation = ?1 AND e.seq IN (
         SELECT seq FROM entries WHERE conversation = ?1 AND seq < ?2 AND seq >= ?4
         EXCEPT SELECT seq FROM other_entries WHERE conversation = ?1 AND seq < ?2 AND seq >= ?4
         ORDER BY seq DESC LIMIT ?3)
     ORDER BY e.seq DESC"
);
pub(super) const NEWER: &str = entries!(
    "WHERE e.conversation = ?1 AND e.seq IN (
         SELECT seq FROM entries WHERE conversation = ?1 AND seq > ?2 AND seq >= ?4
         EXCEPT SELECT seq FROM other_entries WHERE conversation = ?1 AND seq > ?2 AND seq >= ?4
         ORDER BY seq LIMIT ?3)
     ORDER BY e.seq"
);
pub(super) const PINNED: &str = entries!(
    "WHERE e.conversation = ?1 AND e.seq IN (
         SELECT k.seq FROM message_changes k INDEXED BY pinned_messages
         WHERE k.conversation = ?1 AND k.pinned_seq IS NOT NULL AND k.seq < ?2 AND k.seq >= ?4
         ORDER BY k.seq DESC LIMIT ?3)
     ORDER BY e.seq DESC"
);
pub(super) const CHANGES: &str =
    "SELECT seq, content, mentions, edited_at, deleted_at, pinned_at FROM message_changes
     WHERE conversation = ?1 AND seq BETWEEN ?2 AND ?3";
// In the order of the primary key.
pub(super) const REACTIONS: &str = "SELECT seq, emoji, person, entry_seq FROM reactions WHERE conversation = ?1 AND seq BETWEEN ?2 AND ?3
     ORDER BY seq, emoji";
const USER_ID: &str = "SELECT user_id FROM people WHERE id = ?1";

/// A page of messages.
pub(crate) fn messages(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> rusqlite::Result<Option<MessagePage>> {
    let Some(membership) = membership(conn, caller, conversation)? else {
        return Ok(None);
    };
    let (row, first) = (membership.row, membership.first_seq);
    let side = |sql, edge| {
        let wanted = to_db(limit as u64).saturating_add(1);
        let mut statement = conn.prepare_cached(sql)?;
        let found = statement.query_map(params![row, edge, wanted, to_db(first)], |row| {
            Ok(entry(row, conversation)?.seen_from(first))
        })?;
        let found = found.collect::<rusqlite::Result<Vec<Entry>>>()?;
        let messages = reacted(conn, row, caller, changed(conn, row, found)?)?;
        Side::nearest(messages.into_iter().map(Ok::<_, rusqlite::Error>), limit)
    };
    let found = match range {
        Range::Newest => FoundMessages::Older(side(OLDER, i64::MAX)?),
        Range::Before(seq) => FoundMessages::Older(side(OLDER, to_db(seq))?),
        Range::After(seq) => FoundMessages::Newer(side(NEWER, to_db(seq))?),
        Range::Around(seq) => {
            let edge = to_db(seq);
            let newer = side(NEWER, edge.saturating_sub(1))?;
            FoundMessages::Both(side(OLDER, edge)?, newer)
        }
    };
    let first_seq = first_seq(conn, &membership)?;
    Ok(Some(pages::messages(
        found,
        range,
        limit,
        first_seq,
        membership.head_seq,
    )))
}

/// The newest pinned messages before a `seq`.
pub(crate) fn pinned(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
    before: u64,
    limit: usize,
) -> rusqlite::Result<Option<PinnedPage>> {
    let Some(membership) = membership(conn, caller, conversation)? else {
        return Ok(None);
    };
    let (row, first) = (membership.row, membership.first_seq);
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut statement = conn.prepare_cached(PINNED)?;
    let found = statement.query_map(params![row, to_db(before), wanted, to_db(first)], |row| {
        Ok(entry(row, conversation)?.seen_from(first))
    })?;
    // One by one: pinned messages are far apart, and changes of the messages between them need not be
    // read.
    let messages = found
        .map(|entry| message_now(conn, row, caller, entry?))
        .filter_map(Result::transpose);
    let Side {
        mut items,
        has_more,
    } = Side::nearest(messages, limit)?;
    items.reverse();
    Ok(Some(PinnedPage {
        messages: items,
        has_more,
        as_of_seq: membership.head_seq,
        users: Vec::new(),
    }))
}

/// A message as `viewer` sees it now.
pub(super) fn message_now(
    conn: &Connection,
    row: i64,
    viewer: &UserId,
    entry: Entry,
) -> rusqlite::Result<Option<Message>> {
    let messages = changed(conn, row, vec![entry])?;
    Ok(reacted(conn, row, viewer, messages)?.pop())
}

/// A message as it is now, without its reactions.
pub(super) fn without_reactions(
    conn: &Connection,
    row: i64,
    entry: Entry,
) -> rusqlite::Result<Option<Message>> {
    Ok(changed(conn, row, vec![entry])?.pop())
}

/// The changes of a message, as in the table of changes.
struct Changed {
    edit: Option<(Content, Vec<UserId>, Timestamp)>,
    deleted_at: Option<Timestamp>,
    pinned_at: Option<Timestamp>,
}

fn changes_of(row: &Row<'_>) -> rusqlite::Result<(u64, Changed)> {
    let time = |place| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(place)?.map(Timestamp));
    let content = row.get_ref(1)?.as_str_or_null()?;
    let mentions = row.get_ref(2)?.as_str_or_null()?;
    let edit = content.zip(time(3)?).map(|(content, at)| {
        let mentions = mentions.map(record::read_mentions).unwrap_or_default();
        (Content::trusted(content), mentions, at)
    });
    let changed = Changed {
        edit,
        deleted_at: time(4)?,
        pinned_at: time(5)?,
    };
    Ok((from_db(row.get(0)?), changed))
}

/// The lowest and the highest `seq` of messages in either order.
fn bounds(first: Option<u64>, last: Option<u64>) -> Option<(i64, i64)> {
    let (first, last) = first.zip(last)?;
    Some((to_db(first.min(last)), to_db(first.max(last))))
}

/// Makes messages of entries that stand in a row in the log, with edits, deletions and pins.
fn changed(conn: &Connection, row: i64, entries: Vec<Entry>) -> rusqlite::Result<Vec<Message>> {
    let seq = |entry: &Entry| entry.seq;
    let Some((low, high)) = bounds(entries.first().map(seq), entries.last().map(seq)) else {
        return Ok(Vec::new());
    };
    let mut changes = conn
        .prepare_cached(CHANGES)?
        .query_map(params![row, low, high], changes_of)?
        .collect::<rusqlite::Result<HashMap<u64, Changed>>>()?;
    let message = |entry: Entry| {
        let changed = changes.remove(&entry.seq);
        let mut message = Message::from(entry);
        if let Some(changed) = changed {
            if let Some((content, mentions, at)) = changed.edit {
                message.edit(content, mentions, at);
            }
            message.pinned_at = changed.pinned_at;
            if let Some(at) = changed.deleted_at {
                message.delete(at);
            }
        }
        message
    };
    Ok(entries.into_iter().map(message).collect())
}

/// The reactions with one emoji on a message, of which only those are held that are named.
struct Kind {
    emoji: Emoji,
    count: u64,
    is_mine: bool,
    /// The first ones: the entries that added them, and whose they are.
    first: BinaryHeap<(i64, i64)>,
}

impl Kind {
    fn new(emoji: &str) -> Self {
        Self {
            emoji: Emoji::trusted(emoji),
            count: 0,
            is_mine: false,
            first: BinaryHeap::new(),
        }
    }

    fn add(&mut self, entry_seq: i64, person: i64, viewer: Option<i64>) {
        self.count += 1;
        self.is_mine |= viewer == Some(person);
        if self.first.len() < REACTION_USERS {
            self.first.push((entry_seq, person));
        } else if let Some(mut last) = self.first.peek_mut()
            && entry_seq < last.0
        {
            *last = (entry_seq, person);
        }
    }
}

/// Adds the reactions on messages. A message can have thousands of them: few become values.
fn reacted(
    conn: &Connection,
    row: i64,
    viewer: &UserId,
    mut messages: Vec<Message>,
) -> rusqlite::Result<Vec<Message>> {
    let seq = |message: &Message| message.entry.seq;
    let Some((low, high)) = bounds(messages.first().map(seq), messages.last().map(seq)) else {
        return Ok(messages);
    };
    let mut kinds: Vec<(u64, Kind)> = Vec::new();
    let mut me = None;
    let mut statement = conn.prepare_cached(REACTIONS)?;
    let mut found = statement.query(params![row, low, high])?;
    // In the order of messages, and of the emoji on each.
    while let Some(reaction) = found.next()? {
        let seq = from_db(reaction.get(0)?);
        let emoji = reaction.get_ref(1)?.as_str()?;
        let is_next = |(of, kind): &(u64, Kind)| *of != seq || kind.emoji.as_str() != emoji;
        if kinds.last().is_none_or(is_next) {
            kinds.push((seq, Kind::new(emoji)));
        }
        let mine = match me {
            Some(mine) => mine,
            None => *me.insert(person_row(conn, viewer)?),
        };
        if let Some((_, kind)) = kinds.last_mut() {
            kind.add(reaction.get(3)?, reaction.get(2)?, mine);
        }
    }
    // Few people react on the messages of a page, each to many: they are looked up once.
    let mut person = conn.prepare_cached(USER_ID)?;
    let mut people: HashMap<i64, UserId> = HashMap::new();
    let mut user_of = |id: i64| match people.entry(id) {
        hash_map::Entry::Occupied(known) => Ok::<_, rusqlite::Error>(known.get().clone()),
        hash_map::Entry::Vacant(new) => {
            let user = |row: &Row<'_>| Ok(UserId::trusted(row.get_ref(0)?.as_str()?));
            Ok(new.insert(person.query_row([id], user)?).clone())
        }
    };
    let mut reactions: HashMap<u64, Vec<(i64, Reactions)>> = HashMap::new();
    for (seq, kind) in kinds {
        let first = kind.first.into_sorted_vec();
        let began = first.first().map_or(0, |(entry_seq, _)| *entry_seq);
        let users = first.into_iter().map(|(_, id)| user_of(id));
        let of = Reactions {
            emoji: kind.emoji,
            count: kind.count,
            is_mine: kind.is_mine,
            users: users.collect::<rusqlite::Result<_>>()?,
        };
        reactions.entry(seq).or_default().push((began, of));
    }
    for message in &mut messages {
        if let Some(mut of) = reactions.remove(&message.entry.seq) {
            of.sort_unstable_by_key(|(began, _)| *began);
            message.reactions = of.into_iter().map(|(_, of)| of).collect();
        }
    }
    Ok(messages)
}

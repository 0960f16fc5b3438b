//! Changes of messages: finds the message, asks the rules, and keeps the tables in step with the
//! entry that is appended.

use super::batch::{CachedConversation, CachedMember};
use super::codec::{from_db, to_db};
use super::deletions::{erase, last_before};
use super::entries::{entries, entry};
use super::files::delete_of_message;
use super::insert::{EntryRow, Inserted, insert};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Change, Entry, EntryKind, MessageAction, Quote};
use lamplight_domain::identity::{MessageId, UserId};
use lamplight_domain::message::{Content, excerpt};
use lamplight_domain::message_rules::{
    Actor, MessageState, ReactionState, Verdict, WriteRefused, judge,
};
use lamplight_domain::write::NewEntry;
use lamplight_usecases::record;
use rusqlite::{Connection, OptionalExtension as _, params};

pub(super) const TARGET: &str = entries!(
    "c.content, c.mentions, c.content_seq, c.deleted_seq, c.pinned_seq",
    "LEFT JOIN message_changes c ON c.conversation = e.conversation AND c.seq = e.seq
     WHERE e.message_id = ?2 AND +e.conversation = ?1 AND o.kind IS NULL"
);

/// A message of the log by its id, as it is now.
fn target(
    conn: &Connection,
    row: i64,
    new: &NewEntry,
    id: &MessageId,
) -> rusqlite::Result<Option<MessageState>> {
    conn.prepare_cached(TARGET)?
        .query_row(params![row, id.as_str()], |row| {
            let Entry {
                seq,
                sender,
                kind,
                created_at,
                ..
            } = entry(row, &new.conversation)?;
            let number = |place| row.get::<_, Option<i64>>(place).map(|of| of.map(from_db));
            let (mut content, extras) = match kind {
                EntryKind::Message { content, extras } => (content, extras),
                _ => (Content::trusted(""), None),
            };
            let mut mentions = extras.map(|extras| extras.mentions).unwrap_or_default();
            if let Some(edited) = row.get_ref(9)?.as_str_or_null()? {
                content = Content::trusted(edited);
                let record = row.get_ref(10)?.as_str_or_null()?;
                mentions = record.map(record::read_mentions).unwrap_or_default();
            }
            Ok(MessageState {
                seq,
                sender,
                created_at,
                content,
                mentions,
                content_seq: number(11)?.unwrap_or(seq),
                deleted_seq: number(12)?,
                pinned_seq: number(13)?,
                reactions: ReactionState::default(),
            })
        })
        .optional()
}

/// The message that a new one answers, unless it is deleted or before the sender's log.
pub(super) fn quote(
    conn: &Connection,
    row: i64,
    first_seq: u64,
    new: &NewEntry,
    id: &MessageId,
) -> rusqlite::Result<Option<Quote>> {
    let target = target(conn, row, new, id)?
        .filter(|target| target.deleted_seq.is_none() && target.seq >= first_seq);
    Ok(target.map(|target| Quote {
        id: id.clone(),
        seq: target.seq,
        sender: target.sender,
        excerpt: excerpt(&target.content),
    }))
}

/// One row for each emoji on a message: whether it is the requested one, and the entry that added
/// the user's reaction. Jumps from one emoji to the next in the index, whatever the number of
/// users.
pub(super) const KINDS: &str = "WITH RECURSIVE kinds (emoji) AS (
        SELECT min(emoji) FROM reactions WHERE conversation = ?1 AND seq = ?2
        UNION ALL
        SELECT (SELECT min(emoji) FROM reactions WHERE conversation = ?1 AND seq = ?2 AND emoji > kinds.emoji)
        FROM kinds WHERE kinds.emoji IS NOT NULL
     )
     SELECT k.emoji = ?3, r.entry_seq FROM kinds k
     LEFT JOIN reactions r ON r.conversation = ?1 AND r.seq = ?2 AND r.emoji = k.emoji AND r.person = ?4
     WHERE k.emoji IS NOT NULL";

fn reactions(
    conn: &Connection,
    row: i64,
    seq: u64,
    emoji: &Emoji,
    person: i64,
) -> rusqlite::Result<ReactionState> {
    let mut state = ReactionState::default();
    let mut statement = conn.prepare_cached(KINDS)?;
    let mut found = statement.query(params![row, to_db(seq), emoji.as_str(), person])?;
    while let Some(kind) = found.next()? {
        let is_this: bool = kind.get(0)?;
        let own = kind.get::<_, Option<i64>>(1)?.map(from_db);
        state.kinds += 1;
        state.has_kind |= is_this;
        state.own += usize::from(own.is_some());
        if is_this {
            state.own_seq = own;
        }
    }
    Ok(state)
}

pub(super) const PINS: &str = "SELECT count(*) FROM message_changes INDEXED BY pinned_messages
     WHERE conversation = ?1 AND pinned_seq IS NOT NULL";

/// The outcome of a change.
pub(super) enum Judged {
    Refused(WriteRefused),
    /// It would change nothing: the entry at this `seq` made the state.
    Unchanged(u64),
    Allowed(Box<Change>),
}

/// Asks the rules whether a member may do this to a message.
pub(super) fn ask(
    conn: &Connection,
    known: &CachedConversation,
    member: CachedMember,
    new: &NewEntry,
    message: &MessageId,
    action: &MessageAction,
) -> rusqlite::Result<Judged> {
    let target = target(conn, known.row, new, message)?;
    let Some(mut target) = target.filter(|target| target.seq >= member.first_seq) else {
        return Ok(Judged::Refused(WriteRefused::NoMessage));
    };
    let mut pins = 0;
    match action {
        MessageAction::React { emoji, .. } => {
            target.reactions = reactions(conn, known.row, target.seq, emoji, member.person)?;
        }
        MessageAction::Pin { .. } => {
            let count = conn
                .prepare_cached(PINS)?
                .query_row([known.row], |row| row.get(0))?;
            pins = usize::try_from(from_db(count)).unwrap_or(usize::MAX);
        }
        MessageAction::Edit { .. } | MessageAction::Delete => {}
    }
    let actor = Actor {
        user: &new.sender,
        role: member.role,
        is_direct: known.is_direct(),
        pins,
        editable_since: new.editable_since,
    };
    Ok(match judge(action, &target, &actor) {
        Err(refused) => Judged::Refused(refused),
        Ok(Verdict::Unchanged(seq)) => Judged::Unchanged(seq),
        Ok(Verdict::Append) => match action {
            MessageAction::Edit { mentions, .. } if !are_members(known, mentions) => {
                Judged::Refused(WriteRefused::UnknownMention)
            }
            _ => Judged::Allowed(Box::new(Change {
                message: message.clone(),
                message_seq: target.seq,
                action: action.clone(),
            })),
        },
    })
}

pub(super) fn are_members(known: &CachedConversation, users: &[UserId]) -> bool {
    users.iter().all(|user| known.member(user).is_some())
}

/// Appends a change that the rules allow.
pub(super) fn append(
    conn: &Connection,
    known: &mut CachedConversation,
    new: &NewEntry,
    key: Option<&str>,
    person: i64,
    change: &Change,
) -> rusqlite::Result<Inserted> {
    let seq = change.message_seq;
    let is_deletion = matches!(change.action, MessageAction::Delete);
    let last_before = if is_deletion && seq == known.head.last_message_seq {
        Some(last_before(conn, known.row, seq)?)
    } else {
        None
    };
    let inserted = insert(
        conn,
        known,
        &EntryRow {
            id: new.id.as_str(),
            sender: person,
            other_kind: Some(change.action.name()),
            moves_list: false,
            content: &record::write_change(change),
            dedupe_key: key,
            created_at: new.created_at,
            last_before,
        },
    )?;
    let at = inserted.created_at.0;
    let (row, seq, by) = (known.row, to_db(seq), to_db(inserted.seq));
    match &change.action {
        MessageAction::Edit { content, mentions } => {
            conn.prepare_cached(
                "INSERT OR REPLACE INTO message_changes
                     (conversation, seq, content, mentions, content_seq, edited_at, pinned_seq, pinned_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, was.pinned_seq, was.pinned_at FROM (SELECT 1)
                 LEFT JOIN message_changes was ON was.conversation = ?1 AND was.seq = ?2",
            )?
            .execute(params![row, seq, content.as_str(), record::write_mentions(mentions), by, at])?;
            conn.prepare_cached(
                "INSERT INTO message_edits (conversation, seq, entry_seq) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![row, seq, by])?;
        }
        MessageAction::React { emoji, added: true } => {
            conn.prepare_cached(
                "INSERT INTO reactions (conversation, seq, emoji, person, entry_seq)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![row, seq, emoji.as_str(), person, by])?;
        }
        MessageAction::React {
            emoji,
            added: false,
        } => {
            conn.prepare_cached(
                "DELETE FROM reactions
                 WHERE conversation = ?1 AND seq = ?2 AND emoji = ?3 AND person = ?4",
            )?
            .execute(params![row, seq, emoji.as_str(), person])?;
        }
        MessageAction::Pin { pinned } => {
            let (by, at) = (pinned.then_some(by), pinned.then_some(at));
            conn.prepare_cached(
                "INSERT OR REPLACE INTO message_changes
                     (conversation, seq, content, mentions, content_seq, edited_at, pinned_seq, pinned_at)
                 SELECT ?1, ?2, was.content, was.mentions, was.content_seq, was.edited_at, ?3, ?4
                 FROM (SELECT 1)
                 LEFT JOIN message_changes was ON was.conversation = ?1 AND was.seq = ?2",
            )?
            .execute(params![row, seq, by, at])?;
        }
        MessageAction::Delete => {
            erase(conn, row, &new.conversation, change)?;
            delete_of_message(conn, row, change.message_seq, inserted.created_at)?;
            conn.prepare_cached(
                "INSERT OR REPLACE INTO message_changes (conversation, seq, deleted_seq, deleted_at)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![row, seq, by, at])?;
        }
    }
    Ok(inserted)
}

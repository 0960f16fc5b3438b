//! Appends to a log: checks membership and duplicates, assigns the next `seq`, inserts the entry,
//! moves the sender's marks.

use super::batch::{Batch, CachedConversation, from_db, to_db};
use super::history::{entries, entry};
use super::marks::sent;
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConnectionId;
use lamplight_domain::message::SendKey;
use lamplight_domain::permission::{Action, Denied, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{AppendError, Appended, CommitPosition, StoreError};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::sync::Arc;

/// An entry to be inserted.
pub(super) struct EntryRow<'a> {
    pub(super) id: &'a str,
    pub(super) sender: i64,
    /// The kind's name, unless it is a message.
    pub(super) other_kind: Option<&'a str>,
    pub(super) content: &'a str,
    pub(super) dedupe_key: Option<&'a str>,
    pub(super) created_at: Timestamp,
}

/// An entry that was inserted.
pub(super) struct Inserted {
    pub(super) seq: u64,
    pub(super) position: CommitPosition,
    pub(super) created_at: Timestamp,
}

/// Inserts an entry under the next `seq`. Only messages move a conversation in the list.
pub(super) fn insert(
    conn: &Connection,
    known: &mut CachedConversation,
    entry: &EntryRow<'_>,
) -> rusqlite::Result<Inserted> {
    let head = known.head.next(entry.other_kind.is_none());
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
        conn.prepare_cached("UPDATE conversations SET head_seq = ?2, last_at = ?3 WHERE id = ?1")?
            .execute(params![known.row, to_db(head.seq), created_at.0])?;
    } else {
        conn.prepare_cached(
            "UPDATE conversations SET head_seq = ?2, last_at = ?3, position = ?4 WHERE id = ?1",
        )?
        .execute(params![known.row, to_db(head.seq), created_at.0, position])?;
    }
    known.head = head;
    known.last_at = created_at;
    Ok(Inserted {
        seq: head.seq,
        position: CommitPosition(from_db(position)),
        created_at,
    })
}

/// Appends in the running transaction. The outer error is SQLite's and fails the transaction; the
/// inner one is an answer to the caller.
pub(crate) fn append(
    batch: &mut Batch<'_>,
    message: &NewEntry,
    except: Option<&ConnectionId>,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    let Some((conn, known)) = batch.known(&message.conversation)? else {
        return Ok(Err(AppendError::NotFound));
    };
    let member = known.member(&message.sender);
    let allowed = authorize(member.map(|member| member.role), Action::Write);
    let sender = match (member, allowed) {
        (Some(member), Ok(())) => member.person,
        (Some(_), Err(Denied::Forbidden)) => return Ok(Err(AppendError::Forbidden)),
        (None, _) | (_, Err(Denied::NotAMember)) => return Ok(Err(AppendError::NotFound)),
    };
    let key = message
        .key
        .as_ref()
        .map(|key| message.write.dedupe_key(key));
    let Write::Message { content, .. } = &message.write else {
        let unsupported = StoreError::Internal("changes of messages are not stored yet".into());
        return Ok(Err(unsupported.into()));
    };
    if let Some(key) = &key {
        let there = conn
            .prepare_cached(entries!(
                "WHERE e.dedupe_key = ?3 AND e.conversation = ?1 AND e.sender = ?2"
            ))?
            .query_row(params![known.row, sender, key], |row| {
                entry(row, &message.conversation)
            })
            .optional()?;
        if let Some(there) = there {
            return Ok(if message.write.made(&there) {
                Ok(Appended {
                    entry: Arc::new(there),
                    duplicate: true,
                    message: None,
                })
            } else {
                Err(AppendError::Conflict)
            });
        }
    }
    let row = EntryRow {
        id: message.id.as_str(),
        sender,
        other_kind: None,
        content: content.as_str(),
        dedupe_key: key.as_deref(),
        created_at: message.created_at,
    };
    let Inserted {
        seq,
        position,
        created_at,
    } = insert(conn, known, &row)?;
    let news = sent(conn, known, &message.conversation, &message.sender, sender)?;
    let to = known.members.clone();
    let entry = Arc::new(Entry {
        id: message.id.clone(),
        conversation: message.conversation.clone(),
        seq,
        sender: message.sender.clone(),
        kind: EntryKind::message(content.clone()),
        client_message_id: match &message.key {
            Some(SendKey::ClientMessageId(id)) => Some(Arc::clone(id)),
            _ => None,
        },
        created_at,
    });
    batch.appended(position);
    batch.publish(Event::Appended {
        entry: Arc::clone(&entry),
        to,
        except: except.cloned(),
    });
    for event in news.into_iter().flatten() {
        batch.publish(event);
    }
    Ok(Ok(Appended {
        entry,
        duplicate: false,
        message: None,
    }))
}

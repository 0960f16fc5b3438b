//! Appending to a log: deduplicate, take the next `seq`, insert, move the sender's own marks.

use super::batch::{Batch, to_db};
use super::marks::sent;
use super::queries::{entries, entry};
use super::text::dedupe_key;
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConnectionId;
use lamplight_domain::message::{NewMessage, SendKey};
use lamplight_usecases::ports::{AppendError, Appended};
use rusqlite::{OptionalExtension as _, params};
use std::sync::Arc;

/// Appends in the running transaction. The outer error is SQLite's and fails the transaction; the
/// inner one is an answer.
pub(crate) fn append(
    batch: &mut Batch<'_>,
    message: &NewMessage,
    except: Option<&ConnectionId>,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    let Some((conn, known)) = batch.known(&message.conversation)? else {
        return Ok(Err(AppendError::NotFound));
    };
    let Some(sender) = known.member(&message.sender) else {
        return Ok(Err(AppendError::NotFound));
    };
    let key = message
        .key
        .as_ref()
        .map(|key| dedupe_key(key, &message.content));
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
            return Ok(if there.content() == Some(&message.content) {
                Ok(Appended {
                    entry: Arc::new(there),
                    duplicate: true,
                })
            } else {
                Err(AppendError::Conflict)
            });
        }
    }
    let seq = known.head_seq + 1;
    // A clock that went back moves no message before the one that it answers.
    let created_at = message.created_at.max(known.last_at);
    conn.prepare_cached(
        "INSERT INTO entries (conversation, seq, message_id, sender, content, dedupe_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![known.row, to_db(seq), message.id.as_str(), sender, message.content.as_str(), key, created_at.0])?;
    let position = conn.last_insert_rowid();
    conn.prepare_cached(
        "UPDATE conversations SET head_seq = ?2, last_at = ?3, position = ?4 WHERE id = ?1",
    )?
    .execute(params![known.row, to_db(seq), created_at.0, position])?;
    let news = sent(
        conn,
        known,
        &message.conversation,
        &message.sender,
        sender,
        seq,
    )?;
    known.head_seq = seq;
    known.last_at = created_at;
    let to = known.members.clone();
    let entry = Arc::new(Entry {
        id: message.id.clone(),
        conversation: message.conversation.clone(),
        seq,
        sender: message.sender.clone(),
        kind: EntryKind::Message {
            content: message.content.clone(),
        },
        client_message_id: match &message.key {
            Some(SendKey::ClientMessageId(id)) => Some(Arc::clone(id)),
            _ => None,
        },
        created_at,
    });
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
    }))
}

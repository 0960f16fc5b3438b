//! Appends to a log: checks membership, repetitions and rights, inserts the entry, moves the
//! sender's marks.

use super::batch::{Batch, CachedConversation, CachedMember};
use super::changes::{self, Judged, are_members, quote};
use super::codec::{person_row, to_db};
use super::entries::entry_at;
use super::files;
use super::insert::{EntryRow, Inserted, insert};
use super::marks::sent;
use super::repeats;
use super::settings::bring_back;
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::{Entry, EntryKind, Extras, MessageAction};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, FileId, MessageId, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{AppendError, Appended, StoreError};
use lamplight_usecases::record;
use rusqlite::{Connection, params};
use std::sync::Arc;

/// Appends in the running transaction. The outer error is SQLite's and fails the transaction; the
/// inner one is an answer to the caller.
pub(crate) fn append(
    batch: &mut Batch<'_>,
    new: &NewEntry,
    except: Option<&ConnectionId>,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    append_by(batch, new, except, |_, known| Ok(known.member(&new.sender)))
}

/// Appends the deletion of a message whose author deleted their account, and may be no member.
pub(crate) fn erase(
    batch: &mut Batch<'_>,
    new: &NewEntry,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    append_by(batch, new, None, |conn, _| {
        Ok(person_row(conn, &new.sender)?.map(CachedMember::former))
    })
}

fn append_by(
    batch: &mut Batch<'_>,
    new: &NewEntry,
    except: Option<&ConnectionId>,
    by: impl FnOnce(&Connection, &CachedConversation) -> rusqlite::Result<Option<CachedMember>>,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    let Some((conn, known)) = batch.known(&new.conversation)? else {
        return Ok(Err(AppendError::NotFound));
    };
    let Some(member) = by(conn, known)? else {
        return Ok(Err(AppendError::NotFound));
    };
    let key = new.key.as_ref().map(|key| new.write.dedupe_key(key));
    if let Some(key) = &key
        && let Some(answer) = repeats::answer(conn, known.row, member, new, key)?
    {
        return Ok(answer);
    }
    if known.is_blocked && !new.write.passes_block() {
        return Ok(Err(AppendError::Forbidden));
    }
    if authorize(Some(member.role), Action::Write).is_err() {
        return Ok(Err(AppendError::Forbidden));
    }
    let outcome = match &new.write {
        Write::Message {
            content,
            reply_to,
            mentions,
            attachments,
        } => match extras(
            conn,
            known,
            member,
            new,
            reply_to.as_ref(),
            mentions,
            attachments,
        )? {
            Ok(extras) => message(conn, known, member, new, key.as_deref(), content, extras)?,
            Err(refused) => Outcome::Refused(refused),
        },
        Write::Change { message, action } => {
            change(conn, known, member, new, key.as_deref(), message, action)?
        }
    };
    let (inserted, kind, news) = match outcome {
        Outcome::Appended(inserted, kind, news) => (inserted, kind, news),
        Outcome::Refused(refused) => return Ok(Err(AppendError::Refused(refused))),
        Outcome::Unchanged(seq) => {
            let there = entry_at(conn, known.row, &new.conversation, seq)?;
            let missing = || StoreError::Internal(format!("the log has no entry {seq}"));
            return Ok(there
                .map(|entry| Appended {
                    entry: Arc::new(entry.seen_from(member.first_seq)),
                    duplicate: true,
                    message: None,
                })
                .ok_or_else(|| missing().into()));
        }
    };
    let back = if kind.is_message() && known.has_archived {
        bring_back(conn, known, &new.conversation, inserted.created_at)?
    } else {
        None
    };
    let to = known.members.clone();
    let about = kind.about_seq();
    let newcomers = about.map_or_else(Members::default, |seq| known.whose_log_begins_after(seq));
    let entry = Arc::new(Entry {
        id: new.id.clone(),
        conversation: new.conversation.clone(),
        seq: inserted.seq,
        sender: new.sender.clone(),
        kind,
        client_message_id: match &new.key {
            Some(SendKey::ClientMessageId(id)) => Some(Arc::clone(id)),
            _ => None,
        },
        created_at: inserted.created_at,
    });
    batch.appended(inserted.position);
    batch.publish(Event::Appended {
        entry: Arc::clone(&entry),
        to,
        newcomers,
        except: except.cloned(),
    });
    for event in news.into_iter().flatten().chain(back) {
        batch.publish(event);
    }
    if matches!(
        &new.write,
        Write::Change {
            action: MessageAction::Delete,
            ..
        }
    ) {
        batch.erased();
    }
    Ok(Ok(Appended {
        entry,
        duplicate: false,
        message: None,
    }))
}

#[expect(
    clippy::large_enum_variant,
    reason = "it is on the stack of one append; a box would be allocated for every message"
)]
enum Outcome {
    /// The entry, its kind, and the events that follow its own.
    Appended(Inserted, EntryKind, [Option<Event>; 2]),
    /// The entry at this `seq` made the state that the write asks for.
    Unchanged(u64),
    Refused(WriteRefused),
}

fn message(
    conn: &Connection,
    known: &mut CachedConversation,
    member: CachedMember,
    new: &NewEntry,
    key: Option<&str>,
    content: &Content,
    extras: Option<Box<Extras>>,
) -> rusqlite::Result<Outcome> {
    let row = EntryRow {
        id: new.id.as_str(),
        sender: member.person,
        other_kind: None,
        moves_list: true,
        content: content.as_str(),
        dedupe_key: key,
        created_at: new.created_at,
        last_before: None,
    };
    let inserted = insert(conn, known, &row)?;
    if let Some(extras) = &extras {
        conn.prepare_cached(
            "INSERT INTO message_extras (conversation, seq, record) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![
            known.row,
            to_db(inserted.seq),
            record::write_extras(extras)
        ])?;
        files::attach(conn, inserted.seq, &extras.attachments)?;
    }
    let news = sent(conn, known, &new.conversation, &new.sender, member.person)?;
    let content = content.clone();
    let kind = EntryKind::Message { content, extras };
    Ok(Outcome::Appended(inserted, kind, news))
}

/// The parts of a message besides its content, after their checks.
fn extras(
    conn: &Connection,
    known: &CachedConversation,
    member: CachedMember,
    new: &NewEntry,
    reply_to: Option<&MessageId>,
    mentions: &[UserId],
    attachments: &[FileId],
) -> rusqlite::Result<Result<Option<Box<Extras>>, WriteRefused>> {
    let reply_to = match reply_to {
        None => None,
        Some(id) => match quote(conn, known.row, member.first_seq, new, id)? {
            Some(quote) => Some(quote),
            None => return Ok(Err(WriteRefused::UnknownReply)),
        },
    };
    if !are_members(known, mentions) {
        return Ok(Err(WriteRefused::UnknownMention));
    }
    let attachments = match files::attachments(conn, known.row, member.person, attachments)? {
        Ok(attachments) => attachments,
        Err(refused) => return Ok(Err(refused)),
    };
    let extras = Extras {
        reply_to,
        mentions: mentions.to_vec(),
        attachments,
    };
    Ok(Ok(extras.boxed()))
}

fn change(
    conn: &Connection,
    known: &mut CachedConversation,
    member: CachedMember,
    new: &NewEntry,
    key: Option<&str>,
    message: &MessageId,
    action: &MessageAction,
) -> rusqlite::Result<Outcome> {
    let change = match changes::ask(conn, known, member, new, message, action)? {
        Judged::Allowed(change) => change,
        Judged::Unchanged(seq) => return Ok(Outcome::Unchanged(seq)),
        Judged::Refused(refused) => return Ok(Outcome::Refused(refused)),
    };
    let inserted = changes::append(conn, known, new, key, member.person, &change)?;
    // The unread count and the last message may differ for every member.
    let news = matches!(action, MessageAction::Delete).then(|| Event::ConversationChanged {
        conversation: new.conversation.clone(),
        to: known.members.clone(),
    });
    Ok(Outcome::Appended(
        inserted,
        EntryKind::Change(change),
        [news, None],
    ))
}

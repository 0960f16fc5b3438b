//! Recognises a write that repeats an earlier one, even if its entry was edited or deleted, and
//! blanks entries so that it still does.

use super::batch::CachedMember;
use super::codec::{from_db, to_db};
use super::entries::entry_at;
use super::messages_now::message_now;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::message::SendKey;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{AppendError, Appended};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::sync::Arc;

pub(super) const BY_KEY: &str =
    "SELECT seq FROM entries WHERE dedupe_key = ?3 AND conversation = ?1 AND sender = ?2";

/// The answer to a write under a key that the sender has used in the conversation before.
pub(super) fn answer(
    conn: &Connection,
    row: i64,
    sender: CachedMember,
    new: &NewEntry,
    key: &str,
) -> rusqlite::Result<Option<Result<Appended, AppendError>>> {
    let by_key = |key: &str| {
        conn.prepare_cached(BY_KEY)?
            .query_row(params![row, sender.person, key], |row| {
                row.get(0).map(from_db)
            })
            .optional()
    };
    let mut seq = by_key(key)?;
    if seq.is_none()
        && matches!(new.key, Some(SendKey::TempId(_)))
        && let Some(digest_key) = digest_key_if_erased(conn, row)?
        && let Some(key) = new.write.erased_dedupe_key(key, digest_key.as_bytes())
    {
        seq = by_key(&key)?;
    }
    let Some(seq) = seq else { return Ok(None) };
    let Some(there) = entry_at(conn, row, &new.conversation, seq)? else {
        return Ok(None);
    };
    let is_same = match erased(conn, row, seq)? {
        Some(digest) => new.write.digest(digest_key(conn)?.as_bytes()) == digest,
        None => new.write.made(&there),
    };
    if !is_same {
        return Ok(Some(Err(AppendError::Conflict)));
    }
    // Members whose log begins later must not see its changes.
    let message = if there.kind.is_message() && seq >= sender.first_seq {
        message_now(conn, row, &new.sender, there.clone())?
            .filter(|message| *message != Message::from(there.clone()))
            .map(|message| message.seen_from(sender.first_seq))
    } else {
        None
    };
    Ok(Some(Ok(Appended {
        entry: Arc::new(there.seen_from(sender.first_seq)),
        duplicate: true,
        message: message.map(Box::new),
    })))
}

/// The digest of what made an entry, if the entry was blanked.
fn erased(conn: &Connection, row: i64, seq: u64) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT digest FROM erased_entries WHERE conversation = ?1 AND seq = ?2")?
        .query_row(params![row, to_db(seq)], |row| row.get(0))
        .optional()
}

/// The key of the digests.
pub(super) fn digest_key(conn: &Connection) -> rusqlite::Result<String> {
    conn.prepare_cached("SELECT value FROM properties WHERE name = 'digest_key'")?
        .query_row([], |row| row.get(0))
}

/// The key of the digests, if a log has any.
fn digest_key_if_erased(conn: &Connection, row: i64) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached(
        "SELECT value FROM properties WHERE name = 'digest_key'
         AND EXISTS (SELECT 1 FROM erased_entries WHERE conversation = ?1)",
    )?
    .query_row([row], |row| row.get(0))
    .optional()
}

/// Blanks entries, and keeps digests of what made them.
pub(super) fn blank<'a>(
    conn: &Connection,
    row: i64,
    conversation: &ConversationId,
    entries: impl IntoIterator<Item = (u64, &'a str)>,
) -> rusqlite::Result<()> {
    let digest_key = digest_key(conn)?;
    let digest_key = digest_key.as_bytes();
    for (seq, content) in entries {
        let there = entry_at(conn, row, conversation, seq)?;
        // A record that this version cannot read is blanked all the same.
        let write = there.as_ref().and_then(Write::of);
        let mut key = conn
            .prepare_cached("SELECT dedupe_key FROM entries WHERE conversation = ?1 AND seq = ?2")?
            .query_row(params![row, to_db(seq)], |row| {
                row.get::<_, Option<String>>(0)
            })?;
        if let Some(write) = write {
            conn.prepare_cached(
                "INSERT INTO erased_entries (conversation, seq, digest) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![row, to_db(seq), write.digest(digest_key)])?;
            key = key.map(|key| write.erased_dedupe_key(&key, digest_key).unwrap_or(key));
        }
        conn.prepare_cached(
            "UPDATE entries SET content = ?3, dedupe_key = ?4 WHERE conversation = ?1 AND seq = ?2",
        )?
        .execute(params![row, to_db(seq), content, key])?;
    }
    Ok(())
}

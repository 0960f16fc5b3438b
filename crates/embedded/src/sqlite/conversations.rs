//! Makes conversations and changes their members.

use super::batch::{Batch, ensure_person, to_db};
use super::queries;
use lamplight_domain::conversation::{Conversation, Members, direct_key};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;
use rusqlite::{Connection, params};

fn insert(
    conn: &Connection,
    conversation: &ConversationId,
    key: Option<&str>,
    at: Timestamp,
) -> rusqlite::Result<i64> {
    // It sorts as newer than every entry, and than conversations made since the newest entry, whose
    // rows are smaller.
    conn.prepare_cached(
        "INSERT INTO conversations (conversation_id, direct_key, last_at, created_at, position)
         VALUES (?1, ?2, ?3, ?3, (SELECT ifnull(max(id), 0) FROM entries))",
    )?
    .execute(params![conversation.as_str(), key, at.0])?;
    Ok(conn.last_insert_rowid())
}

/// Adds a member who has read everything up to `head_seq`.
fn membership(
    conn: &Connection,
    conversation: i64,
    user: &UserId,
    head_seq: u64,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let person = ensure_person(conn, user, at)?;
    conn.prepare_cached(
        "INSERT INTO members (conversation, person, read_seq, delivered_seq, told_read_seq, told_delivered_seq)
         VALUES (?1, ?2, ?3, ?3, ?3, ?3)",
    )?
    .execute(params![conversation, person, to_db(head_seq)])?;
    Ok(())
}

/// Finds or makes the conversation under a direct key; `None` only if the caller is not in it.
pub(crate) fn ensure_direct(
    batch: &mut Batch<'_>,
    caller: &UserId,
    other: &UserId,
    key: &str,
    new: &ConversationId,
    at: Timestamp,
) -> rusqlite::Result<Option<(Conversation, bool)>> {
    if let Some(there) = queries::direct(batch.conn, caller, key)? {
        return Ok(Some((there, false)));
    }
    let row = insert(batch.conn, new, Some(key), at)?;
    let mut members = [caller.clone(), other.clone()];
    members.sort();
    for member in &members {
        membership(batch.conn, row, member, 0, at)?;
    }
    batch.membership_changed(new, members.into());
    Ok(queries::conversation(batch.conn, caller, new)?.map(|made| (made, true)))
}

/// Makes a conversation under the host's id, or changes its members.
pub(crate) fn put(
    batch: &mut Batch<'_>,
    conversation: &ConversationId,
    members: &Members,
    at: Timestamp,
) -> rusqlite::Result<(Members, bool)> {
    let conn = batch.conn;
    let Some((_, known)) = batch.known(conversation)? else {
        let row = insert(
            conn,
            conversation,
            free_direct_key(conn, members)?.as_deref(),
            at,
        )?;
        for member in members.iter() {
            membership(conn, row, member, 0, at)?;
        }
        batch.membership_changed(conversation, members.clone());
        return Ok((members.clone(), true));
    };
    if known.members == *members {
        return Ok((members.clone(), false));
    }
    let (row, head_seq, before) = (known.row, known.head.seq, known.members.clone());
    let removed = before
        .iter()
        .filter(|member| members.binary_search(member).is_err());
    for member in removed {
        let person = ensure_person(conn, member, at)?;
        conn.prepare_cached("DELETE FROM members WHERE conversation = ?1 AND person = ?2")?
            .execute(params![row, person])?;
    }
    for member in members
        .iter()
        .filter(|member| before.binary_search(member).is_err())
    {
        membership(conn, row, member, head_seq, at)?;
    }
    // It is no longer the conversation of those two. If it kept the key, opening a conversation
    // with one of them would lead to one with others in it.
    conn.prepare_cached(
        "UPDATE conversations SET direct_key = NULL WHERE id = ?1 AND direct_key IS NOT NULL",
    )?
    .execute([row])?;
    batch.membership_changed(conversation, members.clone());
    let mut everyone: Vec<UserId> = before.iter().chain(members.iter()).cloned().collect();
    everyone.sort();
    everyone.dedup();
    Ok((everyone.into(), true))
}

/// The direct key for a conversation of these members, if they are two who have none yet.
fn free_direct_key(conn: &Connection, members: &[UserId]) -> rusqlite::Result<Option<String>> {
    let [one, other] = members else {
        return Ok(None);
    };
    let Some(key) = direct_key(one, other) else {
        return Ok(None);
    };
    let is_taken = conn
        .prepare_cached("SELECT 1 FROM conversations WHERE direct_key = ?1")?
        .exists([&key])?;
    Ok((!is_taken).then_some(key))
}

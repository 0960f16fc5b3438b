//! Makes conversations and memberships.

use super::batch::{Batch, ensure_person};
use super::codec::to_db;
use super::deleted_accounts::has_deleted_account;
use super::queries;
use lamplight_domain::conversation::Conversation;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::permission::Role;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::record::role_to_number;
use rusqlite::{Connection, params};

pub(super) fn insert(
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

/// A membership that is to be made.
#[derive(Clone, Copy, Default)]
pub(super) struct Membership {
    /// Everything up to here counts as read.
    pub(super) seq: u64,
    /// Where their log begins.
    pub(super) first_seq: u64,
    /// The entry that adds them.
    pub(super) joined_seq: u64,
    pub(super) role: Role,
}

/// Adds a member.
pub(super) fn membership(
    conn: &Connection,
    conversation: i64,
    user: &UserId,
    added: Membership,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let person = ensure_person(conn, user, at)?;
    conn.prepare_cached(
        "INSERT INTO members (conversation, person, read_seq, delivered_seq, told_read_seq, told_delivered_seq,
             role, first_seq, joined_seq, role_seq)
         VALUES (?1, ?2, ?3, ?3, ?3, ?3, ?4, ?5, ?6, ?6)",
    )?
    .execute(params![
        conversation,
        person,
        to_db(added.seq),
        role_to_number(added.role),
        to_db(added.first_seq),
        to_db(added.joined_seq)
    ])?;
    Ok(())
}

/// Finds or makes the conversation under a direct key; `None` if one of the two has deleted their
/// account.
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
    if has_deleted_account(batch.conn, caller)? || has_deleted_account(batch.conn, other)? {
        return Ok(None);
    }
    let row = insert(batch.conn, new, Some(key), at)?;
    let mut members = [caller.clone(), other.clone()];
    members.sort();
    for member in &members {
        membership(batch.conn, row, member, Membership::default(), at)?;
    }
    batch.membership_changed(new, members.into());
    Ok(queries::conversation(batch.conn, caller, new)?.map(|made| (made, true)))
}

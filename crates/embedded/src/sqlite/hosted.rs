//! Conversations that the host application makes or changes.

use super::batch::Batch;
use super::conversations::{Membership, insert, membership};
use super::deleted_accounts::{first_deleted, has_deleted_account};
use super::groups;
use lamplight_domain::conversation::{Members, direct_key};
use lamplight_domain::event::Event;
use lamplight_domain::group::{GroupAction, GroupWrite, entry_id, is_group};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;
use rusqlite::Connection;

/// Makes a conversation under the host's id, or changes its members.
pub(crate) fn put(
    batch: &mut Batch<'_>,
    conversation: &ConversationId,
    members: &Members,
    at: Timestamp,
) -> rusqlite::Result<(Members, bool)> {
    let conn = batch.conn;
    let before = batch.known(conversation)?;
    let before = before.map(|(_, known)| (known.members.clone(), known.head.seq));
    let there = before.as_ref().map_or(&[][..], |(there, _)| there);
    let members = &without_deleted(conn, members, there)?;
    let Some((before, head_seq)) = before else {
        let key = free_direct_key(conn, members)?;
        let row = insert(conn, conversation, key.as_deref(), at)?;
        if is_group(false, members.len()) {
            groups::record_group(conn, row)?;
        }
        for member in members.iter() {
            membership(conn, row, member, Membership::default(), at)?;
        }
        batch.membership_changed(conversation, members.clone());
        batch.publish(Event::ConversationChanged {
            conversation: conversation.clone(),
            to: members.clone(),
        });
        return Ok((members.clone(), true));
    };
    if before == *members {
        return Ok((before, false));
    }
    let seq = head_seq + 1;
    let record: Vec<&str> = members.iter().map(UserId::as_str).collect();
    let write = GroupWrite {
        id: entry_id(conversation, seq, at, &record.join("\n")),
        conversation: conversation.clone(),
        sender: UserId::host(),
        action: GroupAction::Replace(members.to_vec()),
        key: None,
        created_at: at,
        limit: usize::MAX,
    };
    // The host application is refused nothing.
    drop(groups::change(batch, &write, None)?);
    let mut everyone: Vec<UserId> = before.iter().chain(members.iter()).cloned().collect();
    everyone.sort();
    everyone.dedup();
    Ok((everyone.into(), true))
}

/// Those of `members` who are in the conversation, or have not deleted their accounts.
fn without_deleted(
    conn: &Connection,
    members: &Members,
    there: &[UserId],
) -> rusqlite::Result<Members> {
    if first_deleted(conn, members)?.is_none() {
        return Ok(members.clone());
    }
    let mut left = Vec::with_capacity(members.len());
    for member in members.iter() {
        if there.contains(member) || !has_deleted_account(conn, member)? {
            left.push(member.clone());
        }
    }
    Ok(left.into())
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

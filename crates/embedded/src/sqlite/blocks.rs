//! Blocks between users.

use super::batch::{Batch, ensure_person};
use super::codec::{person_row, to_db};
use super::deleted_accounts::has_deleted_account;
use super::queries::profile;
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::PersonKey;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{BlockOutcome, BlockState, BlockedBy, MOST_BLOCKERS, Page};
use lamplight_usecases::weight;
use rusqlite::{Connection, params};

/// Blocks a user, in the running transaction.
pub(crate) fn block(
    batch: &mut Batch<'_>,
    user: &UserId,
    blocked: &UserId,
    limit: usize,
    at: Timestamp,
) -> rusqlite::Result<BlockOutcome> {
    let conn = batch.conn;
    if has_deleted_account(conn, user)? || has_deleted_account(conn, blocked)? {
        return Ok(BlockOutcome::Deleted);
    }
    let (one, other) = (
        ensure_person(conn, user, at)?,
        ensure_person(conn, blocked, at)?,
    );
    let is_there = conn
        .prepare_cached("SELECT 1 FROM blocks WHERE person = ?1 AND blocked = ?2")?
        .exists([one, other])?;
    if is_there {
        return Ok(BlockOutcome::Blocked);
    }
    let count: i64 = conn
        .prepare_cached("SELECT count(*) FROM blocks WHERE person = ?1")?
        .query_row([one], |row| row.get(0))?;
    if count >= to_db(limit as u64) {
        return Ok(BlockOutcome::TooMany);
    }
    conn.prepare_cached("INSERT INTO blocks (person, blocked, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![one, other, at.0])?;
    batch.blocks_changed(user, blocked)?;
    Ok(BlockOutcome::Blocked)
}

pub(crate) fn unblock(
    batch: &mut Batch<'_>,
    user: &UserId,
    blocked: &UserId,
) -> rusqlite::Result<()> {
    let conn = batch.conn;
    let (Some(one), Some(other)) = (person_row(conn, user)?, person_row(conn, blocked)?) else {
        return Ok(());
    };
    conn.prepare_cached("DELETE FROM blocks WHERE person = ?1 AND blocked = ?2")?
        .execute([one, other])?;
    batch.blocks_changed(user, blocked)
}

pub(super) const BLOCKED_BY: &str = "SELECT p.user_id, p.name, p.avatar_url, p.name_folded
     FROM blocks b JOIN people p ON p.id = b.blocked
     WHERE b.person = ?1 AND (p.name_folded, p.user_id) > (?2, ?3)
     ORDER BY p.name_folded, p.user_id LIMIT ?4";

pub(crate) fn blocked_by(
    conn: &Connection,
    user: &UserId,
    after: Option<PersonKey>,
    limit: usize,
) -> rusqlite::Result<Page<Profile>> {
    let (mut items, mut budget) = (Vec::new(), ByteBudget::default());
    let mut last = None;
    let Some(person) = person_row(conn, user)? else {
        return Ok(Page { items, next: None });
    };
    let (name, id) = after.map_or_else(Default::default, |key| (key.name_folded, key.user));
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut statement = conn.prepare_cached(BLOCKED_BY)?;
    let mut found = statement.query(params![person, name, id, wanted])?;
    while let Some(row) = found.next()? {
        let blocked = profile(row, 0)?;
        if items.len() == limit || !budget.takes(weight::member(&blocked)) {
            let next = last.map(|last: PersonKey| last.write());
            return Ok(Page { items, next });
        }
        last = Some(PersonKey {
            name_folded: row.get(3)?,
            user: blocked.id.as_str().to_owned(),
        });
        items.push(blocked);
    }
    Ok(Page { items, next: None })
}

/// The users among `others` who have blocked a user or whom the user has blocked.
pub(crate) fn blocks_between(
    conn: &Connection,
    user: &UserId,
    others: &[UserId],
) -> rusqlite::Result<Vec<UserId>> {
    let Some(person) = person_row(conn, user)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for other in others {
        if let Some(row) = person_row(conn, other)?
            && conn
                .prepare_cached(super::batch::IS_BLOCKED)?
                .exists([person, row])?
        {
            found.push(other.clone());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a block holds in a conversation.
pub(crate) fn block_state(
    conn: &Connection,
    user: &UserId,
    conversation: &ConversationId,
) -> rusqlite::Result<BlockState> {
    let mut members = conn.prepare_cached(
        "SELECT m.person FROM conversations c JOIN members m ON m.conversation = c.id
         WHERE c.conversation_id = ?1 AND NOT EXISTS (
             SELECT 1 FROM conversation_groups WHERE conversation = c.id) LIMIT 3",
    )?;
    let members: Vec<i64> = members
        .query_map([conversation.as_str()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let person = person_row(conn, user)?;
    let [one, other] = *members.as_slice() else {
        return Ok(BlockState::Group);
    };
    if ![one, other].map(Some).contains(&person) {
        return Ok(BlockState::Group);
    }
    let is_blocked = conn
        .prepare_cached(super::batch::IS_CLOSED)?
        .exists([one, other])?;
    Ok(if is_blocked {
        BlockState::Blocked
    } else {
        BlockState::Open
    })
}

/// The blockers of these users.
pub(crate) fn blockers_of(conn: &Connection, users: &[UserId]) -> rusqlite::Result<Vec<BlockedBy>> {
    let mut all = Vec::new();
    for user in users {
        let mut statement = conn.prepare_cached(
            "SELECT p.user_id, b.created_at FROM blocks b JOIN people p ON p.id = b.person
             WHERE b.blocked = (SELECT id FROM people WHERE user_id = ?1) LIMIT ?2",
        )?;
        let found =
            statement.query_map(params![user.as_str(), to_db(MOST_BLOCKERS as u64)], |row| {
                Ok(BlockedBy {
                    blocked: user.clone(),
                    by: UserId::trusted(row.get_ref(0)?.as_str()?),
                    since: Timestamp(row.get(1)?),
                })
            })?;
        for one in found {
            all.push(one?);
        }
    }
    Ok(all)
}

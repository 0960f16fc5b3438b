//! Deletes accounts, and stores the remaining work for each.

use super::account_rows::{end_all, has_password};
use super::batch::Batch;
use super::codec::{person_row, to_db};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Authored, Deletion, NewDeletion};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The rows to delete with an account. Deleting its sessions cascades to their Web Push
/// subscriptions.
const GONE: [&str; 6] = [
    "DELETE FROM push_subscriptions WHERE person = ?1",
    "DELETE FROM accounts WHERE person = ?1",
    "DELETE FROM account_networks WHERE person = ?1",
    "DELETE FROM blocks WHERE person = ?1 OR blocked = ?1",
    "DELETE FROM member_settings
         WHERE person = ?1 AND conversation IN (SELECT conversation FROM members WHERE person = ?1)",
    // The source 3 is ProfileSource::Deleted.
    "UPDATE people SET name = '', name_folded = '', avatar_url = NULL, source = 3, claims_at = NULL, status = 0,
         status_text = NULL, status_until = NULL, last_seen = NULL, hides_last_seen = 0, hides_reads = 0 WHERE id = ?1",
];

/// Whether a user has deleted their account. A waiting write may run after the deletion.
pub(super) fn has_deleted_account(conn: &Connection, user: &UserId) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM people WHERE user_id = ?1 AND source = 3")?
        .exists([user.as_str()])
}

/// The first of these users who has deleted their account.
pub(super) fn first_deleted(
    conn: &Connection,
    users: &[UserId],
) -> rusqlite::Result<Option<UserId>> {
    for user in users {
        if has_deleted_account(conn, user)? {
            return Ok(Some(user.clone()));
        }
    }
    Ok(None)
}

/// Deletes an account in the running transaction; returns the sessions that it ends.
pub(super) fn delete(
    batch: &mut Batch<'_>,
    deletion: &NewDeletion,
) -> rusqlite::Result<Option<Vec<String>>> {
    let conn = batch.conn;
    let Some(person) = person_row(conn, &deletion.user)? else {
        return Ok(None);
    };
    if !has_password(conn, person, &deletion.password_hash)? {
        return Ok(None);
    }
    let ended = end_all(conn, person, None, None)?;
    for sql in GONE {
        conn.prepare_cached(sql)?.execute([person])?;
    }
    conn.prepare_cached(
        "INSERT INTO account_deletions (person, erases_messages, created_at, ended) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        person,
        deletion.erases_messages,
        deletion.at.0,
        ended.join("\n")
    ])?;
    batch.account_deleted(&deletion.user)?;
    // The name and the password leave the write-ahead log too.
    batch.erased();
    Ok(Some(ended))
}

pub(super) fn is_any(conn: &Connection, at: Timestamp) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM account_deletions WHERE claimed_until <= ?1")?
        .exists([at.0])
}

pub(super) fn claim(
    conn: &Connection,
    at: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Option<Deletion>> {
    let found = conn
        .prepare_cached(
            "SELECT d.person, p.user_id, d.erases_messages, d.position, d.announced, d.ended
             FROM account_deletions d JOIN people p ON p.id = d.person
             WHERE d.claimed_until <= ?1 ORDER BY d.created_at, d.person LIMIT 1",
        )?
        .query_row([at.0], |row| {
            let deletion = Deletion {
                user: UserId::trusted(row.get_ref(1)?.as_str()?),
                erases_messages: row.get(2)?,
                position: row.get(3)?,
                is_announced: row.get(4)?,
                ended: row
                    .get_ref(5)?
                    .as_str()?
                    .lines()
                    .map(str::to_owned)
                    .collect(),
            };
            Ok((row.get::<_, i64>(0)?, deletion))
        })
        .optional()?;
    let Some((person, deletion)) = found else {
        return Ok(None);
    };
    conn.prepare_cached("UPDATE account_deletions SET claimed_until = ?2 WHERE person = ?1")?
        .execute([person, until.0])?;
    Ok(Some(deletion))
}

pub(super) fn advance(
    conn: &Connection,
    user: &UserId,
    position: i64,
    until: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE account_deletions SET position = max(position, ?2), claimed_until = ?3
         WHERE person = (SELECT id FROM people WHERE user_id = ?1)",
    )?
    .execute(params![user.as_str(), position, until.0])
    .map(drop)
}

pub(super) fn announced(conn: &Connection, user: &UserId) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE account_deletions SET announced = 1, ended = ''
         WHERE person = (SELECT id FROM people WHERE user_id = ?1)",
    )?
    .execute([user.as_str()])
    .map(drop)
}

pub(super) fn finish(conn: &Connection, user: &UserId) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM account_deletions WHERE person = (SELECT id FROM people WHERE user_id = ?1)",
    )?
    .execute([user.as_str()])
    .map(drop)
}

/// The last of the next entries after a position.
pub(super) const PART: &str =
    "SELECT max(id) FROM (SELECT id FROM entries WHERE id > ?1 ORDER BY id LIMIT ?2)";

/// The messages of a person in a part of all logs.
pub(super) const AUTHORED: &str = "SELECT c.conversation_id, e.message_id FROM entries e JOIN conversations c ON c.id = e.conversation
     WHERE e.id > ?1 AND e.id <= ?2 AND e.sender = ?3
         AND NOT EXISTS (SELECT 1 FROM other_entries o WHERE o.conversation = e.conversation AND o.seq = e.seq)
         AND NOT EXISTS (SELECT 1 FROM message_changes x
             WHERE x.conversation = e.conversation AND x.seq = e.seq AND x.deleted_seq IS NOT NULL)
     ORDER BY e.id";

pub(super) fn authored(
    conn: &Connection,
    user: &UserId,
    after: i64,
    entries: usize,
) -> rusqlite::Result<Authored> {
    let position: Option<i64> = conn
        .prepare_cached(PART)?
        .query_row([after, to_db(entries as u64)], |row| row.get(0))?;
    let (Some(last), Some(person)) = (position, person_row(conn, user)?) else {
        return Ok(Authored {
            messages: Vec::new(),
            position,
        });
    };
    let messages = conn
        .prepare_cached(AUTHORED)?
        .query_map([after, last, person], |row| {
            Ok((
                ConversationId::trusted(row.get_ref(0)?.as_str()?),
                MessageId::trusted(row.get_ref(1)?.as_str()?),
            ))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Authored { messages, position })
}

/// A conversation with other than two members is a group also without a row of its own.
pub(super) fn groups_of(
    conn: &Connection,
    user: &UserId,
    limit: usize,
) -> rusqlite::Result<Vec<ConversationId>> {
    conn.prepare_cached(
        "SELECT c.conversation_id FROM people p JOIN members m ON m.person = p.id JOIN conversations c ON c.id = m.conversation
         WHERE p.user_id = ?1 AND (EXISTS (SELECT 1 FROM conversation_groups g WHERE g.conversation = c.id)
             OR (SELECT count(*) FROM (SELECT 1 FROM members o WHERE o.conversation = c.id LIMIT 3)) <> 2)
         ORDER BY c.id LIMIT ?2",
    )?
    .query_map(params![user.as_str(), to_db(limit as u64)], |row| {
        Ok(ConversationId::trusted(row.get_ref(0)?.as_str()?))
    })?
    .collect()
}

//! Makes conversations and memberships. People are made before a conversation is locked,
//! and in the order of their ids, so that no two transactions wait for each other.

use super::connection::{Connection, Sql};
use super::database::{Database, Repeat};
use super::error::Failure;
use super::people_lock::lock_people;
use super::queries;
use lamplight_domain::conversation::Conversation;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::text::search_key;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{StoreError, StoreResult};
use tokio_postgres::types::Type;

/// How often [`ensure_direct`] looks for a conversation that others make and change at the same time.
const LOOKS: u32 = 5;

const ENSURE_PEOPLE: Sql = Sql {
    text: "INSERT INTO people (user_id, user_folded, name, name_folded, source, created_at)
           SELECT a.id, a.folded, a.id, a.folded, 0, $3 FROM unnest($1::text[], $2::text[]) AS a (id, folded)
           WHERE NOT EXISTS (SELECT 1 FROM people p WHERE p.user_id = a.id) ORDER BY a.id
           ON CONFLICT (user_id) DO NOTHING",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8],
};

/// It sorts as newer than every entry, and than conversations made since the newest entry, whose
/// rows are smaller.
const MAKE: Sql = Sql {
    text: "INSERT INTO conversations (conversation_id, direct_key, last_at, created_at, position, members_version, member_count)
           VALUES ($1, $2, $3, $3, (SELECT coalesce(max(id), 0) FROM entries), $4, $5)
           ON CONFLICT DO NOTHING RETURNING id",
    types: &[
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT4,
    ],
};

/// Adds members who have read everything.
pub(super) const ADD: Sql = Sql {
    text: "INSERT INTO members (conversation, person, read_seq, delivered_seq, visible_read_seq, visible_delivered_seq)
           SELECT c.id, p.id, c.head_seq, c.head_seq, c.head_seq, c.head_seq
           FROM conversations c, people p WHERE c.id = $1 AND p.user_id = ANY($2) ORDER BY p.id",
    types: &[Type::INT8, Type::TEXT_ARRAY],
};

pub(super) const REMOVE: Sql = Sql {
    text: "DELETE FROM members m USING people p WHERE m.conversation = $1 AND m.person = p.id AND p.user_id = ANY($2)",
    types: &[Type::INT8, Type::TEXT_ARRAY],
};

/// It is no longer the conversation of two. If it kept the key, opening a conversation with one of
/// them would lead to one with others in it.
pub(super) const CHANGED: Sql = Sql {
    text: "UPDATE conversations SET direct_key = NULL, members_version = $2, member_count = $3 WHERE id = $1",
    types: &[Type::INT8, Type::INT8, Type::INT4],
};

/// Another version with each change of the members. Random, so that a store that went back in time
/// gives none a second time: caches know members by it.
pub(super) fn version() -> Result<i64, Failure> {
    let random = getrandom::u64().map_err(|error| StoreError::Internal(error.to_string()))?;
    Ok(random.cast_signed())
}

pub(super) fn texts(users: &[UserId]) -> Vec<&str> {
    users.iter().map(UserId::as_str).collect()
}

/// Inserts bare profiles for users who are not in the directory.
pub(super) async fn ensure_people(
    connection: &Connection,
    users: &[UserId],
    at: Timestamp,
) -> Result<(), Failure> {
    let folded: Vec<String> = users.iter().map(|user| search_key(user.as_str())).collect();
    connection
        .execute(&ENSURE_PEOPLE, &[&texts(users), &folded, &at.0])
        .await
        .map(drop)
}

/// Makes a conversation without members; `None` if its id or its direct key is taken.
pub(super) async fn insert(
    connection: &Connection,
    conversation: &ConversationId,
    key: Option<&str>,
    count: usize,
    at: Timestamp,
) -> Result<Option<i64>, Failure> {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let made = connection
        .query_opt(
            &MAKE,
            &[&conversation.as_str(), &key, &at.0, &version()?, &count],
        )
        .await?;
    Ok(made.map(|made| made.try_get(0)).transpose()?)
}

/// Makes a conversation with these members, and returns its row; `None` if its id or its direct key
/// is taken.
pub(super) async fn make(
    connection: &Connection,
    conversation: &ConversationId,
    key: Option<&str>,
    members: &[UserId],
    at: Timestamp,
) -> Result<Option<i64>, Failure> {
    let Some(row) = insert(connection, conversation, key, members.len(), at).await? else {
        return Ok(None);
    };
    connection.execute(&ADD, &[&row, &texts(members)]).await?;
    Ok(Some(row))
}

/// Finds or makes the conversation under the direct key of two people; `None` if one of them has
/// deleted their account.
pub(crate) async fn ensure_direct(
    database: &Database,
    caller: &UserId,
    other: &UserId,
    key: &str,
    new: &ConversationId,
    at: Timestamp,
) -> StoreResult<Option<(Conversation, bool)>> {
    let mut members = [caller.clone(), other.clone()];
    members.sort();
    let members = &members;
    for _ in 0..LOOKS {
        // Nearly always it exists.
        if let Some(there) = queries::direct(database, caller, key).await? {
            // Its own, if the outcome of an earlier run was unknown.
            let made = there.id == *new;
            return Ok(Some((there, made)));
        }
        let deleted = database
            .transact(Repeat::Safe, |connection| async move {
                ensure_people(&connection, members, at).await?;
                if !lock_people(&connection, members).await?.is_empty() {
                    return Ok(true);
                }
                make(&connection, new, Some(key), members, at).await?;
                Ok(false)
            })
            .await?;
        if deleted {
            return Ok(None);
        }
    }
    Err(StoreError::Unavailable(
        "the conversation of two changes all the time".into(),
    ))
}

//! Blocks between users.
//!
//! An append reads the blocks under the lock of its conversation, with a later snapshot. So [`block`]
//! commits first, and then takes the locks of the conversations of the two users and of their
//! memberships (marks are advanced under locks of memberships): every transaction that did not see the
//! block is committed by then.

use super::block_check::is_blocked;
use super::codec::to_db;
use super::connection::{Connection, Params, Sql};
use super::conversations::ensure_people;
use super::database::{Database, Repeat};
use super::error::Failure;
use super::people_lock::lock_people;
use super::queries::profile_of;
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::PersonKey;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{
    BlockOutcome, BlockState, BlockedBy, MOST_BLOCKERS, Page, StoreResult,
};
use lamplight_usecases::weight;
use tokio_postgres::types::Type;

/// Locks the blocks of a user, so that two at once are not one too many.
const LOCK: Sql = Sql {
    text: "SELECT id FROM people WHERE user_id = $1 FOR NO KEY UPDATE",
    types: &[Type::TEXT],
};

pub(super) const COUNT: Sql = Sql {
    text: "SELECT count(*), count(*) FILTER (WHERE b.blocked = (SELECT id FROM people WHERE user_id = $2))
           FROM blocks b WHERE b.person = $1",
    types: &[Type::INT8, Type::TEXT],
};

pub(super) const ADD: Sql = Sql {
    text: "INSERT INTO blocks (person, blocked, created_at) SELECT $1, id, $3 FROM people WHERE user_id = $2
           ON CONFLICT DO NOTHING",
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

pub(super) const NOTE: Sql = Sql {
    text: "UPDATE people SET has_blocks = true WHERE user_id = ANY($1) AND NOT has_blocks",
    types: &[Type::TEXT_ARRAY],
};

/// The conversations of two people that have no other member.
macro_rules! theirs {
    () => {
        "SELECT c.id FROM people one JOIN people other ON other.user_id = $2
         JOIN members m ON m.person = one.id JOIN conversations c ON c.id = m.conversation AND c.member_count = 2
         CROSS JOIN LATERAL (SELECT person FROM members WHERE conversation = c.id AND person = other.id OFFSET 0) o
         WHERE one.user_id = $1 OFFSET 0"
    };
}

/// In the order in which appends lock.
pub(super) const LOCK_THEIRS: Sql = Sql {
    text: concat!(
        "SELECT id FROM conversations WHERE id IN (",
        theirs!(),
        ") ORDER BY id FOR NO KEY UPDATE"
    ),
    types: &[Type::TEXT, Type::TEXT],
};

pub(super) const LOCK_MEMBERS: Sql = Sql {
    text: "SELECT conversation FROM members WHERE conversation = ANY($1)
           ORDER BY conversation, person FOR NO KEY UPDATE",
    types: &[Type::INT8_ARRAY],
};

pub(super) const REMOVE: Sql = Sql {
    text: "DELETE FROM blocks WHERE person = (SELECT id FROM people WHERE user_id = $1)
           AND blocked = (SELECT id FROM people WHERE user_id = $2)",
    types: &[Type::TEXT, Type::TEXT],
};

pub(super) const BLOCKED_BY: Sql = Sql {
    text: "SELECT p.user_id, p.name, p.avatar_url, p.name_folded
           FROM people me JOIN blocks b ON b.person = me.id JOIN people p ON p.id = b.blocked
           WHERE me.user_id = $1 AND (p.name_folded, p.user_id) > ($2, $3)
           ORDER BY p.name_folded, p.user_id LIMIT $4",
    types: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8],
};

pub(super) const BETWEEN: Sql = Sql {
    text: "SELECT o.user_id FROM people me JOIN people o ON o.user_id = ANY($2)
           CROSS JOIN LATERAL (SELECT 1 FROM blocks WHERE person = me.id AND blocked = o.id
               UNION SELECT 1 FROM blocks WHERE person = o.id AND blocked = me.id) b
           WHERE me.user_id = $1 AND me.has_blocks ORDER BY o.user_id",
    types: &[Type::TEXT, Type::TEXT_ARRAY],
};

/// Whether a conversation is direct, and whether a block holds in it.
pub(super) const STATE: Sql = Sql {
    text: concat!(
        "SELECT a.member_count = 2 AND NOT EXISTS (
             SELECT 1 FROM conversation_groups WHERE conversation = a.conversation), ",
        is_blocked!(),
        " FROM (SELECT p.has_blocks, c.member_count, p.id AS person, c.id AS conversation
             FROM people p JOIN conversations c ON c.conversation_id = $2
             JOIN members m ON m.conversation = c.id AND m.person = p.id WHERE p.user_id = $1) a"
    ),
    types: &[Type::TEXT, Type::TEXT],
};

pub(super) const BLOCKERS: Sql = Sql {
    text: "SELECT u.user_id, p.user_id, b.created_at FROM people u
           CROSS JOIN LATERAL (SELECT person, created_at FROM blocks WHERE blocked = u.id LIMIT $2) b
           JOIN people p ON p.id = b.person WHERE u.user_id = ANY($1) AND u.has_blocks",
    types: &[Type::TEXT_ARRAY, Type::INT8],
};

/// Blocks a user, and waits for the writes that had read before that there is no block.
pub(crate) async fn block(
    database: &Database,
    user: &UserId,
    blocked: &UserId,
    limit: usize,
    at: Timestamp,
) -> StoreResult<BlockOutcome> {
    let mut both = [user.clone(), blocked.clone()];
    both.sort();
    let both = &both;
    let outcome = database
        .transact(Repeat::Safe, |connection| async move {
            ensure_people(&connection, both, at).await?;
            if !lock_people(&connection, both).await?.is_empty() {
                return Ok(BlockOutcome::Deleted);
            }
            add(&connection, user, blocked, limit, at).await
        })
        .await?;
    if outcome == BlockOutcome::Blocked {
        let pair: Params<'_> = &[&user.as_str(), &blocked.as_str()];
        database
            .transact(Repeat::Safe, |connection| async move {
                let rows = connection.query(&LOCK_THEIRS, pair).await?;
                let ids = rows.iter().map(|row| row.try_get(0));
                let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
                connection.query(&LOCK_MEMBERS, &[&ids]).await.map(drop)
            })
            .await?;
    }
    Ok(outcome)
}

async fn add(
    connection: &Connection,
    user: &UserId,
    blocked: &UserId,
    limit: usize,
    at: Timestamp,
) -> Result<BlockOutcome, Failure> {
    let locked = connection.query_opt(&LOCK, &[&user.as_str()]).await?;
    let Some(locked) = locked else {
        return Ok(BlockOutcome::TooMany);
    };
    let person: i64 = locked.try_get(0)?;
    let params: Params<'_> = &[&person, &blocked.as_str()];
    if let Some(counts) = connection.query_opt(&COUNT, params).await? {
        let (count, own): (i64, i64) = (counts.try_get(0)?, counts.try_get(1)?);
        if own > 0 {
            return Ok(BlockOutcome::Blocked);
        }
        if count >= to_db(limit as u64) {
            return Ok(BlockOutcome::TooMany);
        }
    }
    connection
        .execute(&ADD, &[&person, &blocked.as_str(), &at.0])
        .await?;
    let both = vec![user.as_str(), blocked.as_str()];
    connection.execute(&NOTE, &[&both]).await?;
    Ok(BlockOutcome::Blocked)
}

pub(crate) async fn unblock(
    database: &Database,
    user: &UserId,
    blocked: &UserId,
) -> StoreResult<()> {
    let pair: Params<'_> = &[&user.as_str(), &blocked.as_str()];
    database
        .transact(Repeat::Safe, |connection| async move {
            connection.execute(&REMOVE, pair).await.map(drop)
        })
        .await
}

pub(crate) async fn blocked_by(
    database: &Database,
    user: &UserId,
    after: Option<PersonKey>,
    limit: usize,
) -> StoreResult<Page<Profile>> {
    let (name, id) = after.map_or_else(Default::default, |key| (key.name_folded, key.user));
    let wanted = to_db(limit as u64).saturating_add(1);
    let rows = database
        .rows(&BLOCKED_BY, &[&user.as_str(), &name, &id, &wanted])
        .await?;
    let (mut items, mut budget) = (Vec::new(), ByteBudget::default());
    let mut last: Option<PersonKey> = None;
    for row in &rows {
        let blocked = profile_of(row, 0).map_err(Failure::from)?;
        if items.len() == limit || !budget.takes(weight::member(&blocked)) {
            let next = last.map(|last| last.write());
            return Ok(Page { items, next });
        }
        last = Some(PersonKey {
            name_folded: row.try_get(3).map_err(Failure::from)?,
            user: blocked.id.as_str().to_owned(),
        });
        items.push(blocked);
    }
    Ok(Page { items, next: None })
}

/// The users among `others` who have blocked a user or whom the user has blocked.
pub(crate) async fn blocks_between(
    database: &Database,
    user: &UserId,
    others: &[UserId],
) -> StoreResult<Vec<UserId>> {
    let others: Vec<&str> = others.iter().map(UserId::as_str).collect();
    let rows = database.rows(&BETWEEN, &[&user.as_str(), &others]).await?;
    let user = |row: &tokio_postgres::Row| row.try_get::<_, &str>(0).map(UserId::trusted);
    let users = rows.iter().map(user).collect::<Result<_, _>>();
    Ok(users.map_err(Failure::from)?)
}

/// Whether a block holds in a conversation.
pub(crate) async fn block_state(
    database: &Database,
    user: &UserId,
    conversation: &ConversationId,
) -> StoreResult<BlockState> {
    let params: Params<'_> = &[&user.as_str(), &conversation.as_str()];
    let rows = database.rows(&STATE, params).await?;
    let Some(row) = rows.first() else {
        return Ok(BlockState::Group);
    };
    let is_direct: bool = row.try_get(0).map_err(Failure::from)?;
    let is_blocked: bool = row.try_get(1).map_err(Failure::from)?;
    Ok(match (is_direct, is_blocked) {
        (false, _) => BlockState::Group,
        (true, false) => BlockState::Open,
        (true, true) => BlockState::Blocked,
    })
}

/// The blockers of these users.
pub(crate) async fn blockers_of(
    database: &Database,
    users: &[UserId],
) -> StoreResult<Vec<BlockedBy>> {
    let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
    let limit = to_db(MOST_BLOCKERS as u64);
    let rows = database.rows(&BLOCKERS, &[&users, &limit]).await?;
    let one = |row: &tokio_postgres::Row| {
        Ok::<_, tokio_postgres::Error>(BlockedBy {
            blocked: UserId::trusted(row.try_get::<_, &str>(0)?),
            by: UserId::trusted(row.try_get::<_, &str>(1)?),
            since: Timestamp(row.try_get(2)?),
        })
    };
    let all = rows.iter().map(one).collect::<Result<_, _>>();
    Ok(all.map_err(Failure::from)?)
}

//! Deletes accounts, and keeps what is left to do for each.
//!
//! An append reads whether an account is deleted under the lock of its conversation, with a later
//! snapshot. So [`delete`] commits first and then takes the locks of the user's conversations of two
//! people: whatever had read before the commit that the account is there is committed by then.

use super::account_rows::{end_all, lock_person};
use super::codec::to_db;
use super::connection::{Connection, Sql};
use super::database::{Database, Repeat};
use super::error::Failure;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Authored, Deletion, NewDeletion, StoreResult};
use tokio_postgres::types::Type;

const PERSON: &[Type] = &[Type::INT8];

/// What goes with an account. Its sessions take their subscriptions to Web Push along.
const GONE: [Sql; 6] = [
    Sql {
        text: "DELETE FROM push_subscriptions WHERE person = $1",
        types: PERSON,
    },
    Sql {
        text: "DELETE FROM accounts WHERE person = $1",
        types: PERSON,
    },
    Sql {
        text: "DELETE FROM account_networks WHERE person = $1",
        types: PERSON,
    },
    Sql {
        text: "DELETE FROM blocks WHERE person = $1 OR blocked = $1",
        types: PERSON,
    },
    Sql {
        text: "DELETE FROM member_settings
               WHERE person = $1 AND conversation IN (SELECT conversation FROM members WHERE person = $1)",
        types: PERSON,
    },
    // The source 3 is ProfileSource::Deleted.
    Sql {
        text: "UPDATE people SET name = '', name_folded = '', avatar_url = NULL, source = 3, claims_at = NULL, status = 0,
                   status_text = NULL, status_until = NULL, last_seen = NULL, hides_last_seen = 0, hides_reads = 0,
                   has_blocks = true WHERE id = $1",
        types: PERSON,
    },
];

/// An append looks for deleted accounts where its sender's is set, as for blocks.
const NOTE: Sql = Sql {
    text: "UPDATE people SET has_blocks = true WHERE NOT has_blocks AND id IN (
               SELECT o.person FROM members m JOIN conversations c ON c.id = m.conversation AND c.member_count = 2
               JOIN members o ON o.conversation = m.conversation WHERE m.person = $1)",
    types: PERSON,
};

const ADD: Sql = Sql {
    text: "INSERT INTO account_deletions (person, erases_messages, created_at) VALUES ($1, $2, $3)",
    types: &[Type::INT8, Type::INT2, Type::INT8],
};

/// In the order in which appends lock.
const LOCK_DIRECT: Sql = Sql {
    text: "SELECT id FROM conversations WHERE member_count = 2 AND id IN (
               SELECT conversation FROM members WHERE person = (SELECT id FROM people WHERE user_id = $1))
           ORDER BY id FOR NO KEY UPDATE",
    types: &[Type::TEXT],
};

/// Not what another node claims at this moment.
const CLAIM: Sql = Sql {
    text: "UPDATE account_deletions d SET claimed_until = $2 FROM people p
           WHERE p.id = d.person AND d.person = (SELECT person FROM account_deletions
               WHERE claimed_until <= $1 ORDER BY created_at, person LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING p.user_id, d.erases_messages, d.position",
    types: &[Type::INT8, Type::INT8],
};

const IS_ANY: Sql = Sql {
    text: "SELECT 1 FROM account_deletions WHERE claimed_until <= $1 LIMIT 1",
    types: &[Type::INT8],
};

const ADVANCE: Sql = Sql {
    text: "UPDATE account_deletions SET position = greatest(position, $2), claimed_until = $3
           WHERE person = (SELECT id FROM people WHERE user_id = $1)",
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

const FINISH: Sql = Sql {
    text: "DELETE FROM account_deletions WHERE person = (SELECT id FROM people WHERE user_id = $1) RETURNING person",
    types: &[Type::TEXT],
};

/// The last of the next entries after a position.
const PART: Sql = Sql {
    text: "SELECT max(id) FROM (SELECT id FROM entries WHERE id > $1 ORDER BY id LIMIT $2) part",
    types: &[Type::INT8, Type::INT8],
};

/// The messages of a person in a part of all logs.
const AUTHORED: Sql = Sql {
    text: "SELECT c.conversation_id, e.message_id FROM entries e JOIN conversations c ON c.id = e.conversation
           WHERE e.id > $1 AND e.id <= $2 AND e.sender = (SELECT id FROM people WHERE user_id = $3)
               AND NOT EXISTS (SELECT 1 FROM other_entries o WHERE o.conversation = e.conversation AND o.seq = e.seq)
               AND NOT EXISTS (SELECT 1 FROM message_changes x
                   WHERE x.conversation = e.conversation AND x.seq = e.seq AND x.deleted_seq IS NOT NULL)
           ORDER BY e.id",
    types: &[Type::INT8, Type::INT8, Type::TEXT],
};

/// A conversation with other than two members is a group also without a row of its own.
const GROUPS_OF: Sql = Sql {
    text: "SELECT c.conversation_id FROM people p JOIN members m ON m.person = p.id JOIN conversations c ON c.id = m.conversation
           WHERE p.user_id = $1 AND (c.member_count <> 2
               OR EXISTS (SELECT 1 FROM conversation_groups g WHERE g.conversation = c.id))
           ORDER BY c.id LIMIT $2",
    types: &[Type::TEXT, Type::INT8],
};

/// Deletes an account; returns the sessions that it ends.
pub(super) async fn delete(
    database: &Database,
    deletion: &NewDeletion,
) -> StoreResult<Option<Vec<String>>> {
    let deleted = database
        .transact(Repeat::Never, |connection| async move {
            delete_in(&connection, deletion).await
        })
        .await?;
    if deleted.is_some() {
        let user = deletion.user.as_str();
        database
            .transact(Repeat::Safe, |connection| async move {
                connection.query(&LOCK_DIRECT, &[&user]).await.map(drop)
            })
            .await?;
    }
    Ok(deleted)
}

async fn delete_in(
    connection: &Connection,
    deletion: &NewDeletion,
) -> Result<Option<Vec<String>>, Failure> {
    let found = lock_person(connection, deletion.user.as_str()).await?;
    let Some((person, Some(hash))) = found else {
        return Ok(None);
    };
    if hash != deletion.password_hash {
        return Ok(None);
    }
    let ended = end_all(connection, person, None, None).await?;
    for sql in &GONE {
        connection.execute(sql, &[&person]).await?;
    }
    connection.execute(&NOTE, &[&person]).await?;
    let erases = i16::from(deletion.erases_messages);
    connection
        .execute(&ADD, &[&person, &erases, &deletion.at.0])
        .await?;
    Ok(Some(ended))
}

pub(super) async fn claim(
    database: &Database,
    at: Timestamp,
    until: Timestamp,
) -> StoreResult<Option<Deletion>> {
    // Nearly always there is none; then a read is enough.
    if database.row(&IS_ANY, &[&at.0]).await?.is_none() {
        return Ok(None);
    }
    database
        .transact(Repeat::Never, |connection| async move {
            let Some(row) = connection.query_opt(&CLAIM, &[&at.0, &until.0]).await? else {
                return Ok(None);
            };
            Ok(Some(Deletion {
                user: UserId::trusted(row.try_get::<_, &str>(0)?),
                erases_messages: row.try_get::<_, i16>(1)? != 0,
                position: row.try_get(2)?,
            }))
        })
        .await
}

pub(super) async fn advance(
    database: &Database,
    user: &UserId,
    position: i64,
    until: Timestamp,
) -> StoreResult<()> {
    database
        .transact(Repeat::Safe, |connection| async move {
            connection
                .execute(&ADVANCE, &[&user.as_str(), &position, &until.0])
                .await
                .map(drop)
        })
        .await
}

pub(super) async fn finish(database: &Database, user: &UserId) -> StoreResult<()> {
    database
        .transact(Repeat::Safe, |connection| async move {
            let finished = connection.query_opt(&FINISH, &[&user.as_str()]).await?;
            if let Some(row) = finished {
                // A conversation may have been made while the account was deleted.
                let person: i64 = row.try_get(0)?;
                connection.execute(&NOTE, &[&person]).await?;
            }
            Ok(())
        })
        .await
}

pub(super) async fn authored(
    database: &Database,
    user: &UserId,
    after: i64,
    entries: usize,
) -> StoreResult<Authored> {
    let entries = to_db(entries as u64);
    let row = database.row(&PART, &[&after, &entries]).await?;
    let position: Option<i64> = match row {
        Some(row) => row.try_get(0).map_err(Failure::from)?,
        None => None,
    };
    let Some(last) = position else {
        return Ok(Authored::default());
    };
    let rows = database
        .rows(&AUTHORED, &[&after, &last, &user.as_str()])
        .await?;
    let message = |row: &tokio_postgres::Row| {
        let conversation = ConversationId::trusted(row.try_get::<_, &str>(0)?);
        Ok::<_, tokio_postgres::Error>((
            conversation,
            MessageId::trusted(row.try_get::<_, &str>(1)?),
        ))
    };
    let messages = rows.iter().map(message).collect::<Result<_, _>>();
    Ok(Authored {
        messages: messages.map_err(Failure::from)?,
        position,
    })
}

pub(super) async fn groups_of(
    database: &Database,
    user: &UserId,
    limit: usize,
) -> StoreResult<Vec<ConversationId>> {
    let limit = to_db(limit as u64);
    let rows = database.rows(&GROUPS_OF, &[&user.as_str(), &limit]).await?;
    let group = |row: &tokio_postgres::Row| row.try_get::<_, &str>(0).map(ConversationId::trusted);
    let groups = rows.iter().map(group).collect::<Result<_, _>>();
    Ok(groups.map_err(Failure::from)?)
}

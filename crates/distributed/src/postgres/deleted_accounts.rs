//! Deletes accounts, and stores the remaining work of each deletion.
//!
//! An append reads whether an account is deleted under the lock of its conversation, with a later snapshot.
//! So [`delete`] commits first, and then takes the locks of the user's direct conversations ([`settle`]):
//! every transaction that did not see the deletion is committed by then. A transaction that starts a
//! conversation with a user, or adds them to a group, locks their row first and reads it then.
//!
//! The transaction of a deletion locks no person but the user, since their partners may be deleting
//! their accounts too. Every statement that locks several rows of other users does so in the order of
//! ids.

use super::account_rows::{end_all, lock_person};
use super::codec::to_db;
use super::connection::{Connection, Sql};
use super::database::{Database, Repeat};
use super::error::Failure;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Authored, Deletion, NewDeletion, StoreError, StoreResult};
use tokio_postgres::types::Type;

const PERSON: &[Type] = &[Type::INT8];

/// The rows of others that [`GONE`] deletes, in the order in which all that lock several do.
const LOCK_GONE: [Sql; 2] = [
    Sql {
        text: "SELECT 1 FROM blocks WHERE person = $1 OR blocked = $1 ORDER BY person, blocked FOR UPDATE",
        types: PERSON,
    },
    Sql {
        text: "SELECT 1 FROM member_settings
               WHERE person = $1 AND conversation IN (SELECT conversation FROM members WHERE person = $1)
               ORDER BY conversation FOR UPDATE",
        types: PERSON,
    },
];

const FORGET_SETTINGS: Sql = Sql {
    text: "DELETE FROM member_settings
           WHERE person = $1 AND conversation IN (SELECT conversation FROM members WHERE person = $1)",
    types: PERSON,
};

/// The rows to delete with an account. Deleting its sessions cascades to their Web Push
/// subscriptions.
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
    FORGET_SETTINGS,
    // The source 3 is ProfileSource::Deleted.
    Sql {
        text: "UPDATE people SET name = '', name_folded = '', avatar_url = NULL, source = 3, claims_at = NULL, status = 0,
                   status_text = NULL, status_until = NULL, last_seen = NULL, hides_last_seen = 0, hides_reads = 0,
                   has_blocks = true WHERE id = $1",
        types: PERSON,
    },
];

/// The partners of a person in conversations of two.
macro_rules! partners {
    () => {
        "SELECT o.person FROM members m JOIN conversations c ON c.id = m.conversation AND c.member_count = 2
         JOIN members o ON o.conversation = m.conversation AND o.person <> m.person WHERE m.person = $1"
    };
}

/// An append looks for deleted accounts where its sender's `has_blocks` is set, as for blocks. In the order
/// of ids, as everything that locks several people.
const LOCK_UNNOTED: Sql = Sql {
    text: concat!(
        "SELECT id FROM people WHERE NOT has_blocks AND id IN (",
        partners!(),
        ") ORDER BY id FOR NO KEY UPDATE"
    ),
    types: PERSON,
};

const NOTE: Sql = Sql {
    text: "UPDATE people SET has_blocks = true WHERE id = ANY($1)",
    types: &[Type::INT8_ARRAY],
};

const IS_UNNOTED: Sql = Sql {
    text: concat!(
        "SELECT 1 FROM people WHERE NOT has_blocks AND id IN (",
        partners!(),
        ") LIMIT 1"
    ),
    types: PERSON,
};

const HASH: Sql = Sql {
    text: "SELECT p.id, a.password_hash FROM people p JOIN accounts a ON a.person = p.id WHERE p.user_id = $1",
    types: &[Type::TEXT],
};

/// How often [`delete`] looks for partners while conversations with the user are made.
const LOOKS: u32 = 5;

const ADD: Sql = Sql {
    text: "INSERT INTO account_deletions (person, erases_messages, created_at, ended) VALUES ($1, $2, $3, $4)",
    types: &[Type::INT8, Type::INT2, Type::INT8, Type::TEXT],
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
           RETURNING p.user_id, d.erases_messages, d.position, d.announced, d.ended",
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

const ANNOUNCED: Sql = Sql {
    text: "UPDATE account_deletions SET announced = 1, ended = ''
           WHERE person = (SELECT id FROM people WHERE user_id = $1)",
    types: &[Type::TEXT],
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

/// The result of a transaction that deletes an account.
enum Outcome {
    /// The sessions that it ends.
    Deleted(Vec<String>),
    OtherPassword,
    /// A conversation was made meanwhile whose other member is not noted yet.
    NewPartner,
}

/// Deletes an account; returns the sessions that it ends.
pub(super) async fn delete(
    database: &Database,
    deletion: &NewDeletion,
) -> StoreResult<Option<Vec<String>>> {
    let user = deletion.user.as_str();
    let Some(row) = database.row(&HASH, &[&user]).await? else {
        return Ok(None);
    };
    let person: i64 = row.try_get(0).map_err(Failure::from)?;
    let hash: &str = row.try_get(1).map_err(Failure::from)?;
    if hash != deletion.password_hash {
        return Ok(None);
    }
    let is_kept = |outcome: &Outcome| matches!(outcome, Outcome::Deleted(_));
    for _ in 0..LOOKS {
        note_partners(database, person).await?;
        let outcome = database
            .transact_if(Repeat::Never, is_kept, |connection| async move {
                delete_in(&connection, deletion).await
            })
            .await?;
        match outcome {
            Outcome::Deleted(ended) => {
                settle(database, &deletion.user).await?;
                return Ok(Some(ended));
            }
            Outcome::OtherPassword => return Ok(None),
            Outcome::NewPartner => {}
        }
    }
    Err(StoreError::Unavailable(
        "conversations with the account are made all the time".into(),
    ))
}

/// See [`LOCK_UNNOTED`]. Marking a person without need would cost each of their appends a lookup.
async fn note_partners(database: &Database, person: i64) -> StoreResult<()> {
    database
        .transact(Repeat::Safe, |connection| async move {
            note_in(&connection, person).await
        })
        .await
}

async fn note_in(connection: &Connection, person: i64) -> Result<(), Failure> {
    let rows = connection.query(&LOCK_UNNOTED, &[&person]).await?;
    let ids = rows.iter().map(|row| row.try_get(0));
    let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
    if !ids.is_empty() {
        connection.execute(&NOTE, &[&ids]).await?;
    }
    Ok(())
}

async fn delete_in(connection: &Connection, deletion: &NewDeletion) -> Result<Outcome, Failure> {
    let found = lock_person(connection, deletion.user.as_str()).await?;
    let Some((person, Some(hash))) = found else {
        return Ok(Outcome::OtherPassword);
    };
    if hash != deletion.password_hash {
        return Ok(Outcome::OtherPassword);
    }
    // From here on no conversation with the user can start.
    if connection
        .query_opt(&IS_UNNOTED, &[&person])
        .await?
        .is_some()
    {
        return Ok(Outcome::NewPartner);
    }
    let ended = end_all(connection, person, None, None).await?;
    for sql in &LOCK_GONE {
        connection.query(sql, &[&person]).await?;
    }
    for sql in &GONE {
        connection.execute(sql, &[&person]).await?;
    }
    let erases = i16::from(deletion.erases_messages);
    let digests = ended.join("\n");
    connection
        .execute(&ADD, &[&person, &erases, &deletion.at.0, &digests])
        .await?;
    Ok(Outcome::Deleted(ended))
}

/// Waits for the writes that had read before the deletion that the account is there.
pub(super) async fn settle(database: &Database, user: &UserId) -> StoreResult<()> {
    let user = user.as_str();
    database
        .transact(Repeat::Safe, |connection| async move {
            connection.query(&LOCK_DIRECT, &[&user]).await.map(drop)
        })
        .await
}

pub(super) async fn announced(database: &Database, user: &UserId) -> StoreResult<()> {
    database
        .transact(Repeat::Safe, |connection| async move {
            connection
                .execute(&ANNOUNCED, &[&user.as_str()])
                .await
                .map(drop)
        })
        .await
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
                is_announced: row.try_get::<_, i16>(3)? != 0,
                ended: row
                    .try_get::<_, &str>(4)?
                    .lines()
                    .map(str::to_owned)
                    .collect(),
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
                let person: i64 = row.try_get(0)?;
                // A request that was under way may have set something after the deletion, and a node of
                // the version before may have made a conversation.
                connection.query(&LOCK_GONE[1], &[&person]).await?;
                connection.execute(&FORGET_SETTINGS, &[&person]).await?;
                note_in(&connection, person).await?;
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

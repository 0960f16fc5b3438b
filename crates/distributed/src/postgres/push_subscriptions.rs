//! Subscriptions for Web Push, and the keys that they were made for.

use super::codec::{from_db, to_db};
use super::connection::{Connection, Params, Sql};
use super::database::{Database, Repeat};
use super::error::Failure;
use super::follower;
use super::schema::PUSH_LOCK;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    NewSubscription, PushCounts, PushKey, StoreError, StoreResult, SubscribeOutcome,
};
use lamplight_usecases::push::FOLLOWER;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Of nodes that make the first key at once, one does.
const LOCK: Sql = Sql {
    text: "SELECT pg_advisory_xact_lock($1)",
    types: &[Type::INT8],
};

const PRESENT_KEY: Sql = Sql {
    text: "SELECT public_key, private_key, id FROM push_keys ORDER BY id DESC LIMIT 1",
    types: &[],
};

const KEY_OF: Sql = Sql {
    text: "SELECT id FROM push_keys WHERE public_key = $1",
    types: &[Type::TEXT],
};

const ADD_KEY: Sql = Sql {
    text: "INSERT INTO push_keys (public_key, private_key, created_at) VALUES ($1, $2, $3)",
    types: &[Type::TEXT, Type::TEXT, Type::INT8],
};

/// So that subscriptions of one user at once are not one too many.
const LOCK_PERSON: Sql = Sql {
    text: "SELECT id FROM people WHERE user_id = $1 FOR NO KEY UPDATE",
    types: &[Type::TEXT],
};

const LOCK_SESSION: Sql = Sql {
    text: "SELECT 1 FROM sessions WHERE digest = $1 AND person = $2 FOR KEY SHARE",
    types: &[Type::TEXT, Type::INT8],
};

const BEGIN_AT: Sql = Sql {
    text: "INSERT INTO follower_positions (name, position) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
    types: &[Type::TEXT, Type::INT8],
};

const END_OTHERS: Sql = Sql {
    text: "DELETE FROM push_subscriptions WHERE endpoint = $1 AND person <> $2",
    types: &[Type::TEXT, Type::INT8],
};

const PUT: Sql = Sql {
    text: "INSERT INTO push_subscriptions (person, session, endpoint, p256dh, auth, content, push_key, created_at, renewed_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
           ON CONFLICT (endpoint) DO UPDATE SET session = excluded.session, p256dh = excluded.p256dh, auth = excluded.auth,
               content = excluded.content, push_key = excluded.push_key, renewed_at = excluded.renewed_at",
    types: &[
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT2,
        Type::INT8,
        Type::INT8,
    ],
};

/// The newest stays, even if the clock was ahead when the others were renewed.
const END_OLDEST: Sql = Sql {
    text: "DELETE FROM push_subscriptions WHERE id IN (
               SELECT id FROM push_subscriptions WHERE person = $1 AND endpoint <> $2
               ORDER BY renewed_at DESC, id DESC OFFSET $3)",
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

const END_OF_USER: Sql = Sql {
    text: "DELETE FROM push_subscriptions
           WHERE endpoint = $2 AND person = (SELECT id FROM people WHERE user_id = $1)",
    types: &[Type::TEXT, Type::TEXT],
};

const END: Sql = Sql {
    text: "DELETE FROM push_subscriptions WHERE id = $1 AND endpoint = $2",
    types: &[Type::INT8, Type::TEXT],
};

const COUNTS: Sql = Sql {
    text: "SELECT (SELECT count(*) FROM push_subscriptions), (SELECT count(*) FROM push_queue)",
    types: &[],
};

pub(super) fn key(row: &Row, at: usize) -> Result<PushKey, tokio_postgres::Error> {
    Ok(PushKey {
        public: row.try_get::<_, &str>(at)?.into(),
        private: row.try_get::<_, &str>(at + 1)?.into(),
    })
}

pub(crate) async fn push_key(
    database: &Database,
    new: &PushKey,
    at: Timestamp,
) -> StoreResult<PushKey> {
    if let Some(row) = database.row(&PRESENT_KEY, &[]).await? {
        return Ok(key(&row, 0).map_err(Failure::from)?);
    }
    database
        .transact(Repeat::Safe, |connection| async move {
            connection.query(&LOCK, &[&PUSH_LOCK]).await?;
            if let Some(row) = connection.query_opt(&PRESENT_KEY, &[]).await? {
                return Ok(key(&row, 0)?);
            }
            add_key(&connection, new, at).await?;
            Ok(new.clone())
        })
        .await
}

async fn add_key(connection: &Connection, new: &PushKey, at: Timestamp) -> Result<(), Failure> {
    let params: Params<'_> = &[&&*new.public, &&*new.private, &at.0];
    connection.execute(&ADD_KEY, params).await.map(drop)
}

pub(crate) async fn replace_push_key(
    database: &Database,
    new: &PushKey,
    at: Timestamp,
) -> StoreResult<()> {
    database
        .transact(Repeat::Never, |connection| async move {
            connection.query(&LOCK, &[&PUSH_LOCK]).await?;
            add_key(&connection, new, at).await
        })
        .await
}

pub(crate) async fn subscribe(
    database: &Database,
    new: &NewSubscription,
    most: usize,
    at: Timestamp,
) -> StoreResult<SubscribeOutcome> {
    // The first subscription sets where the queue begins: every later entry is queued.
    let head = match follower::position(database, FOLLOWER).await? {
        Some(position) => position,
        None => follower::head(database).await?,
    };
    database
        .transact(Repeat::Safe, |connection| async move {
            let begin: Params<'_> = &[&FOLLOWER, &to_db(head.0)];
            connection.execute(&BEGIN_AT, begin).await?;
            put(&connection, new, most, at).await
        })
        .await
}

async fn put(
    connection: &Connection,
    new: &NewSubscription,
    most: usize,
    at: Timestamp,
) -> Result<SubscribeOutcome, Failure> {
    let user = new.user.as_str();
    let Some(person) = connection.query_opt(&LOCK_PERSON, &[&user]).await? else {
        return Ok(SubscribeOutcome::NoSession);
    };
    let person: i64 = person.try_get(0)?;
    let session = new.session.as_deref();
    if let Some(digest) = session {
        let of: Params<'_> = &[&digest, &person];
        if connection.query_opt(&LOCK_SESSION, of).await?.is_none() {
            return Ok(SubscribeOutcome::NoSession);
        }
    }
    let key = match &new.key {
        Some(public) => connection.query_opt(&KEY_OF, &[&&**public]).await?,
        None => connection.query_opt(&PRESENT_KEY, &[]).await?,
    };
    let Some(key) = key else {
        return Ok(SubscribeOutcome::OtherKey);
    };
    let key: i64 = key.try_get("id")?;
    let (endpoint, p256dh, auth) = (
        &*new.target.endpoint,
        &*new.target.p256dh,
        &*new.target.auth,
    );
    connection
        .execute(&END_OTHERS, &[&endpoint, &person])
        .await?;
    let content = i16::from(new.content);
    let subscription: Params<'_> = &[
        &person, &session, &endpoint, &p256dh, &auth, &content, &key, &at.0,
    ];
    connection.execute(&PUT, subscription).await?;
    let others = to_db(most.saturating_sub(1) as u64);
    connection
        .execute(&END_OLDEST, &[&person, &endpoint, &others])
        .await?;
    Ok(SubscribeOutcome::Subscribed)
}

async fn change(database: &Database, sql: &Sql, params: Params<'_>) -> StoreResult<()> {
    database
        .transact(Repeat::Safe, |connection| async move {
            connection.execute(sql, params).await.map(drop)
        })
        .await
}

pub(crate) async fn unsubscribe(
    database: &Database,
    user: &UserId,
    endpoint: &str,
) -> StoreResult<()> {
    change(database, &END_OF_USER, &[&user.as_str(), &endpoint]).await
}

pub(crate) async fn end_subscription(
    database: &Database,
    id: i64,
    endpoint: &str,
) -> StoreResult<()> {
    change(database, &END, &[&id, &endpoint]).await
}

pub(crate) async fn push_counts(database: &Database) -> StoreResult<PushCounts> {
    let row = database.row(&COUNTS, &[]).await?;
    let row = row.ok_or_else(|| StoreError::Internal("an aggregate has no row".into()))?;
    let count = |at| row.try_get(at).map(from_db).map_err(Failure::from);
    Ok(PushCounts {
        subscriptions: count(0)?,
        waiting: count(1)?,
    })
}

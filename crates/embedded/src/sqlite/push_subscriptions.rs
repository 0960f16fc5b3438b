//! Subscriptions for Web Push, and the keys that they were made for.

use super::codec::{from_db, now, person_row, to_db};
use super::follower::{commit_head, confirm, follower_position};
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    NewSubscription, PushCounts, PushKey, PushSubscription, PushTarget, SubscribeOutcome,
};
use lamplight_usecases::push::FOLLOWER;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const PRESENT_KEY: &str =
    "SELECT id, public_key, private_key FROM push_keys ORDER BY id DESC LIMIT 1";

fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<PushKey> {
    Ok(PushKey {
        public: row.get_ref(at)?.as_str()?.into(),
        private: row.get_ref(at + 1)?.as_str()?.into(),
    })
}

pub(crate) fn present_push_key(conn: &Connection) -> rusqlite::Result<Option<PushKey>> {
    conn.prepare_cached(PRESENT_KEY)?
        .query_row([], |row| key(row, 1))
        .optional()
}

pub(crate) fn push_key(
    conn: &Connection,
    new: &PushKey,
    at: Timestamp,
) -> rusqlite::Result<PushKey> {
    if let Some(present) = present_push_key(conn)? {
        return Ok(present);
    }
    replace_push_key(conn, new, at)?;
    Ok(new.clone())
}

pub(crate) fn replace_push_key(
    conn: &Connection,
    new: &PushKey,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO push_keys (public_key, private_key, created_at) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![&*new.public, &*new.private, at.0])
    .map(drop)
}

pub(crate) fn subscribe(
    conn: &Connection,
    new: &NewSubscription,
    most: usize,
    at: Timestamp,
) -> rusqlite::Result<SubscribeOutcome> {
    let NewSubscription {
        user,
        session,
        target,
        content,
        key,
    } = new;
    let Some(person) = person_row(conn, user)? else {
        return Ok(SubscribeOutcome::NoSession);
    };
    if let Some(session) = session
        && !conn
            .prepare_cached("SELECT 1 FROM sessions WHERE digest = ?1 AND person = ?2")?
            .exists(params![&**session, person])?
    {
        return Ok(SubscribeOutcome::NoSession);
    }
    let key: Option<i64> = match key {
        Some(public) => conn
            .prepare_cached("SELECT id FROM push_keys WHERE public_key = ?1")?
            .query_row([&**public], |row| row.get(0))
            .optional()?,
        None => conn
            .prepare_cached(PRESENT_KEY)?
            .query_row([], |row| row.get(0))
            .optional()?,
    };
    let Some(key) = key else {
        return Ok(SubscribeOutcome::OtherKey);
    };
    // From here on the queue misses nothing.
    if follower_position(conn, FOLLOWER)?.is_none() {
        confirm(conn, FOLLOWER, commit_head(conn)?)?;
    }
    let endpoint = &*target.endpoint;
    conn.prepare_cached("DELETE FROM push_subscriptions WHERE endpoint = ?1 AND person <> ?2")?
        .execute(params![endpoint, person])?;
    conn.prepare_cached(
        "INSERT INTO push_subscriptions (person, session, endpoint, p256dh, auth, content, push_key, created_at, renewed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
         ON CONFLICT (endpoint) DO UPDATE SET session = excluded.session, p256dh = excluded.p256dh, auth = excluded.auth,
             content = excluded.content, push_key = excluded.push_key, renewed_at = excluded.renewed_at",
    )?
    .execute(params![
        person,
        session.as_deref(),
        endpoint,
        &*target.p256dh,
        &*target.auth,
        content,
        key,
        at.0
    ])?;
    // The newest stays, even if the clock was ahead when the others were renewed.
    conn.prepare_cached(
        "DELETE FROM push_subscriptions WHERE id IN (
             SELECT id FROM push_subscriptions WHERE person = ?1 AND endpoint <> ?2
             ORDER BY renewed_at DESC, id DESC LIMIT -1 OFFSET ?3)",
    )?
    .execute(params![
        person,
        endpoint,
        to_db(most.saturating_sub(1) as u64)
    ])?;
    Ok(SubscribeOutcome::Subscribed)
}

pub(crate) fn unsubscribe(
    conn: &Connection,
    user: &UserId,
    endpoint: &str,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM push_subscriptions
         WHERE endpoint = ?2 AND person = (SELECT id FROM people WHERE user_id = ?1)",
    )?
    .execute(params![user.as_str(), endpoint])
    .map(drop)
}

pub(crate) fn end_subscription(conn: &Connection, id: i64, endpoint: &str) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM push_subscriptions WHERE id = ?1 AND endpoint = ?2")?
        .execute(params![id, endpoint])
        .map(drop)
}

/// A subscription, and whether its session is over.
pub(super) fn subscription(
    conn: &Connection,
    id: i64,
) -> rusqlite::Result<Option<(PushSubscription, bool)>> {
    conn.prepare_cached(concat!(
        "SELECT s.id, p.user_id, s.endpoint, s.p256dh, s.auth, s.content, k.public_key, k.private_key, s.failures, s.created_at,
             ifnull(ss.expires_at <= ",
        now!(),
        ", s.session IS NOT NULL)
         FROM push_subscriptions s JOIN people p ON p.id = s.person JOIN push_keys k ON k.id = s.push_key
         LEFT JOIN sessions ss ON ss.digest = s.session WHERE s.id = ?1"
    ))?
    .query_row([id], |row| {
        let failures: i64 = row.get(8)?;
        let subscription = PushSubscription {
            id: row.get(0)?,
            user: UserId::trusted(row.get_ref(1)?.as_str()?),
            target: PushTarget {
                endpoint: row.get_ref(2)?.as_str()?.into(),
                p256dh: row.get_ref(3)?.as_str()?.into(),
                auth: row.get_ref(4)?.as_str()?.into(),
            },
            content: row.get(5)?,
            key: key(row, 6)?,
            failures: u32::try_from(from_db(failures)).unwrap_or(u32::MAX),
            created_at: Timestamp(row.get(9)?),
        };
        Ok((subscription, row.get(10)?))
    })
    .optional()
}

pub(crate) fn push_counts(conn: &Connection) -> rusqlite::Result<PushCounts> {
    conn.prepare_cached(
        "SELECT (SELECT count(*) FROM push_subscriptions), (SELECT count(*) FROM push_queue)",
    )?
    .query_row([], |row| {
        Ok(PushCounts {
            subscriptions: from_db(row.get(0)?),
            waiting: from_db(row.get(1)?),
        })
    })
}

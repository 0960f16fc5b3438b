//! Sign-outs that PostgreSQL does not have yet, in a list in Redis that every node reads.

use crate::redis::{RedisClient, RedisScript};
use async_trait::async_trait;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Exchanged, SharedSignOuts, SignOut, StoreError, StoreResult};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The lifetime of a session: older sign-outs are irrelevant. The list expires after this time
/// without a read.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The most sign-outs in the list.
const AT_MOST: usize = 10_000;
/// The most items of one call, so that no call takes Redis long.
const ITEMS_AT_ONCE: usize = 1_000;

/// The list of one cluster.
pub struct RedisSignOuts {
    redis: RedisClient,
    list: String,
    stamp: String,
    exchange: RedisScript,
    /// The stamp of the latest read.
    known: Mutex<String>,
}

/// A sign-out in the list: `{"user":"1","session":"<digest>"}` or
/// `{"user":"1","until":1700000000000}`.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    session: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

fn encode(sign_out: &SignOut) -> String {
    let record = match sign_out {
        SignOut::Session { user, credential } => Record {
            user: user.as_str().into(),
            session: Some((&**credential).into()),
            until: None,
        },
        SignOut::Everywhere { user, until } => Record {
            user: user.as_str().into(),
            session: None,
            until: Some(until.0),
        },
    };
    // Texts and numbers always have a form in JSON.
    serde_json::to_string(&record).unwrap_or_default()
}

/// `None` for an item of a later version.
fn decode(json: &str) -> Option<SignOut> {
    let record: Record<'_> = serde_json::from_str(json).ok()?;
    let user = UserId::trusted(&*record.user);
    match (record.session, record.until) {
        (Some(session), _) => Some(SignOut::Session {
            user,
            credential: (&*session).into(),
        }),
        (None, Some(until)) => Some(SignOut::Everywhere {
            user,
            until: Timestamp(until),
        }),
        (None, None) => None,
    }
}

/// The part of a stamp that stays for as long as the list is not lost.
fn list_of(stamp: &str) -> &str {
    stamp.split(' ').next().unwrap_or_default()
}

impl RedisSignOuts {
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        let prefix = redis.options().prefix();
        Self {
            list: format!("{prefix}:{{{prefix}:ended}}:list"),
            stamp: format!("{prefix}:{{{prefix}:ended}}:stamp"),
            redis,
            exchange: RedisScript::new(include_str!("exchange.lua")),
            known: Mutex::default(),
        }
    }

    async fn call(&self, add: &[SignOut], remove: &[SignOut]) -> StoreResult<Exchanged> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| StoreError::Internal(error.to_string()))?;
        let known = self.known.lock().clone();
        let life = u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX);
        let call = self.exchange.call().key(&self.list).key(&self.stamp);
        let mut call = call
            .arg(&known)
            .arg(format!("{:016x}", u64::from_le_bytes(random)))
            .arg(life)
            .arg(AT_MOST)
            .arg(add.len());
        for sign_out in add.iter().chain(remove) {
            call = call.arg(encode(sign_out));
        }
        let answer = self.redis.run::<(String, Option<Vec<String>>)>(&call).await;
        let (stamp, all) = answer.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let began_anew = list_of(&stamp) != list_of(&known);
        *self.known.lock() = stamp;
        let all = all.map(|all| all.iter().filter_map(|json| decode(json)).collect());
        Ok(Exchanged { began_anew, all })
    }
}

#[async_trait]
impl SharedSignOuts for RedisSignOuts {
    async fn exchange(&self, add: &[SignOut], remove: &[SignOut]) -> StoreResult<Exchanged> {
        // The next call handles the rest.
        let add = &add[..add.len().min(ITEMS_AT_ONCE)];
        let mut remove = remove.chunks(ITEMS_AT_ONCE);
        let mut exchanged = self.call(add, remove.next().unwrap_or_default()).await?;
        for remove in remove {
            let next = self.call(&[], remove).await?;
            exchanged.began_anew |= next.began_anew;
            exchanged.all = next.all.or(exchanged.all);
        }
        Ok(exchanged)
    }
}

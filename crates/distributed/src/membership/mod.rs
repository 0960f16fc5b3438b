//! Verifies that the nodes of a cluster fit together: one store for each prefix of Redis, and the
//! same Redis and database for all nodes. A mistake fails the startup, or stops the node when it is
//! detected.

mod binding;
mod rules;

pub use rules::Misuse;

use crate::postgres::PostgresStore;
use crate::postgres::nodes::{NodeRow, Registration, Renewal};
use crate::redis::{RedisClient, RedisError};
use binding::{Bound, bind, unbind};
use lamplight_usecases::ports::StoreError;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use rules::{Seen, conflict};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep};

/// How often a node renews its row in PostgreSQL and looks at the binding in Redis.
const RENEW: Duration = Duration::from_secs(1);
/// How long the start waits for Redis before the node starts without it.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

/// This node, and the state that it shares with others.
pub struct MembershipOptions {
    pub node_id: String,
    /// The store's id, made once with it.
    pub store_id: String,
    pub redis: Option<RedisClient>,
    /// `None` for a store that one node can use only.
    pub postgres: Option<Arc<PostgresStore>>,
}

/// Why a node does not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Misuse(#[from] Misuse),
    #[error(
        "{0} (LL-127). Check the user and the password in REDIS_URL, and that the server is Redis 7.0 or newer, or Valkey."
    )]
    Redis(RedisError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// This node's place among the nodes of its store.
pub struct Membership {
    options: MembershipOptions,
    state: Mutex<State>,
    /// How often other nodes were found to have ended.
    ends: watch::Sender<u64>,
}

struct State {
    /// The id of the Redis and prefix, which the first node wrote there. Empty until Redis has
    /// answered.
    instance: String,
    /// Of the row in PostgreSQL.
    incarnation: i64,
    renewed: Instant,
    /// The other nodes at the last renewal, each with its incarnation.
    others: HashSet<String>,
}

impl Membership {
    /// Checks that this node may use its store and its Redis, and registers it. If Redis is away,
    /// [`Membership::run`] checks it later.
    ///
    /// # Errors
    /// When the node must not start.
    pub async fn join(options: MembershipOptions) -> Result<Self, JoinError> {
        let membership = Self {
            options,
            state: Mutex::new(State {
                instance: String::new(),
                incarnation: 0,
                renewed: Instant::now(),
                others: HashSet::new(),
            }),
            ends: watch::Sender::new(0),
        };
        let mut made = false;
        if let Some(redis) = &membership.options.redis {
            match redis.connected(REDIS_PATIENCE).await {
                Ok(()) => made = membership.bind(redis).await?,
                Err(refused @ RedisError::Refused(_)) => return Err(JoinError::Redis(refused)),
                Err(error) => {
                    tracing::warn!(%error, "starting without Redis; presence and events of other nodes follow once it answers");
                }
            }
        }
        if let Err(error) = membership.register().await {
            if let (true, Some(redis)) = (made, &membership.options.redis) {
                // Otherwise a prefix that was named by mistake would stay taken.
                unbind(redis, &membership.options.store_id, &membership.instance()).await;
            }
            return Err(error);
        }
        Ok(membership)
    }

    /// Renews the registration and watches the binding, for as long as it is polled.
    ///
    /// Returns the reason why this node must stop.
    pub async fn run(&self) -> Misuse {
        let mut ticks = interval(RENEW);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(JoinError::Misuse(misuse)) = self.tick().await {
                return misuse;
            }
        }
    }

    /// Changes whenever another node of this store ended: it stopped, was started again, or did not
    /// renew its row for ten seconds. A node that ended can have stored something and announced
    /// nothing.
    #[must_use]
    pub fn ends(&self) -> watch::Receiver<u64> {
        self.ends.subscribe()
    }

    /// How many other nodes of this store there were at the last renewal.
    #[must_use]
    pub fn others(&self) -> usize {
        self.state.lock().others.len()
    }

    /// Removes this node's row. The binding stays: it belongs to the store.
    pub async fn leave(&self) {
        let incarnation = self.state.lock().incarnation;
        if let Some(postgres) = &self.options.postgres
            && let Err(error) = postgres
                .remove_node(&self.options.node_id, incarnation)
                .await
        {
            tracing::debug!(%error, "the node's row was not removed");
        }
    }

    /// How long ago the row in PostgreSQL was renewed; `None` without PostgreSQL.
    #[must_use]
    pub fn lease_age(&self) -> Option<Duration> {
        let age = self.state.lock().renewed.elapsed();
        self.options.postgres.as_ref().map(|_| age)
    }

    fn instance(&self) -> String {
        self.state.lock().instance.clone()
    }

    async fn tick(&self) -> Result<(), JoinError> {
        if let Some(redis) = &self.options.redis
            && redis.status().is_up()
        {
            let was_unknown = self.instance().is_empty();
            match self.bind(redis).await {
                // Only now is it known whether the other nodes share this Redis.
                Ok(_) if was_unknown => {
                    tracing::info!("Redis answers; the prefix belongs to this store");
                    self.register().await?;
                }
                Err(misuse @ JoinError::Misuse(_)) => return Err(misuse),
                // Whatever needs Redis logs that it is away.
                Ok(_) | Err(_) => {}
            }
        }
        self.renew().await
    }

    /// Binds the prefix to the store, or finds it bound. Whether the binding is new.
    async fn bind(&self, redis: &RedisClient) -> Result<bool, JoinError> {
        let known = self.instance();
        let bound = bind(redis, &self.options.store_id, &known).await;
        match bound.map_err(JoinError::Redis)? {
            Bound::Ours { instance, is_new } => {
                self.state.lock().instance = instance;
                Ok(is_new)
            }
            Bound::Other { store } => Err(Misuse::PrefixOfAnotherStore {
                prefix: redis.options().prefix().to_owned(),
                other: store,
            }
            .into()),
        }
    }

    /// Registers this node in PostgreSQL, once no live node stands against it.
    async fn register(&self) -> Result<(), JoinError> {
        let Some(postgres) = &self.options.postgres else {
            return Ok(());
        };
        let mut seen = Seen::default();
        loop {
            let redis = self.options.redis.as_ref().map(|_| self.instance());
            let (node_id, incarnation) = (&self.options.node_id, self.state.lock().incarnation);
            let decide = |rows: &[NodeRow]| {
                let now = Instant::now();
                let others = rows.iter().filter(|row| {
                    let is_mine = row.node_id == *node_id && row.incarnation == incarnation;
                    !is_mine && !seen.is_dead(row, now)
                });
                conflict(node_id, redis.as_deref(), others)
            };
            let registered = postgres.register_node(node_id, redis.as_deref(), decide);
            match registered.await? {
                Registration::Done { incarnation } => {
                    let mut state = self.state.lock();
                    state.incarnation = incarnation;
                    state.renewed = Instant::now();
                    return Ok(());
                }
                Registration::Refused { rows, why } => {
                    let now = Instant::now();
                    if seen.is_final(&why, &rows, now) {
                        return Err(why.into());
                    }
                    seen.note(&rows, now);
                    sleep(RENEW / 2).await;
                    if let Some(redis) = &self.options.redis
                        && redis.status().is_up()
                    {
                        self.bind(redis).await?;
                    }
                }
            }
        }
    }

    async fn renew(&self) -> Result<(), JoinError> {
        let Some(postgres) = &self.options.postgres else {
            return Ok(());
        };
        let redis = self.options.redis.as_ref().map(|_| self.instance());
        let incarnation = self.state.lock().incarnation;
        let node_id = &self.options.node_id;
        match postgres
            .renew_node(node_id, incarnation, redis.as_deref())
            .await
        {
            Ok(Renewal { is_renewed, others }) => {
                self.note_others(others);
                match is_renewed {
                    Some(true) => self.state.lock().renewed = Instant::now(),
                    Some(false) => return Err(Misuse::Replaced(node_id.clone()).into()),
                    // The table came from a backup, for example.
                    None => self.register().await?,
                }
            }
            // Whatever needs the store logs why it is away.
            Err(error) => {
                if let Some(Due { left_out }) = throttle::due("node lease", "", None) {
                    tracing::debug!(%error, left_out, "the node's row was not renewed");
                }
            }
        }
        Ok(())
    }

    fn note_others(&self, others: HashSet<String>) {
        let mut state = self.state.lock();
        let ended: Vec<String> = state.others.difference(&others).cloned().collect();
        state.others = others;
        drop(state);
        if !ended.is_empty() {
            tracing::info!(
                ?ended,
                "other nodes have ended or do not reach the database"
            );
            self.ends.send_modify(|ends| *ends = ends.wrapping_add(1));
        }
    }
}

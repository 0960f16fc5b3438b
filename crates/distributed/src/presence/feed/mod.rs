//! The copy of what is shown that each node keeps, serves reads from, and publishes changes of.

mod load;
mod state;
#[cfg(test)]
mod tests;

pub(super) use state::{Own, Position};

use super::change::Message;
use super::keys::{BUCKETS, Keys, bucket};
use super::scripts::{Read, Scripts};
use crate::redis::{Received, RedisClient, RedisSubscriber};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{Change, Presence, RosterSnapshot, Rules, VersionFloors};
use lamplight_domain::time::Now;
use lamplight_usecases::ports::{EventBus, LastSeenQueue, PresenceState};
use parking_lot::Mutex;
use state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// For how long a change may be missing before its bucket is loaded.
const GAP_PATIENCE: Duration = Duration::from_millis(300);
const CHECK: Duration = Duration::from_millis(100);
/// The most buckets that are loaded at the same time.
const LOADS: usize = 8;
/// The pause after a load that failed.
const RETRY: Duration = Duration::from_millis(300);

/// One node's copy. Handles of several nodes in one process may share it.
pub struct Feed {
    pub(super) client: RedisClient,
    pub(super) keys: Arc<Keys>,
    pub(super) scripts: Arc<Scripts>,
    state: Mutex<State>,
    bus: Arc<dyn EventBus>,
    /// What the clock of each bucket showed, and when.
    clocks: Mutex<Vec<Option<(Now, Instant)>>>,
    /// Whether the channel is subscribed.
    is_connected: AtomicBool,
    reloads: AtomicU64,
    /// A change of the bucket was applied, or it was loaded.
    applied: Vec<Notify>,
    /// A bucket was loaded.
    loaded: Notify,
    /// A bucket may have to be loaded.
    stale: Notify,
}

impl Feed {
    /// A copy that is empty until [`Feed::run`] fills it. Users whom Redis lost stay for two lease
    /// renewals, unless a node announces them before.
    #[must_use]
    pub fn new(client: RedisClient, rules: Rules, bus: Arc<dyn EventBus>) -> Arc<Self> {
        let hold = rules.lease * 2 / 3;
        let keys = Arc::new(Keys::new(client.options().prefix()));
        Arc::new(Self {
            scripts: Arc::new(Scripts::new(client.clone(), Arc::clone(&keys))),
            client,
            keys,
            state: Mutex::new(State::new(hold)),
            bus,
            clocks: Mutex::new(vec![None; BUCKETS]),
            is_connected: AtomicBool::new(false),
            reloads: AtomicU64::new(0),
            applied: (0..BUCKETS).map(|_| Notify::new()).collect(),
            loaded: Notify::new(),
            stale: Notify::new(),
        })
    }

    /// Follows the changes, for as long as it is polled. `last_seen` gets the users whose leave was
    /// found by this node alone.
    pub async fn run(self: &Arc<Self>, last_seen: &LastSeenQueue) {
        let receiver = Arc::downgrade(self);
        let channel = Arc::clone(&self.keys.channel);
        let subscriber = RedisSubscriber::start(
            self.client.options().clone(),
            [Arc::clone(&channel)],
            move |received| {
                if let Some(feed) = receiver.upgrade() {
                    feed.receive(received);
                }
            },
        );
        if subscriber.subscribe(&channel).await.is_ok() {
            self.is_connected.store(true, Ordering::Relaxed);
            self.reload();
        }
        let mut loads = FuturesUnordered::new();
        let mut check = tokio::time::interval(CHECK);
        let mut retry_at = Instant::now();
        loop {
            let now = Instant::now();
            while loads.len() < LOADS
                && now >= retry_at
                && self.is_connected.load(Ordering::Relaxed)
                && let Some(index) = self.next_stale()
            {
                loads.push(self.load(index));
            }
            tokio::select! {
                Some(is_loaded) = loads.next() => {
                    if !is_loaded {
                        retry_at = Instant::now() + RETRY;
                    }
                }
                () = self.stale.notified() => {}
                _ = check.tick() => {
                    let mut state = self.state.lock();
                    let changes = state.pass_time(now, GAP_PATIENCE);
                    for change in &changes {
                        if let Change::Offline(offline) = change {
                            last_seen.add(offline);
                        }
                    }
                    self.publish(changes);
                }
            }
        }
    }

    fn receive(&self, received: Received<'_>) {
        match received {
            Received::Message { payload, .. } => {
                let Ok(text) = std::str::from_utf8(payload) else {
                    return;
                };
                // Most changes of this node's own steps were applied already.
                let is_repeated = Message::position(text).is_some_and(|(bucket, epoch, number)| {
                    self.state.lock().has(bucket, epoch, number)
                });
                if !is_repeated && let Some(message) = Message::read(text) {
                    self.apply(message);
                }
            }
            Received::Interrupted => self.is_connected.store(false, Ordering::Relaxed),
            Received::Complete { is_first: true } => {}
            Received::Complete { is_first: false } => {
                self.is_connected.store(true, Ordering::Relaxed);
                self.reload();
            }
        }
    }

    /// Loads every bucket again.
    fn reload(&self) {
        let mut state = self.state.lock();
        for bucket in &mut state.buckets {
            bucket.is_stale = true;
        }
        drop(state);
        self.stale.notify_one();
    }

    fn next_stale(&self) -> Option<usize> {
        let mut state = self.state.lock();
        let (index, bucket) = state
            .buckets
            .iter_mut()
            .enumerate()
            .find(|(_, bucket)| bucket.is_stale && !bucket.is_loading)?;
        bucket.is_loading = true;
        bucket.is_stale = false;
        Some(index)
    }

    /// Loads a bucket. Whether it could be.
    async fn load(&self, index: usize) -> bool {
        let loaded = self.read_bucket(index).await;
        let mut state = self.state.lock();
        let is_loaded = match loaded {
            Ok(loaded) => {
                if state.position(index).is_some() {
                    self.reloads.fetch_add(1, Ordering::Relaxed);
                }
                let changes = state.finish_load(Instant::now(), index, loaded);
                self.publish(changes);
                true
            }
            Err(error) => {
                tracing::debug!(%error, index, "a bucket of the presence was not read; trying again");
                let bucket = &mut state.buckets[index];
                bucket.is_loading = false;
                bucket.is_stale = true;
                false
            }
        };
        drop(state);
        self.applied[index].notify_waiters();
        self.loaded.notify_waiters();
        is_loaded
    }

    /// Takes a change, from the channel or from this node's own step.
    pub(super) fn apply(&self, message: Message) {
        let index = message.bucket;
        let mut state = self.state.lock();
        let changes = state.apply(Instant::now(), message);
        // Published under the lock, so that changes leave in the order of their versions.
        self.publish(changes);
        let is_stale = state.buckets[index].is_stale;
        drop(state);
        self.applied[index].notify_waiters();
        if is_stale {
            self.stale.notify_one();
        }
    }

    fn publish(&self, changes: Vec<Change>) {
        for change in changes {
            self.bus.publish(Event::Presence(change));
        }
    }

    /// Waits until a change is applied. Whether it was in time.
    pub(super) async fn wait_for(
        &self,
        index: usize,
        epoch: &str,
        number: u64,
        patience: Duration,
    ) -> bool {
        if self.state.lock().has(index, epoch, number) {
            return true;
        }
        let applied = async {
            loop {
                let notified = self.applied[index].notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if self.state.lock().has(index, epoch, number) {
                    return;
                }
                notified.await;
            }
        };
        tokio::time::timeout(patience, applied).await.is_ok()
    }

    /// Waits until every bucket is loaded. Whether it was in time.
    pub async fn wait_until_whole(&self, patience: Duration) -> bool {
        let whole = async {
            loop {
                let notified = self.loaded.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if self.is_whole() {
                    return;
                }
                notified.await;
            }
        };
        tokio::time::timeout(patience, whole).await.is_ok()
    }

    /// Whether it follows all changes.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed) && self.state.lock().is_whole()
    }

    /// Sets the node whose copy it is. Its users are not hidden because another node gave it up.
    pub(super) fn set_own(&self, own: Arc<dyn Own>) {
        self.state.lock().own = Some(own);
    }

    pub(super) fn position(&self, index: usize) -> Position {
        self.state.lock().position(index)
    }

    pub(super) fn compare(
        &self,
        index: usize,
        before: &Position,
        redis: &Position,
        earlier: &Position,
    ) {
        let mut state = self.state.lock();
        state.compare(Instant::now(), index, before, redis, earlier);
        if state.buckets[index].is_stale {
            drop(state);
            self.stale.notify_one();
        }
    }

    /// From now on, nodes have a while to announce the users of whom only this copy knows.
    pub(super) fn hold_unconfirmed(&self) {
        self.state.lock().hold_unconfirmed(Instant::now());
    }

    /// Remembers what the clock of a bucket shows now.
    pub(super) fn set_clock(&self, index: usize, now: Now) {
        self.clocks.lock()[index] = Some((now, Instant::now()));
    }

    /// Stands for a read of a user of whom nothing is known. The commit refuses it if there is a
    /// record, or if the clock of the bucket is another.
    pub(super) fn guess(&self, user: &UserId, index: usize) -> Option<Read> {
        if !self.is_whole() || self.state.lock().is_known(user) {
            return None;
        }
        let (mut now, at) = self.clocks.lock()[index]?;
        let passed = at.elapsed();
        now.moment = now.moment.plus(passed);
        now.wall.0 += i64::try_from(passed.as_millis()).unwrap_or(0);
        Some(Read {
            text: String::new(),
            now,
            is_guess: true,
        })
    }

    pub(super) fn losses(&self, index: usize) -> u64 {
        self.state.lock().losses(index)
    }

    pub(super) fn version(&self, index: usize) -> u64 {
        self.state.lock().version(index)
    }

    pub(super) fn show_locally(&self, presence: Presence) {
        let mut state = self.state.lock();
        let change = state.show_locally(presence);
        self.publish(change.into_iter().collect());
    }

    pub(super) fn set_hidden_locally(&self, user: &UserId, hidden: bool) {
        self.state.lock().set_hidden_locally(user, hidden);
    }

    pub(super) fn get(&self, user: &UserId) -> Option<Arc<Presence>> {
        self.state.lock().get(user).cloned()
    }

    pub(super) fn is_hidden(&self, user: &UserId) -> bool {
        self.state.lock().is_hidden(user)
    }

    pub(super) fn states(&self, users: &[UserId]) -> Vec<PresenceState> {
        let state = self.state.lock();
        let one = |user: &UserId| {
            let shown = state.get(user).cloned();
            let version = match &shown {
                Some(shown) => shown.version,
                None => state.version(bucket(user)),
            };
            PresenceState { shown, version }
        };
        users.iter().map(one).collect()
    }

    /// Those who follow `after` in the order of arrival, at most `limit`.
    pub(super) fn list(
        &self,
        after: Option<(u64, UserId)>,
        limit: usize,
        except: Option<&UserId>,
    ) -> Vec<Arc<Presence>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let state = self.state.lock();
        let from = after.map_or(Unbounded, Excluded);
        state
            .order
            .range((from, Unbounded))
            .map(|(_, shown)| shown)
            .filter(|shown| Some(&shown.profile.id) != except)
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn snapshot(&self) -> RosterSnapshot {
        let state = self.state.lock();
        RosterSnapshot {
            present: state.order.values().cloned().collect(),
            floors: VersionFloors::by_bucket(
                (0..BUCKETS).map(|index| state.version(index)).collect(),
            ),
        }
    }

    /// How often a bucket was loaded because changes were missing or Redis was away, for metrics.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// For how long changes that Redis is known to have have been missing here, for metrics.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.state.lock().lag(Instant::now())
    }

    /// How many users are shown as online.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.lock().order.len()
    }
}

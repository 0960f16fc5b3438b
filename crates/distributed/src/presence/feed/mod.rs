//! Each node's copy of visible states, which serves reads and publishes changes.

mod load;
mod reads;

use super::change::{Message, Moved, Position};
use super::keys::{BUCKETS, Keys};
use super::scripts::Scripts;
use crate::redis::{Received, RedisClient, RedisSubscriber};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{BucketFeed, Change, Presence, Rules};
use lamplight_domain::time::{Moment, Now};
use lamplight_usecases::ports::{EventBus, LastSeenQueue};
use parking_lot::Mutex;
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

/// The interface of the copy to its node. Called under the lock of the copy.
pub(super) trait Own: Send + Sync {
    /// Whether a user has a session on this node.
    fn has(&self, user: &UserId) -> bool;
    /// An incarnation took over sessions.
    fn moved(&self, moved: &Moved);
}

struct State {
    copy: BucketFeed<Arc<str>>,
    own: Option<Arc<dyn Own>>,
}

impl State {
    /// The copy, and whether a user has a session on this node.
    fn parts(&mut self) -> (&mut BucketFeed<Arc<str>>, impl Fn(&UserId) -> bool + '_) {
        let own = self.own.as_deref();
        let is_own = move |user: &UserId| own.is_some_and(|own| own.has(user));
        (&mut self.copy, is_own)
    }
}

/// One node's copy. Handles of several nodes in one process may share it.
pub struct Feed {
    pub(super) client: RedisClient,
    pub(super) keys: Arc<Keys>,
    pub(super) scripts: Arc<Scripts>,
    state: Mutex<State>,
    started: Instant,
    bus: Arc<dyn EventBus>,
    /// The last reading of each bucket's clock, and its time.
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
            state: Mutex::new(State {
                copy: BucketFeed::new(BUCKETS, hold),
                own: None,
            }),
            started: Instant::now(),
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
                    let changes = {
                        let (copy, is_own) = state.parts();
                        copy.pass_time(self.now(), GAP_PATIENCE, &is_own)
                    };
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
                    self.state.lock().copy.has(bucket, epoch, number)
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
        self.state.lock().copy.mark_all_stale();
        self.stale.notify_one();
    }

    fn next_stale(&self) -> Option<usize> {
        self.state.lock().copy.begin_load()
    }

    /// On the clock of the copy.
    fn now(&self) -> Moment {
        let passed = self.started.elapsed().as_millis();
        Moment(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Loads a bucket. Whether it could be.
    async fn load(&self, index: usize) -> bool {
        let loaded = self.read_bucket(index).await;
        let mut state = self.state.lock();
        let is_loaded = match loaded {
            Ok(loaded) => {
                if state.copy.position(index).is_some() {
                    self.reloads.fetch_add(1, Ordering::Relaxed);
                }
                let changes = {
                    let (copy, is_own) = state.parts();
                    copy.finish_load(self.now(), index, loaded, &is_own)
                };
                self.publish(changes);
                true
            }
            Err(error) => {
                tracing::debug!(%error, index, "a bucket of the presence was not read; trying again");
                state.copy.fail_load(index);
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
        let Message { change, moved } = message;
        let (index, position) = (change.bucket, &change.position);
        let mut state = self.state.lock();
        if !moved.is_empty()
            && !state.copy.has(index, &*position.epoch, position.number)
            && let Some(own) = &state.own
        {
            own.moved(&moved);
        }
        let changes = {
            let (copy, is_own) = state.parts();
            copy.apply(self.now(), change, &is_own)
        };
        let is_stale = state.copy.is_stale(index);
        // Published under the lock, so that changes leave in the order of their versions.
        self.publish(changes);
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
        if self.state.lock().copy.has(index, epoch, number) {
            return true;
        }
        let applied = async {
            loop {
                let notified = self.applied[index].notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if self.state.lock().copy.has(index, epoch, number) {
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
        self.is_connected.load(Ordering::Relaxed) && self.state.lock().copy.is_whole()
    }

    /// Sets the node whose copy it is. Its users are not hidden because another node gave it up.
    pub(super) fn set_own(&self, own: Arc<dyn Own>) {
        self.state.lock().own = Some(own);
    }

    pub(super) fn position(&self, index: usize) -> Option<Position> {
        self.state.lock().copy.position(index)
    }

    pub(super) fn compare(
        &self,
        index: usize,
        before: Option<&Position>,
        redis: &Position,
        earlier: Option<&Position>,
    ) {
        let mut state = self.state.lock();
        let now = self.now();
        state.copy.compare(now, index, before, redis, earlier);
        if state.copy.is_stale(index) {
            drop(state);
            self.stale.notify_one();
        }
    }

    /// Starts the time in which nodes must announce the users that only this copy has.
    pub(super) fn hold_unconfirmed(&self) {
        self.state.lock().copy.hold_unconfirmed(self.now());
    }

    /// Stores the current time of a bucket's clock.
    pub(super) fn set_clock(&self, index: usize, now: Now) {
        self.clocks.lock()[index] = Some((now, Instant::now()));
    }

    pub(super) fn show_locally(&self, presence: Presence) {
        let mut state = self.state.lock();
        let change = state.copy.show_locally(presence);
        self.publish(change.into_iter().collect());
    }

    pub(super) fn set_hidden_locally(&self, user: &UserId, hidden: bool) {
        self.state.lock().copy.set_hidden(user, hidden);
    }
}

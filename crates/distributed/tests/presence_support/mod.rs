//! What the tests of presence in Redis share.
#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "../support/proxy.rs"]
mod proxy;

use lamplight_conformance::Recorder;
use lamplight_conformance::servers::RedisServer;
use lamplight_distributed::presence::{Feed, RedisPresence};
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, NodeId, Profile, UserId};
use lamplight_domain::presence::{Change, OfflineReason, Rules, SavedStatus};
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::{Clock, Person, PresenceStore as _};
use parking_lot::Mutex;
pub(crate) use proxy::Proxy;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// Background tasks, which end with this.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().push(tokio::spawn(task));
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in self.0.lock().drain(..) {
            task.abort();
        }
    }
}

struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "the clock of the tests")]
    fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        Now {
            moment: Moment(u64::try_from(millis).unwrap_or(u64::MAX)),
            wall: Timestamp(i64::try_from(millis).unwrap_or(i64::MAX)),
        }
    }
}

pub(crate) fn wall_clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}

/// A client of a server, under a prefix.
pub(crate) fn client(server: &RedisServer, prefix: &str) -> RedisClient {
    client_at(&server.url(), prefix)
}

pub(crate) fn client_at(url: &str, prefix: &str) -> RedisClient {
    let options = RedisOptions::parse(url).expect("an address");
    let options = options.with_prefix(prefix).expect("a prefix");
    RedisClient::start(options.with_deadlines(Duration::from_millis(1_500), Duration::from_secs(2)))
}

/// Short times, with a renewal every second.
pub(crate) const RULES: Rules = Rules {
    grace: Duration::from_millis(2_500),
    lease: Duration::from_millis(3_000),
    time_to_live: Duration::from_secs(3_600),
    away_after: Duration::from_secs(300),
    update_every: Duration::ZERO,
};
/// How long a test waits for what is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

pub(crate) fn tab(id: &str) -> ConnectionId {
    ConnectionId::trusted(id)
}

pub(crate) fn person(id: &str) -> Person {
    Person {
        profile: Profile::bare(user(id)),
        status: SavedStatus::default(),
        last_seen: None,
    }
}

/// A running node with a connection, a copy and a bus of its own, as a process has them.
pub(crate) struct TestNode {
    pub(crate) presence: Arc<RedisPresence>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) events: Arc<Recorder>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl TestNode {
    pub(crate) fn start(client: RedisClient, id: &str, rules: Rules) -> Self {
        let events = Arc::new(Recorder::default());
        let feed = Feed::new(client, rules, Arc::clone(&events) as _);
        let presence =
            RedisPresence::new(Arc::clone(&feed), NodeId::trusted(id), rules, wall_clock());
        let node = Self {
            presence: Arc::new(presence),
            feed,
            events,
            running: Mutex::new(None),
        };
        node.go_on();
        node
    }

    /// A node of the server, which is up.
    pub(crate) async fn up(server: &RedisServer, prefix: &str, id: &str) -> Self {
        let node = Self::start(client(server, prefix), id, RULES);
        node.wait_until_whole().await;
        node
    }

    /// Stops all background work, as a process that stands still, or is killed.
    pub(crate) fn stand_still(&self) {
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
    }

    pub(crate) fn go_on(&self) {
        let runs = Arc::clone(&self.presence);
        *self.running.lock() = Some(tokio::spawn(async move { runs.run().await }));
    }

    pub(crate) async fn wait_until_whole(&self) {
        eventually("the node is whole", || !self.presence.is_degraded()).await;
    }

    pub(crate) async fn join(&self, who: &str, session: &str) {
        let joined = self.presence.join(&tab(session), person(who)).await;
        joined.expect("joined");
    }

    pub(crate) async fn close(&self, session: &str) {
        let session = tab(session);
        let closed = self.presence.close(&session, OfflineReason::Closed);
        closed.await.expect("closed");
    }

    /// Who is shown, in order.
    pub(crate) async fn shown(&self) -> Vec<String> {
        let snapshot = self.presence.snapshot().await.expect("a snapshot");
        let mut ids: Vec<_> = snapshot
            .present
            .iter()
            .map(|shown| shown.profile.id.to_string())
            .collect();
        ids.sort();
        ids
    }

    pub(crate) async fn wait_for_shown(&self, expected: &[&str]) {
        let began = tokio::time::Instant::now();
        loop {
            let shown = self.shown().await;
            if shown == expected {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "shown {shown:?} instead of {expected:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        let events = self.events.events().into_iter();
        events
            .filter_map(|event| match event {
                Event::Presence(change) => Some(change),
                _ => None,
            })
            .collect()
    }

    /// What this node published of a user: `online`, `updated`, `offline`.
    pub(crate) fn log(&self, who: &str) -> Vec<&'static str> {
        let changes = self.changes().into_iter();
        changes
            .filter(|change| change.user().as_str() == who)
            .map(|change| match change {
                Change::Online(_) => "online",
                Change::Updated(_) => "updated",
                Change::Offline(_) => "offline",
            })
            .collect()
    }

    /// Versions of each user grow.
    pub(crate) fn check_versions(&self) {
        let mut newest = std::collections::HashMap::new();
        for change in self.changes() {
            let before = newest.insert(change.user().clone(), change.version());
            assert!(before < Some(change.version()), "{before:?}: {change:?}");
        }
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.stand_still();
    }
}

pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = tokio::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Proxy {
    /// A client that goes through the proxy.
    pub(crate) fn client(&self, prefix: &str) -> RedisClient {
        client_at(&format!("redis://127.0.0.1:{}", self.port), prefix)
    }
}

//! Presence in Redis passes the suite of every presence store, in real time.

mod presence_support;

use lamplight_conformance::Recorder;
use lamplight_conformance::presence::{PresenceSubject, RULES};
use lamplight_conformance::servers::{RedisServer, unique_prefix};
use lamplight_distributed::presence::{Feed, RedisPresence};
use lamplight_domain::identity::NodeId;
use lamplight_usecases::ports::PresenceStore;
use parking_lot::Mutex;
use presence_support::{Tasks, client, wall_clock};
use std::sync::Arc;
use std::time::Duration;

/// Of the node that lasts; the others tick on time only.
const POLL_EVERY: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_millis(300);

/// What the nodes of one store share.
struct Store {
    feed: Arc<Feed>,
    tasks: Arc<Tasks>,
}

impl Store {
    /// An empty store under a prefix of its own.
    fn new(events: &Arc<Recorder>, tasks: &Arc<Tasks>) -> Self {
        let client = client(RedisServer::shared(), &unique_prefix());
        Self {
            feed: Feed::new(client, RULES, Arc::clone(events) as _),
            tasks: Arc::clone(tasks),
        }
    }

    /// A node without a lease, which ticks.
    fn node(&self, id: &str, poll_every: Duration) -> Arc<RedisPresence> {
        let node = Arc::new(RedisPresence::with_poll(
            Arc::clone(&self.feed),
            NodeId::trusted(id),
            RULES,
            wall_clock(),
            poll_every,
        ));
        let ticks = Arc::clone(&node);
        self.tasks.spawn(async move { ticks.run_timers().await });
        node
    }

    /// The node whose lease lasts, and which follows the changes for all.
    async fn first(&self) -> Arc<RedisPresence> {
        let first = self.node("lasting node", POLL_EVERY);
        let follows = Arc::clone(&first);
        self.tasks.spawn(async move { follows.run_feed().await });
        assert!(self.feed.wait_until_whole(Duration::from_secs(10)).await);
        first.acquire_lease().await.expect("a lease");
        let renews = Arc::clone(&first);
        self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                renews.renew_lease().await.expect("a lease");
            }
        });
        first
    }
}

async fn fresh() -> PresenceSubject<RedisPresence> {
    let (events, tasks) = (Arc::new(Recorder::default()), Arc::new(Tasks::default()));
    let store = Arc::new(Store::new(&events, &tasks));
    let presence = store.first().await;
    let current = Arc::new(Mutex::new(store));
    let nodes = Arc::clone(&current);
    let (bus, kept) = (Arc::clone(&events), Arc::clone(&tasks));
    let again = move || {
        let store = Arc::new(Store::new(&bus, &kept));
        let current = Arc::clone(&current);
        futures_util::FutureExt::boxed(async move {
            let first = store.first().await;
            *current.lock() = store;
            first
        })
    };
    PresenceSubject {
        presence,
        node: Box::new(move |id| nodes.lock().node(id, SELDOM)),
        events,
        pass: Box::new(|by| futures_util::FutureExt::boxed(tokio::time::sleep(by))),
        again: Box::new(again),
        keep: Box::new(tasks),
    }
}

mod redis {
    use super::fresh;

    lamplight_conformance::presence_suite!(fresh, in_real_time);
}

//! Entries that were committed and never announced, since their node died in between.

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use lamplight_conformance::Recorder;
use lamplight_conformance::servers::{PostgresServer, RedisConfig, RedisServer};
use lamplight_distributed::bus::RedisEventBus;
use lamplight_distributed::postgres::PostgresStore;
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_distributed::republisher::Republisher;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{
    Attachment, BusMessage, Clock, EventBus, LogFollower as _, Messages, Range, Subscription,
};
use proxy::Proxy;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "it is the clock")]
    fn now(&self) -> Now {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        let millis = u64::try_from(since.as_millis()).expect("a time");
        Now {
            moment: Moment(millis),
            wall: Timestamp(i64::try_from(millis).expect("a time")),
        }
    }
}

/// A node with a store and a bus.
struct Node {
    name: &'static str,
    bus: RedisEventBus,
    store: Arc<PostgresStore>,
    client: RedisClient,
}

impl Node {
    async fn start(name: &'static str, database: &str, redis: &RedisServer) -> Self {
        Self::start_with(name, database, redis, &redis.url()).await
    }

    /// `bus`: where the events go, which may be a proxy.
    async fn start_with(
        name: &'static str,
        database: &str,
        redis: &RedisServer,
        bus: &str,
    ) -> Self {
        let options = |url| RedisOptions::parse(url).expect("a URL");
        let bus = RedisEventBus::start(options(bus), name);
        assert!(bus.connected(PATIENCE).await);
        let client = RedisClient::start(options(&redis.url()));
        client.connected(PATIENCE).await.expect("Redis");
        let store = PostgresStore::open(support::options(database), Arc::new(bus.clone()));
        Self {
            name,
            bus,
            store: store.await.expect("a store"),
            client,
        }
    }

    fn republisher(&self) -> Republisher {
        Republisher::start(
            self.name,
            self.bus.clone(),
            self.client.clone(),
            Arc::clone(&self.store) as _,
            Arc::clone(&self.store) as _,
            Arc::new(SystemClock),
        )
    }
}

async fn make_conversation(store: &PostgresStore) {
    let members = ["a", "b"].map(UserId::trusted);
    let place = ConversationId::trusted("c");
    let made = store.put_conversation(&place, &members, SystemClock.now().wall);
    made.await.expect("a conversation");
}

async fn send(store: &PostgresStore) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let message = NewEntry {
        id: MessageId::trusted(format!("m{number}")),
        conversation: ConversationId::trusted("c"),
        sender: UserId::trusted("a"),
        write: Content::trusted("hi").into(),
        key: None,
        created_at: SystemClock.now().wall,
        editable_since: None,
    };
    let sent = store.append(message, None).await.expect("an append");
    sent.entry.seq
}

/// The entries that reach a node with a connection of `b`.
/// Stands between the `seq`s for a notice that events were lost.
const LAGGED: u64 = u64::MAX;

struct Inbox {
    seqs: UnboundedReceiver<u64>,
    _subscription: Subscription,
    _attachment: Attachment,
}

impl Inbox {
    async fn new(bus: &RedisEventBus) -> Self {
        let (sender, seqs) = unbounded_channel();
        let subscription = bus.subscribe(Box::new(move |message| match message {
            BusMessage::Event(Event::Appended { entry, to, .. }) => {
                assert_eq!(to.len(), 2);
                let _ = sender.send(entry.seq);
            }
            BusMessage::Lagged => {
                let _ = sender.send(LAGGED);
            }
            BusMessage::Event(_) => {}
        }));
        let attachment = bus.attach(&UserId::trusted("b"));
        if let Some(ready) = attachment.ready() {
            ready.await;
        }
        Self {
            seqs,
            _subscription: subscription,
            _attachment: attachment,
        }
    }

    /// Waits for all of these entries.
    async fn until(&mut self, seqs: RangeInclusive<u64>) {
        let mut missing: BTreeSet<u64> = seqs.collect();
        while !missing.is_empty() {
            let next = timeout(PATIENCE, self.seqs.recv()).await;
            let seq = next.unwrap_or_else(|_| panic!("without {missing:?}"));
            missing.remove(&seq.expect("a bus"));
        }
    }

    /// As [`Inbox::wait_for`], and reads the store where events were lost, as a node does: its
    /// subscription can be back later than the leader publishes.
    async fn wait_for_or_read(&mut self, store: &PostgresStore, seq: u64) {
        let (member, place) = (UserId::trusted("b"), ConversationId::trusted("c"));
        loop {
            let next = timeout(PATIENCE, self.seqs.recv()).await.expect("in time");
            if next == Some(seq) {
                return;
            }
            if next == Some(LAGGED) {
                let seen = store
                    .conversation(&member, &place)
                    .await
                    .expect("an answer");
                if seen.expect("a member").head_seq >= seq {
                    return;
                }
            }
        }
    }

    async fn wait_for(&mut self, seq: u64) {
        while timeout(PATIENCE, self.seqs.recv()).await.expect("in time") != Some(seq) {}
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "no {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_unpublished_entries_of_a_node_reach_others_within_seconds() {
    let database = PostgresServer::shared().fresh_database();
    let redis = RedisServer::start(RedisConfig::default());
    let one = Node::start("one", &database, &redis).await;
    let two = Node::start("two", &database, &redis).await;
    make_conversation(&one.store).await;
    let mut inbox = Inbox::new(&two.bus).await;
    let republisher = two.republisher();
    until("leader", || republisher.stats().is_leader).await;

    // Nobody pays for it as long as nodes live.
    for _ in 0..200 {
        send(&one.store).await;
    }
    inbox.until(1..=200).await;

    // A node that commits and never publishes.
    let dead = PostgresStore::open(support::options(&database), Arc::new(Recorder::default()));
    let dead = dead.await.expect("a store");
    let began = Instant::now();
    let mut last = 0;
    for _ in 0..20 {
        last = send(&dead).await;
    }
    inbox.until(201..=last).await;
    println!("reached the other node after {:?}", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let stats = republisher.stats();
    assert_eq!(
        (stats.republished, stats.skipped),
        (20, 0),
        "only the lost entries"
    );
    until("end of waiting", || republisher.stats().waiting == 0).await;
}

/// With a deletion it publishes the change of the conversation, as the node would have done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_an_unpublished_deletion_reaches_others_in_its_stored_form() {
    let database = PostgresServer::shared().fresh_database();
    let redis = RedisServer::start(RedisConfig::default());
    let one = Node::start("one", &database, &redis).await;
    make_conversation(&one.store).await;
    let (sender, mut events) = unbounded_channel();
    let _subscription = one.bus.subscribe(Box::new(move |message| {
        if let BusMessage::Event(event) = message {
            let _ = sender.send(event.clone());
        }
    }));
    let attachment = one.bus.attach(&UserId::trusted("b"));
    if let Some(ready) = attachment.ready() {
        ready.await;
    }
    let republisher = one.republisher();
    until("leader", || republisher.stats().is_leader).await;

    let dead = PostgresStore::open(support::options(&database), Arc::new(Recorder::default()));
    let dead = dead.await.expect("a store");
    send(&dead).await;
    let history = async |range| {
        let (caller, place) = (UserId::trusted("b"), ConversationId::trusted("c"));
        let page = one.store.history(&caller, &place, range, 10).await;
        page.expect("an answer").expect("a member").entries
    };
    let message = history(Range::Newest).await[0].id.clone();
    let deletion = NewEntry {
        id: MessageId::trusted("the deletion"),
        conversation: ConversationId::trusted("c"),
        sender: UserId::trusted("a"),
        write: Write::Change {
            message,
            action: MessageAction::Delete,
        },
        key: None,
        created_at: SystemClock.now().wall,
        editable_since: None,
    };
    dead.append(deletion, None).await.expect("a deletion");
    let (mut published, mut has_changed) = (Vec::new(), false);
    while published.len() < 2 || !has_changed {
        let event = timeout(PATIENCE, events.recv()).await.expect("in time");
        match event.expect("a bus") {
            Event::Appended { entry, .. } => published.push((*entry).clone()),
            Event::ConversationChanged { to, .. } => has_changed |= to.len() == 2,
            _ => {}
        }
    }
    assert_eq!(published[1..], history(Range::After(1)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_another_node_takes_over_from_a_dead_leader() {
    let database = PostgresServer::shared().fresh_database();
    let redis = RedisServer::start(RedisConfig::default());
    let one = Node::start("one", &database, &redis).await;
    let two = Node::start("two", &database, &redis).await;
    make_conversation(&one.store).await;
    let mut inbox = Inbox::new(&two.bus).await;
    let first = one.republisher();
    until("leader", || first.stats().is_leader).await;
    let second = two.republisher();
    let last = send(&one.store).await;
    inbox.wait_for(last).await;

    // The leader dies with an entry that it had committed and not published.
    let dead = PostgresStore::open(support::options(&database), Arc::new(Recorder::default()));
    let dead = dead.await.expect("a store");
    drop(first);
    let began = Instant::now();
    let last = send(&dead).await;
    inbox.wait_for(last).await;
    println!("reached the other node after {:?}", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert!(second.stats().is_leader);

    // A leader that leaves in order is replaced at once.
    let third = one.republisher();
    second.stop().await;
    let began = Instant::now();
    until("leader", || third.stats().is_leader).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_announcements_while_the_leader_is_disconnected_are_not_lost() {
    let database = PostgresServer::shared().fresh_database();
    let redis = RedisServer::start(RedisConfig::default());
    let one = Node::start("one", &database, &redis).await;
    let two = Node::start("two", &database, &redis).await;
    make_conversation(&one.store).await;
    let mut inbox = Inbox::new(&two.bus).await;
    let republisher = two.republisher();
    until("leader", || republisher.stats().is_leader).await;
    let last = send(&one.store).await;
    inbox.wait_for(last).await;

    // All subscriptions break; what is announced meanwhile reaches neither inbox nor leader.
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let last = send(&one.store).await;
    inbox.wait_for_or_read(&two.store, last).await;
    // And a restart of Redis, which loses the lease too.
    redis.restart_empty();
    let last = send(&one.store).await;
    inbox.wait_for_or_read(&two.store, last).await;
    until("leader", || republisher.stats().is_leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_the_next_leader_publishes_entries_queued_by_a_dead_one() {
    let database = PostgresServer::shared().fresh_database();
    let redis = RedisServer::start(RedisConfig::default());
    let proxy = Proxy::start(redis.port()).await;
    let through_proxy = format!("redis://127.0.0.1:{}", proxy.port);
    let one = Node::start_with("one", &database, &redis, &through_proxy).await;
    let two = Node::start("two", &database, &redis).await;
    make_conversation(&two.store).await;
    let mut inbox = Inbox::new(&two.bus).await;
    let first = one.republisher();
    until("leader", || first.stats().is_leader).await;
    let last = send(&two.store).await;
    inbox.wait_for(last).await;

    // A node dies between commit and publish, and the leader cannot publish, but holds its lease.
    proxy.fall_silent();
    let dead = PostgresStore::open(support::options(&database), Arc::new(Recorder::default()));
    let dead = dead.await.expect("a store");
    let last = send(&dead).await;
    let lost_at = dead.head().await.expect("a position");
    until("republishing", || first.stats().republished > 0).await;
    // As long as the leader takes to confirm what it read, and a few times more.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        let position = two.store.position("republisher").await;
        let position = position.expect("an answer").expect("a position");
        assert!(position < lost_at, "it is not published");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(first.stats().is_leader);

    // The leader dies with its queue.
    drop((first, one, proxy));
    let _second = two.republisher();
    inbox.wait_for(last).await;
    // And continues to confirm published entries.
    let began = Instant::now();
    while two.store.position("republisher").await.expect("an answer") < Some(lost_at) {
        assert!(began.elapsed() < PATIENCE, "it is not confirmed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

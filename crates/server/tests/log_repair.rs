//! What the bus lost on the way to a node is read from the log.

use async_trait::async_trait;
use lamplight::entry_delivery::Appended;
use lamplight::log_repair::{LogRepair, RepairTarget};
use lamplight_conformance::servers::{RedisConfig, RedisServer};
use lamplight_distributed::bus::RedisEventBus;
use lamplight_distributed::redis::RedisOptions;
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_embedded::event_bus::EmbeddedEventBus;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_usecases::ports::{
    BusMessage, CommitPosition, CommittedEntry, EventBus, LogFollower, Messages, StoreResult,
};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);

/// A node with a connection of the user `b`.
#[derive(Default)]
struct Node {
    seqs: Mutex<BTreeSet<u64>>,
    changed: Mutex<BTreeSet<String>>,
}

impl RepairTarget for Node {
    fn has_any(&self, users: &Members) -> bool {
        users.iter().any(|user| user.as_str() == "b")
    }

    fn deliver(&self, appended: Appended) {
        assert_eq!(appended.entry.conversation.as_str(), "c");
        self.seqs.lock().insert(appended.entry.seq);
    }

    fn changed(&self, conversation: &ConversationId, _: &Members) {
        self.changed.lock().insert(conversation.to_string());
    }
}

impl Node {
    async fn has(&self, count: u64) {
        let began = Instant::now();
        let all: BTreeSet<u64> = (1..=count).collect();
        while *self.seqs.lock() != all {
            let have = self.seqs.lock().clone();
            assert!(began.elapsed() < PATIENCE, "only {have:?} of {count}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn send(store: &SqliteStore, conversation: &str, count: u64) {
    for number in 0..count {
        let sent = store.append(
            NewEntry {
                id: MessageId::trusted(format!("m{number}{conversation}{:?}", Instant::now())),
                conversation: ConversationId::trusted(conversation),
                sender: UserId::trusted("a"),
                write: Content::trusted("hi").into(),
                key: None,
                created_at: Timestamp(0),
                editable_since: None,
            },
            None,
        );
        sent.await.expect("an append");
    }
}

async fn start(server: &RedisServer, node: &str) -> RedisEventBus {
    let options = RedisOptions::parse(&server.url()).expect("a URL");
    let bus = RedisEventBus::start(options, node);
    assert!(bus.connected(PATIENCE).await);
    bus
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_entries_that_a_dead_publisher_did_not_send_are_read_from_the_log() {
    let server = RedisServer::start(RedisConfig::default());
    let directory = tempfile::tempdir().expect("a directory");
    let local: Arc<dyn EventBus> = Arc::new(EmbeddedEventBus::new());
    let options = SqliteOptions::new(directory.path().join("test.db"));
    let store = SqliteStore::open(options, Arc::clone(&local)).expect("a store");
    for (place, other) in [("c", "b"), ("elsewhere", "z")] {
        let members = ["a", other].map(UserId::trusted);
        let place = ConversationId::trusted(place);
        let made = store.put_conversation(&place, &members, Timestamp(0));
        made.await.expect("a conversation");
    }

    // The node that publishes.
    let one = start(&server, "one").await;
    let publisher = one.clone();
    let publishing = local.subscribe(Box::new(move |message| {
        if let BusMessage::Event(event) = message {
            publisher.publish(event);
        }
    }));

    // The node that receives.
    let two = start(&server, "two").await;
    let attachment = two.attach(&UserId::trusted("b"));
    if let Some(ready) = attachment.ready() {
        ready.await;
    }
    let node = Arc::new(Node::default());
    let repair = Arc::new(LogRepair::new(
        Arc::new(two.clone()),
        Arc::clone(&store) as _,
        Arc::clone(&store) as _,
    ));
    let (receiver, lagging) = (Arc::clone(&node), Arc::clone(&repair));
    let _subscription = two.subscribe(Box::new(move |message| match message {
        BusMessage::Event(Event::Appended {
            entry,
            to,
            newcomers,
            except,
        }) => {
            receiver.deliver(Appended {
                entry,
                to,
                newcomers,
                except,
            });
        }
        BusMessage::Event(_) => {}
        BusMessage::Lagged => lagging.lagged(),
    }));
    let (target, repairing) = (Arc::clone(&node), Arc::clone(&repair));
    let task = tokio::spawn(async move { repairing.run(&*target).await });

    send(&store, "c", 10).await;
    node.has(10).await;
    assert!(node.changed.lock().is_empty());

    // Committed, and lost with the publisher's queue.
    server.kill();
    send(&store, "c", 300).await;
    send(&store, "elsewhere", 300).await;
    drop((publishing, one));
    server.restart_empty();
    node.has(310).await;
    let changed = node.changed.lock().clone();
    assert_eq!(
        changed,
        BTreeSet::from(["c".to_owned()]),
        "only of users here"
    );
    task.abort();
}

/// Removes `b` between the first page that a repair reads and the second one.
struct Removing {
    store: Arc<SqliteStore>,
    reads: AtomicUsize,
    headed: Notify,
}

#[async_trait]
impl LogFollower for Removing {
    async fn position(&self, name: &str) -> StoreResult<Option<CommitPosition>> {
        self.store.position(name).await
    }

    async fn head(&self) -> StoreResult<CommitPosition> {
        let head = self.store.head().await;
        self.headed.notify_one();
        head
    }

    async fn read(&self, after: CommitPosition, limit: usize) -> StoreResult<Vec<CommittedEntry>> {
        if self.reads.fetch_add(1, Ordering::SeqCst) == 1 {
            let members = ["a", "d"].map(UserId::trusted);
            let place = ConversationId::trusted("c");
            let put = self.store.put_conversation(&place, &members, Timestamp(0));
            put.await.expect("a change of members");
            send(&self.store, "c", 5).await;
        }
        self.store.read(after, limit).await
    }

    async fn confirm(&self, name: &str, up_to: CommitPosition) -> StoreResult<()> {
        self.store.confirm(name, up_to).await
    }

    async fn changed(&self, after: CommitPosition) {
        self.store.changed(after).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_a_repair_delivers_nothing_to_members_who_are_removed_meanwhile() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus: Arc<dyn EventBus> = Arc::new(EmbeddedEventBus::new());
    let options = SqliteOptions::new(directory.path().join("test.db"));
    let store = SqliteStore::open(options, Arc::clone(&bus)).expect("a store");
    let members = ["a", "b", "d"].map(UserId::trusted);
    let place = ConversationId::trusted("c");
    let made = store.put_conversation(&place, &members, Timestamp(0));
    made.await.expect("a conversation");
    let follower = Arc::new(Removing {
        store: Arc::clone(&store),
        reads: AtomicUsize::new(0),
        headed: Notify::new(),
    });
    let repair = Arc::new(LogRepair::new(
        bus,
        Arc::clone(&follower) as _,
        Arc::clone(&store) as _,
    ));
    let node = Arc::new(Node::default());
    let (target, repairing) = (Arc::clone(&node), Arc::clone(&repair));
    let task = tokio::spawn(async move { repairing.run(&*target).await });
    follower.headed.notified().await;
    // More than a page of them.
    send(&store, "c", 250).await;
    let repaired = repair.repair(&*node).await;
    assert_eq!(repaired.read, 256);
    // The last entry for `b` is the one that removes them.
    let seqs: Vec<u64> = node.seqs.lock().iter().copied().collect();
    assert_eq!(seqs, (1..=251).collect::<Vec<u64>>());
    task.abort();
}

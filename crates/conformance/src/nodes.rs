//! Two nodes over one store, with a bus between them that delays, reorders, repeats and loses.
//!
//! A node here is what `server` makes of the bus: the order of entries, and the connections behind
//! it. A connection keeps a log as the client does: a gap is read from the store before what
//! follows is taken.

use crate::faulty_bus::{Faults, FaultyBus};
use crate::{Subject, conversation, message, user};
use lamplight_domain::entry::Entry;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId};
use lamplight_domain::ordering::{EntryOrder, Gap, Limits, Outcome, Step};
use lamplight_domain::time::Moment;
use lamplight_usecases::ports::{
    BusMessage, CommitPosition, EventBus as _, LogFollower, Messages, Range, SyncPosition,
};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for the store's publisher.
const PATIENCE: Duration = Duration::from_secs(10);

/// Joins the suite: `nodes_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`] of a store that is `Messages` and `LogFollower`.
#[macro_export]
macro_rules! nodes_suite {
    ($factory:path) => {
        $crate::suite!(
            nodes,
            $factory,
            [
                m10_m11_two_nodes_on_a_faulty_bus_deliver_once_in_order_or_heal_by_sync,
                m4_m10_two_nodes_that_read_gaps_from_the_store_deliver_in_order,
                m10_two_nodes_that_follow_the_log_too_miss_nothing,
            ]
        );
    };
}

const PLACES: [&str; 2] = ["c1", "c2"];
const ROUNDS: usize = 40;
/// A step of the bus, on the nodes' clock. The longest delay is longer than nodes hold entries.
const STEP_MILLIS: u64 = 20;
const FAULTS: Faults = Faults {
    lost: 15,
    repeated: 20,
    delayed: 40,
    delay: 16,
};

/// How a node repairs losses of the bus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repair {
    /// Not at all: its store does not answer.
    None,
    /// It reads the entries missing before a received one.
    Read,
    /// It follows the log.
    Follow,
}

type Logs = HashMap<ConversationId, Vec<MessageId>>;

struct Node {
    now: Mutex<Moment>,
    order: Mutex<EntryOrder<Arc<Entry>>>,
    /// Entries received from the bus and from the log.
    received: Mutex<BTreeSet<(ConversationId, u64)>>,
    /// Entries delivered to the connections, and the gaps reported before each.
    delivered: Mutex<Vec<Step<Arc<Entry>>>>,
    /// Entries delivered after later ones.
    late: Mutex<Vec<(ConversationId, u64)>>,
    /// To be read from the store.
    missing: Mutex<Vec<Gap>>,
    connection: Mutex<Connection>,
}

/// A client of the member `b`.
#[derive(Default)]
struct Connection {
    logs: Logs,
    is_behind: bool,
    syncs: usize,
}

impl Node {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::default(),
            order: Mutex::new(EntryOrder::new(Limits::default(), Moment(0))),
            received: Mutex::default(),
            delivered: Mutex::default(),
            late: Mutex::default(),
            missing: Mutex::default(),
            connection: Mutex::default(),
        })
    }

    fn receive(&self, entry: Arc<Entry>) {
        let (now, place, seq) = (*self.now.lock(), entry.conversation.clone(), entry.seq);
        self.received.lock().insert((place.clone(), seq));
        let outcome = self.order.lock().push(now, &place, seq, entry);
        match outcome {
            Outcome::Deliver(entry) => self.take(vec![Step::Deliver(entry)]),
            Outcome::Late(entry) => {
                self.connection.lock().receive(&entry);
                self.late.lock().push((place, seq));
            }
            Outcome::Steps(steps) => self.take(steps),
            Outcome::Repeated | Outcome::Held => {}
        }
    }

    fn pass_time(&self, millis: u64) {
        let mut now = self.now.lock();
        now.0 += millis;
        let steps = self.order.lock().pass_time(*now);
        drop(now);
        self.take(steps);
    }

    fn take(&self, steps: Vec<Step<Arc<Entry>>>) {
        for step in steps {
            match &step {
                Step::Deliver(entry) => self.connection.lock().receive(entry),
                Step::Missing(gap) => self.missing.lock().push(gap.clone()),
                Step::Gap(_) => {}
            }
            self.delivered.lock().push(step);
        }
    }

    /// Each received entry is delivered once, and in order, except late ones after a reported gap or
    /// before the first entry; a gap is reported wherever an entry is missing.
    fn check(&self) -> usize {
        let (mut last, mut open) = (HashMap::new(), HashMap::new());
        let (mut first, mut skipped) = (HashMap::new(), BTreeSet::new());
        let mut delivered = BTreeSet::new();
        let mut gaps = 0;
        for step in self.delivered.lock().iter() {
            match step {
                Step::Missing(_) => {}
                Step::Gap(Gap {
                    conversation,
                    after,
                    before,
                }) => {
                    assert_eq!(last.get(conversation), Some(after));
                    open.insert(conversation.clone(), *before);
                    skipped.extend((after + 1..*before).map(|seq| (conversation.clone(), seq)));
                    gaps += 1;
                }
                Step::Deliver(entry) => {
                    let place = entry.conversation.clone();
                    let expected = open
                        .remove(&place)
                        .or_else(|| last.get(&place).map(|last| last + 1));
                    assert!(expected.is_none_or(|expected| entry.seq == expected));
                    first.entry(place.clone()).or_insert(entry.seq);
                    delivered.insert((place.clone(), entry.seq));
                    last.insert(place, entry.seq);
                }
            }
        }
        for (place, seq) in self.late.lock().iter() {
            let late = (place.clone(), *seq);
            assert!(*seq < first[place] || skipped.contains(&late), "{late:?}");
            assert!(delivered.insert(late), "twice");
        }
        assert_eq!(delivered, *self.received.lock());
        gaps
    }

    /// Reads entries that the bus did not deliver in time.
    async fn read_missing<S: Messages>(&self, store: &S) {
        let missing = std::mem::take(&mut *self.missing.lock());
        for gap in missing {
            let range = Range::After(gap.after);
            let limit = (gap.before - gap.after - 1) as usize;
            let reader = user("b");
            let read = store.history(&reader, &gap.conversation, range, limit);
            for entry in read.await.expect("a page").expect("a log").entries {
                self.receive(Arc::new(entry));
            }
            let steps = self.order.lock().give_up(&gap);
            self.take(steps);
        }
    }

    /// Fetches missing entries if the connection saw a gap or reconnects.
    async fn sync<S: Messages>(&self, store: &S, comes_back: bool) {
        let (is_behind, have) = {
            let mut connection = self.connection.lock();
            let is_behind = std::mem::take(&mut connection.is_behind);
            let have = PLACES.map(|place| {
                let place = conversation(place);
                let seq = connection.logs.get(&place).map_or(0, Vec::len);
                SyncPosition::from((place, seq as u64))
            });
            (is_behind, have)
        };
        if !is_behind && !comes_back {
            return;
        }
        let pages = store.sync(&user("b"), &have, 100).await.expect("a sync");
        let mut connection = self.connection.lock();
        connection.syncs += 1;
        for page in pages.into_iter().flatten() {
            page.entries
                .iter()
                .for_each(|entry| connection.receive(entry));
        }
    }
}

impl Connection {
    fn receive(&mut self, entry: &Entry) {
        let log = self.logs.entry(entry.conversation.clone()).or_default();
        let have = log.len() as u64;
        if entry.seq == have + 1 {
            log.push(entry.id.clone());
        } else if entry.seq > have {
            self.is_behind = true;
        }
    }
}

/// Sends over both nodes, and returns the logs as the store has them.
async fn run<S: Messages + LogFollower>(
    subject: &Subject<S>,
    nodes: &[Arc<Node>; 2],
    seed: u64,
    repair: Repair,
) -> Logs {
    let bus = FaultyBus::new(FAULTS, seed);
    for node in nodes {
        let node = Arc::clone(node);
        drop(bus.subscribe(Box::new(move |message| {
            if let BusMessage::Event(Event::Appended { entry, .. }) = message {
                node.receive(entry);
            }
        })));
    }
    let store = &subject.store;
    for place in PLACES {
        let members = [user("a"), user("b"), user("c")];
        store
            .put_conversation(&conversation(place), &members, crate::at(0))
            .await
            .expect("a conversation");
    }
    let mut logs = Logs::new();
    let (mut published, mut followed) = (0, [CommitPosition::default(); 2]);
    for round in 0..ROUNDS {
        let place = PLACES[(round + usize::try_from(seed).unwrap_or(0)) % 2];
        let sender = if round % 3 == 0 { "c" } else { "a" };
        let sent = store.append(message(place, sender, "hi"), None).await;
        let entry = sent.expect("an append").entry;
        logs.entry(conversation(place))
            .or_default()
            .push(entry.id.clone());
        // The store publishes after the answer, on a thread of its own.
        let began = tokio::time::Instant::now();
        let appended = loop {
            let appended = subject.events.appended();
            if appended.len() > round {
                break appended;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the store did not publish entry {round}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        for (entry, to, except) in appended.into_iter().skip(published) {
            bus.publish(Event::Appended {
                entry,
                to,
                newcomers: [].into(),
                except,
            });
            published += 1;
        }
        bus.pass(1);
        for (node, followed) in nodes.iter().zip(&mut followed) {
            node.pass_time(STEP_MILLIS);
            // Each at its own pace, and behind the bus.
            if repair == Repair::Read {
                node.read_missing(&**store).await;
            }
            if repair == Repair::Follow && (round + 1) % 4 == 0 {
                for committed in store.read(*followed, 100).await.expect("a page") {
                    *followed = committed.position;
                    node.receive(Arc::new(committed.entry));
                }
            }
            node.sync(&**store, false).await;
        }
    }
    bus.pass(FAULTS.delay + 1);
    for node in nodes {
        // Until what waits was asked for, and then given up.
        for _ in 0..ROUNDS {
            node.pass_time(5_000);
            if repair == Repair::Read {
                node.read_missing(&**store).await;
            }
        }
        node.sync(&**store, false).await;
    }
    logs
}

pub async fn m10_m11_two_nodes_on_a_faulty_bus_deliver_once_in_order_or_heal_by_sync<
    S: Messages + LogFollower,
>(
    subject: Subject<S>,
) {
    let nodes = [Node::new(), Node::new()];
    let logs = run(&subject, &nodes, 1, Repair::None).await;
    let mut gaps = 0;
    for node in &nodes {
        gaps += node.check();
        let syncs = node.connection.lock().syncs;
        assert!(syncs > 0, "the bus lost nothing: change the seed");
        // The end of a log may be lost with nothing after it: the next sync returns it.
        node.sync(&*subject.store, true).await;
        assert_eq!(node.connection.lock().logs, logs);
    }
    assert!(gaps > 0, "no gap was reported: change the seed");
}

pub async fn m4_m10_two_nodes_that_read_gaps_from_the_store_deliver_in_order<
    S: Messages + LogFollower,
>(
    subject: Subject<S>,
) {
    let nodes = [Node::new(), Node::new()];
    let logs = run(&subject, &nodes, 1, Repair::Read).await;
    for node in &nodes {
        assert_eq!(node.check(), 0, "gaps");
        let asked = |step: &Step<_>| matches!(step, Step::Missing(_));
        let was_asked = node.delivered.lock().iter().any(asked);
        assert!(was_asked, "the bus lost nothing: change the seed");
        // But for the end, which nothing follows.
        node.sync(&*subject.store, true).await;
        assert_eq!(node.connection.lock().logs, logs);
    }
}

pub async fn m10_two_nodes_that_follow_the_log_too_miss_nothing<S: Messages + LogFollower>(
    subject: Subject<S>,
) {
    let nodes = [Node::new(), Node::new()];
    let logs = run(&subject, &nodes, 2, Repair::Follow).await;
    for node in &nodes {
        assert_eq!(node.check(), 0, "gaps");
        assert_eq!(node.connection.lock().logs, logs);
    }
}

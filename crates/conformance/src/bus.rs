//! The suite for `EventBus`.
//!
//! An adapter may repeat events and may lose ephemeral ones. It keeps the order of one publisher's
//! durable events and loses none without a `Lagged`.

use crate::{at, conversation, user};
use lamplight_domain::conversation::{Members, Receipt};
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::Content;
use lamplight_usecases::ports::{BusMessage, EventBus, Subscription};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any bus takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bus under test, as two nodes see it. A bus of one node gives the same handle twice.
pub struct BusSubject {
    pub one: Arc<dyn EventBus>,
    pub two: Arc<dyn EventBus>,
    /// Whatever must outlive the adapter.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Joins the suite: `bus_suite!(factory)`, the factory an `async fn` that makes a [`BusSubject`].
#[macro_export]
macro_rules! bus_suite {
    ($factory:path) => {
        $crate::suite!(
            bus,
            $factory,
            [
                m4_events_of_one_publisher_stay_in_order,
                m4_publishers_at_once_each_keep_their_order,
                every_subscriber_gets_every_event,
                p12_a_slow_subscriber_loses_nothing_or_learns_of_it,
                a_subscription_that_is_dropped_ends,
                subscribers_may_publish_and_subscribe,
            ]
        );
    };
}

/// The events that one subscriber received: durable events as texts, and whether the bus lost any.
#[derive(Default)]
struct Inbox(Mutex<(Vec<String>, bool)>);

impl Inbox {
    fn subscribe(bus: &Arc<dyn EventBus>, slow: Duration) -> (Arc<Self>, Subscription) {
        let inbox = Arc::new(Self::default());
        let receiver = Arc::clone(&inbox);
        let subscription = bus.subscribe(Box::new(move |message| {
            std::thread::sleep(slow);
            receiver.receive(message);
        }));
        (inbox, subscription)
    }

    fn receive(&self, message: BusMessage) {
        let mut inbox = self.0.lock();
        match message {
            BusMessage::Event(event) => inbox.0.extend(text(&event)),
            BusMessage::Lagged => inbox.1 = true,
        }
    }

    /// Waits until `done`, and returns what came until then.
    async fn until(&self, done: impl Fn(&[String]) -> bool) -> Vec<String> {
        let began = tokio::time::Instant::now();
        loop {
            let (received, lagged) = self.0.lock().clone();
            if done(&received) || lagged {
                return received;
            }
            assert!(began.elapsed() < PATIENCE, "received only {received:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn lagged(&self) -> bool {
        self.0.lock().1
    }
}

fn text(event: &Event) -> Option<String> {
    match event {
        Event::Appended { entry, .. } => Some(format!("{} {}", entry.conversation, entry.seq)),
        Event::Receipt { receipt, .. } => Some(format!("receipt {}", receipt.read_seq)),
        Event::ConversationChanged { conversation, .. } => Some(format!("changed {conversation}")),
        _ => None,
    }
}

fn members() -> Members {
    [user("a"), user("b")].into()
}

/// An entry without a store.
pub fn appended(place: &str, seq: u64) -> Event {
    Event::Appended {
        entry: Arc::new(Entry {
            id: MessageId::trusted(format!("{place}-{seq}")),
            conversation: conversation(place),
            seq,
            sender: user("a"),
            client_message_id: None,
            kind: EntryKind::message(Content::trusted("hi")),
            created_at: at(0),
        }),
        to: members(),
        newcomers: Members::default(),
        except: None,
    }
}

/// Without the repetitions that a bus may make.
fn distinct(received: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let firsts = received.iter().filter(|text| seen.insert(*text));
    firsts.cloned().collect()
}

fn expected(place: &str, count: u64) -> Vec<String> {
    (1..=count).map(|seq| format!("{place} {seq}")).collect()
}

/// Publishes on a thread of its own, as the store does.
async fn publish(bus: &Arc<dyn EventBus>, place: &'static str, count: u64) {
    let bus = Arc::clone(bus);
    let work = tokio::task::spawn_blocking(move || {
        (1..=count).for_each(|seq| bus.publish(appended(place, seq)));
    });
    work.await.expect("published");
}

pub async fn m4_events_of_one_publisher_stay_in_order(subject: BusSubject) {
    let (inbox, _subscription) = Inbox::subscribe(&subject.two, Duration::ZERO);
    publish(&subject.one, "c", 500).await;
    let received = inbox
        .until(|received| distinct(received).len() == 500)
        .await;
    assert_eq!(distinct(&received), expected("c", 500));
}

pub async fn m4_publishers_at_once_each_keep_their_order(subject: BusSubject) {
    let (inbox, _subscription) = Inbox::subscribe(&subject.two, Duration::ZERO);
    tokio::join!(
        publish(&subject.one, "c1", 200),
        publish(&subject.two, "c2", 200),
        publish(&subject.one, "c3", 200),
    );
    let received = inbox
        .until(|received| distinct(received).len() == 600)
        .await;
    for place in ["c1", "c2", "c3"] {
        let of_place = distinct(&received).into_iter();
        let of_place: Vec<_> = of_place
            .filter(|text| text.starts_with(&format!("{place} ")))
            .collect();
        assert_eq!(of_place, expected(place, 200));
    }
}

pub async fn every_subscriber_gets_every_event(subject: BusSubject) {
    let buses = [&subject.one, &subject.two, &subject.two];
    let inboxes = buses.map(|bus| Inbox::subscribe(bus, Duration::ZERO));
    let events = [
        appended("c", 1),
        Event::Receipt {
            conversation: conversation("c"),
            receipt: Receipt {
                user: user("b"),
                delivered_seq: 1,
                read_seq: 1,
            },
            delivers: true,
            to: members(),
        },
        Event::ConversationChanged {
            conversation: conversation("c"),
            to: members(),
        },
    ];
    for event in events {
        assert!(event.is_durable());
        subject.one.publish(event);
    }
    for (inbox, _subscription) in &inboxes {
        let received = inbox.until(|received| distinct(received).len() == 3).await;
        assert_eq!(distinct(&received), ["c 1", "receipt 1", "changed c"]);
    }
}

pub async fn p12_a_slow_subscriber_loses_nothing_or_learns_of_it(subject: BusSubject) {
    let (slow, _slow) = Inbox::subscribe(&subject.two, Duration::from_millis(1));
    let (fast, _fast) = Inbox::subscribe(&subject.two, Duration::ZERO);
    publish(&subject.one, "c", 300).await;
    let received = slow.until(|received| distinct(received).len() == 300).await;
    if !slow.lagged() {
        assert_eq!(distinct(&received), expected("c", 300));
    }
    // The fast one is not served less for it.
    let received = fast.until(|received| distinct(received).len() == 300).await;
    assert!(fast.lagged() || distinct(&received) == expected("c", 300));
}

pub async fn a_subscription_that_is_dropped_ends(subject: BusSubject) {
    let (left, subscription) = Inbox::subscribe(&subject.two, Duration::ZERO);
    let (stays, _subscription) = Inbox::subscribe(&subject.two, Duration::ZERO);
    subject.one.publish(appended("before", 1));
    left.until(|received| received.contains(&"before 1".to_owned()))
        .await;
    drop(subscription);
    subject.one.publish(appended("after", 1));
    stays
        .until(|received| received.contains(&"after 1".to_owned()))
        .await;
    assert!(left.0.lock().0.iter().all(|text| text == "before 1"));
}

pub async fn subscribers_may_publish_and_subscribe(subject: BusSubject) {
    let bus = Arc::clone(&subject.one);
    let kept = Mutex::new(Vec::new());
    let _subscription = subject.one.subscribe(Box::new(move |message| {
        if let BusMessage::Event(Event::Appended { .. }) = message {
            kept.lock().push(Inbox::subscribe(&bus, Duration::ZERO));
            bus.publish(Event::ConversationChanged {
                conversation: conversation("c"),
                to: members(),
            });
        }
    }));
    let (inbox, _inbox) = Inbox::subscribe(&subject.one, Duration::ZERO);
    subject.one.publish(appended("c", 1));
    inbox
        .until(|received| {
            ["c 1", "changed c"]
                .iter()
                .all(|text| received.contains(&(*text).to_owned()))
        })
        .await;
}

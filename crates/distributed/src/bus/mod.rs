//! The event bus of many nodes, through Redis' publish and subscribe.
//!
//! A published event is delivered on this node at once and queued for the others. The queue is
//! published to the channels of the event's receivers; a node subscribes to the channels of its
//! users. Subscriptions are supervised, and `Lagged` follows every interruption.

mod attachment;
mod attachments;
mod channels;
mod envelope;
mod listeners;
mod plan;
mod probes;
mod publisher;
mod queue;
mod quiet;
mod round_trips;
mod seen;
mod shared;

use crate::redis::{Mark, Received, RedisOptions, RedisSubscriber};
use attachment::UserAttachment;
use attachments::Attachments;
use channels::Channels;
use envelope::{Summary, Writer};
use futures_util::future::BoxFuture;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_usecases::ports::{Attachment, BusMessage, EventBus, Subscriber, Subscription};
use lamplight_usecases::subscribers::Subscribers;
use parking_lot::Mutex;
use probes::Action;
use queue::Queue;
use round_trips::RoundTrips;
use shared::{Counts, Shared};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often a probe makes the round trip through Redis.
const PROBE: Duration = Duration::from_secs(1);
/// How long a node stays subscribed to a user's channel after the user's last connection.
const LINGER: Duration = Duration::from_secs(30);

/// This long after a subscription is restored, the entries that it missed have been read from the
/// log.
const REPAIRED_WITHIN: Duration = Duration::from_secs(5);
/// How long [`EventBus::settle`] may take.
const SETTLE: Duration = Duration::from_secs(2);

/// The most entries of one conversation in one summary.
const MOST_ANNOUNCED: u64 = 100_000;

/// The bus of one node. Clones are the same bus, which ends with the last.
#[derive(Clone)]
pub struct RedisEventBus(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// The state of a bus, for metrics and readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusStats {
    pub is_healthy: bool,
    /// How long the newest probe took through Redis and back.
    pub round_trip: Option<Duration>,
    /// How late events of other nodes come, as far as probes show: it grows while one is out.
    pub lag: Duration,
    /// Events that wait to be published.
    pub queued: usize,
    pub published: u64,
    /// Events of other nodes that were delivered here.
    pub received: u64,
    /// Events that were not published since no other node listened.
    pub unheard: u64,
    /// Envelopes that were dropped since they were this node's own.
    pub own: u64,
    /// Envelopes that were dropped since they came before.
    pub repeated: u64,
    /// Envelopes of versions or kinds that this version does not know, or malformed ones.
    pub unknown: u64,
    /// How often the subscriptions were interrupted.
    pub interruptions: u64,
    /// Ephemeral events that the publisher's queue dropped.
    pub dropped: u64,
    /// Events that had to arrive and that the publisher's queue dropped. Other nodes read them from
    /// the store.
    pub lost: u64,
    /// Users whose channels this node is subscribed to.
    pub attached: usize,
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl RedisEventBus {
    /// Starts to connect, within a tokio runtime, and returns at once. `node` names this node for
    /// people who inspect the traffic.
    #[must_use]
    pub fn start(options: RedisOptions, node: &str) -> Self {
        Self::start_with(options, node, LINGER)
    }

    /// `linger`: how long a channel stays subscribed after a user's last connection.
    #[must_use]
    pub fn start_with(options: RedisOptions, node: &str, linger: Duration) -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the system has randomness");
        let run = u64::from_le_bytes(random);
        let shared = Arc::new(Shared {
            channels: Channels::new(options.prefix(), run),
            options,
            writer: Writer::new(run, node),
            local: Subscribers::default(),
            queue: Queue::default(),
            seen: Mutex::default(),
            probes: Mutex::default(),
            round_trips: RoundTrips::default(),
            attachments: Attachments::default(),
            linger,
            subscriber: OnceLock::new(),
            away_since: Mutex::new(Some(Instant::now())),
            interrupted_until: Mutex::new(None),
            gave_up: AtomicBool::new(false),
            counts: Counts::default(),
        });
        let receiver = Arc::downgrade(&shared);
        let names = &shared.channels;
        let channels = [Arc::clone(&names.probe)];
        let options = shared.options.clone();
        let mark = Some(Mark {
            prefix: names.mark.clone(),
            // Each node subscribed to the first channel is subscribed to the second.
            together: [&names.all, &names.compact].map(Arc::clone).to_vec(),
        });
        let subscriber = RedisSubscriber::start_marked(options, channels, mark, move |received| {
            if let Some(shared) = receiver.upgrade() {
                shared.receive(received);
            }
        });
        let _ = shared.subscriber.set(subscriber);
        let tasks = vec![
            tokio::spawn(publisher::run(Arc::clone(&shared))),
            tokio::spawn(supervise(Arc::clone(&shared))),
        ];
        Self(Arc::new(Running { shared, tasks }))
    }

    /// Waits until what other nodes publish reaches this one. `false` if it does not in time.
    pub async fn connected(&self, patience: Duration) -> bool {
        let mut is_up = self.0.shared.subscriber().watch();
        let up = tokio::time::timeout(patience, is_up.wait_for(|is_up| *is_up)).await;
        matches!(up, Ok(Ok(_)))
    }

    #[must_use]
    pub fn stats(&self) -> BusStats {
        let shared = &self.0.shared;
        let (dropped, lost) = shared.queue.losses();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &shared.counts;
        let is_healthy = self.is_healthy();
        // Locked once: a guard in the expression below would live until its end.
        let (round_trip, lag) = {
            let probes = shared.probes.lock();
            (probes.round_trip(), probes.lag(Instant::now()))
        };
        BusStats {
            is_healthy,
            round_trip,
            lag,
            queued: shared.queue.len(),
            published: count(&counts.published),
            received: count(&counts.received),
            unheard: count(&counts.unheard),
            own: count(&counts.own),
            repeated: count(&counts.repeated),
            unknown: count(&counts.unknown),
            interruptions: count(&counts.interruptions),
            dropped,
            lost,
            attached: shared.attachments.len(),
        }
    }

    /// Identifies this run of the bus among all.
    pub(crate) fn run(&self) -> u64 {
        self.0.shared.writer.run
    }

    /// The place of what was published last, for [`RedisEventBus::has_sent`]. `None` while it is
    /// unknown.
    pub(crate) fn last_published(&self) -> Option<u64> {
        self.0.shared.queue.last()
    }

    /// Whether Redis has everything up to this place: it outlives this node.
    pub(crate) fn has_sent(&self, place: u64) -> bool {
        self.0.shared.queue.is_done(place)
    }

    /// Calls `announced` with what publishers announce, until the subscriber is dropped.
    pub(crate) fn on_announcements(
        &self,
        announced: impl Fn(&ConversationId, std::ops::RangeInclusive<u64>) + Send + Sync + 'static,
    ) -> RedisSubscriber {
        let shared = &self.0.shared;
        let channels = [Arc::clone(&shared.channels.summaries)];
        RedisSubscriber::start(shared.options.clone(), channels, move |received| {
            if let Received::Message { payload, .. } = received
                && let Some(summary) = Summary::decode(payload)
            {
                for (conversation, first, last) in summary.entries {
                    // A batch is not larger than this.
                    let last = last.min(first.saturating_add(MOST_ANNOUNCED));
                    announced(&ConversationId::trusted(&*conversation), first..=last);
                }
            }
        })
    }

    /// When the newest round trip began that succeeded: what others published before then came
    /// through.
    #[must_use]
    pub fn last_good(&self) -> Option<Instant> {
        self.0.shared.probes.lock().last_good()
    }
}

impl EventBus for RedisEventBus {
    fn publish(&self, event: Event) {
        let shared = &self.0.shared;
        // Presence has channels of its own.
        if !matches!(event, Event::Presence(_)) {
            shared.queue.push(event.clone());
        }
        shared.local.send(BusMessage::Event(event));
    }

    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        self.0.shared.local.add(subscriber)
    }

    fn attach(&self, user: &UserId) -> Attachment {
        Attachment::new(UserAttachment::new(Arc::clone(&self.0.shared), user))
    }

    fn settle(&self) -> BoxFuture<'static, bool> {
        let shared = Arc::clone(&self.0.shared);
        // The round trip proves that the subscription is active now. Events lost in an interruption
        // are read from the log during the following seconds.
        if !shared.subscriber().is_up() || shared.was_interrupted(REPAIRED_WITHIN) {
            return Box::pin(std::future::ready(false));
        }
        let (number, back) = shared.round_trips.begin();
        let waiting = Waiting { shared, number };
        waiting.shared.queue.push_round_trip(number);
        Box::pin(async move {
            let is_back = matches!(tokio::time::timeout(SETTLE, back).await, Ok(Ok(())));
            drop(waiting);
            is_back
        })
    }

    fn is_healthy(&self) -> bool {
        let shared = &self.0.shared;
        shared.subscriber().is_up() && shared.probes.lock().is_healthy(Instant::now())
    }
}

/// A pending round trip, for as long as a caller waits for it.
struct Waiting {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.round_trips.give_up(self.number);
    }
}

async fn supervise(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(PROBE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A probe to a subscription that does not stand would be lost.
        let action = if shared.subscriber().is_up() {
            let received = shared.subscriber().received();
            shared.probes.lock().tick(Instant::now(), received)
        } else {
            Action::Wait
        };
        match action {
            Action::Probe(number) => shared.queue.push_probe(number),
            Action::Reconnect => {
                tracing::warn!("events do not return from Redis; subscribing again");
                shared.subscriber().reconnect();
            }
            Action::Wait => {}
        }
        let subscriber = shared.subscriber();
        shared.attachments.release_idle(subscriber, shared.linger);
        // The subscription was slow and stands by now.
        if shared.gave_up.load(Ordering::Relaxed)
            && subscriber.is_settled()
            && shared.gave_up.swap(false, Ordering::Relaxed)
        {
            shared.local.send(BusMessage::Lagged);
        }
    }
}

//! The bounded, ordered queue of events to publish.

use super::channels::few_users;
use lamplight_domain::event::{Audience, Event};
use lamplight_domain::identity::UserId;
use lamplight_usecases::weight;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The most bytes that wait, roughly. Ephemeral events are dropped from half of it on.
const MOST_BYTES: usize = 32 << 20;
/// The most events that wait.
const MOST_EVENTS: usize = 50_000;
/// Ephemeral events are true for a moment.
const EPHEMERAL: Duration = Duration::from_secs(5);

/// The most of one batch, which is one pipeline.
const BATCH_EVENTS: usize = 256;
/// Counted once for each channel: it has to get through within the deadline.
const BATCH_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) enum Outgoing {
    Event(Event),
    /// The queue had to drop durable events.
    Lost,
    /// To this node itself.
    Probe(u64),
    /// To this node itself: see [`super::round_trips`].
    RoundTrip(u64),
}

#[derive(Debug)]
pub(super) struct Item {
    /// 0 for a probe.
    pub(super) number: u64,
    pub(super) outgoing: Outgoing,
    queued_at: Instant,
    weight: usize,
}

impl Item {
    /// Whether it is too late for this.
    pub(super) fn is_stale(&self) -> bool {
        match &self.outgoing {
            Outgoing::Event(event) => !must_arrive(event) && self.queued_at.elapsed() > EPHEMERAL,
            Outgoing::Lost | Outgoing::Probe(_) => false,
            // The waiting task was cancelled.
            Outgoing::RoundTrip(_) => self.queued_at.elapsed() > EPHEMERAL,
        }
    }
}

/// A sign-out closes connections, so it is kept as long as durable events.
fn must_arrive(event: &Event) -> bool {
    event.is_durable()
        || matches!(
            event,
            Event::SignedOut { .. }
                | Event::SignedOutEverywhere { .. }
                | Event::BlockersChanged { .. }
        )
}

/// The number of times that an event is published.
fn channels(outgoing: &Outgoing) -> usize {
    match outgoing {
        Outgoing::Event(event) => few_users(event).map_or(1, <[_]>::len),
        Outgoing::Lost | Outgoing::Probe(_) | Outgoing::RoundTrip(_) => 1,
    }
}

/// The approximate bytes of an event as an envelope. The constants are for fields that are not text.
fn weight(event: &Event) -> usize {
    let ids = |users: &[UserId]| -> usize {
        let lengths = users.iter().map(|user| user.as_str().len());
        lengths.map(|length| 8 + length).sum()
    };
    let users = match event.audience() {
        Audience::Users(users) => ids(users),
        Audience::Everyone => 0,
    };
    let content = match event {
        Event::Appended {
            entry, newcomers, ..
        } => weight::entry(entry) + ids(newcomers),
        Event::FileProgress { progress, .. } => progress.name.len(),
        Event::Presence(change) => weight::change(change),
        _ => 0,
    };
    256 + content + users
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    number: u64,
    /// The number of the last item of the batch that was taken.
    taken: u64,
    /// Up to here, Redis has what could be published.
    done: u64,
    /// Dropped events that the other nodes must be notified of.
    has_lost: bool,
    dropped: u64,
    lost: u64,
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    pub(super) fn push(&self, event: Event) {
        let weight = weight(&event);
        let mut state = self.state.lock();
        let (bytes, count) = (state.bytes + weight, state.items.len());
        if !must_arrive(&event) {
            if bytes > MOST_BYTES / 2 || count >= MOST_EVENTS / 2 {
                state.dropped += 1;
                return;
            }
        } else if bytes > MOST_BYTES || count >= MOST_EVENTS {
            state.has_lost = true;
            state.lost += 1;
            return;
        }
        state.add(Outgoing::Event(event), weight);
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn push_probe(&self, probe: u64) {
        self.push_own(Outgoing::Probe(probe));
    }

    pub(super) fn push_round_trip(&self, number: u64) {
        self.push_own(Outgoing::RoundTrip(number));
    }

    fn push_own(&self, outgoing: Outgoing) {
        let mut state = self.state.lock();
        state.items.push_back(Item {
            number: 0,
            outgoing,
            queued_at: Instant::now(),
            weight: 0,
        });
        drop(state);
        self.changed.notify_one();
    }

    /// The next batch, once there is something. The batch before is done.
    pub(super) async fn take(&self) -> Vec<Item> {
        loop {
            let batch = self.state.lock().take();
            if !batch.is_empty() {
                return batch;
            }
            self.changed.notified().await;
        }
    }

    /// Other nodes have to read the events from the store that this one could not publish.
    pub(super) fn mark_lost(&self) {
        let mut state = self.state.lock();
        state.has_lost = true;
        state.lost += 1;
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// The number of the last item. `None` while a notice of a loss waits for its place.
    pub(super) fn last(&self) -> Option<u64> {
        let state = self.state.lock();
        (!state.has_lost).then_some(state.number)
    }

    /// Whether the items up to this number are published, or dropped because they were too old.
    pub(super) fn is_done(&self, number: u64) -> bool {
        self.state.lock().done >= number
    }

    /// How many ephemeral events were dropped, and how many that had to arrive.
    pub(super) fn losses(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.dropped, state.lost)
    }
}

impl State {
    fn add(&mut self, outgoing: Outgoing, weight: usize) {
        self.number += 1;
        self.bytes += weight;
        self.items.push_back(Item {
            number: self.number,
            outgoing,
            queued_at: Instant::now(),
            weight,
        });
    }

    fn take(&mut self) -> Vec<Item> {
        // The notice is sent with the first batch that succeeds, after the rest of the queue: by
        // then, all dropped events are committed.
        if std::mem::take(&mut self.has_lost) {
            self.add(Outgoing::Lost, 0);
        }
        self.done = self.taken;
        let mut batch = Vec::new();
        let mut published = 0;
        while batch.len() < BATCH_EVENTS
            && published < BATCH_BYTES
            && let Some(item) = self.items.pop_front()
        {
            self.bytes -= item.weight;
            self.taken = self.taken.max(item.number);
            published += item.weight * channels(&item.outgoing);
            if item.is_stale() {
                self.dropped += 1;
            } else {
                batch.push(item);
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::identity::{ConversationId, UserId};
    use lamplight_domain::time::Timestamp;

    fn durable() -> Event {
        Event::ConversationChanged {
            conversation: ConversationId::trusted("c"),
            to: [UserId::trusted("a")].into(),
        }
    }

    fn ephemeral() -> Event {
        Event::Typing {
            conversation: ConversationId::trusted("c"),
            user: UserId::trusted("a"),
            is_typing: true,
            expires_at: Timestamp(0),
            to: [UserId::trusted("b")].into(),
        }
    }

    #[tokio::test]
    async fn p12_a_full_queue_reports_lost_events() {
        let queue = Queue::default();
        for _ in 0..MOST_EVENTS + 10 {
            queue.push(durable());
            queue.push(ephemeral());
        }
        let (dropped, lost) = queue.losses();
        assert!(lost >= 10 && dropped > 10);
        let (mut last, mut notices) = (0, 0);
        while queue.len() > 0 {
            let batch = queue.take().await;
            assert!(batch.len() <= BATCH_EVENTS);
            for item in batch {
                assert_eq!(item.number, last + 1, "in order, without gaps");
                last = item.number;
                notices += usize::from(matches!(item.outgoing, Outgoing::Lost));
            }
        }
        assert_eq!(notices, 1);
        assert_eq!(queue.state.lock().bytes, 0);
    }

    #[tokio::test]
    async fn m10_a_batch_is_done_when_the_publisher_takes_the_next() {
        let queue = Queue::default();
        assert_eq!(queue.last(), Some(0));
        assert!(queue.is_done(0));
        queue.push(durable());
        let one = queue.last().expect("nothing is lost");
        let batch = queue.take().await;
        assert_eq!(batch.len(), 1);
        assert!(!queue.is_done(one), "it is on its way");
        queue.push_probe(1);
        queue.take().await;
        assert!(queue.is_done(one));
        queue.mark_lost();
        assert_eq!(queue.last(), None, "the notice has no number yet");
        queue.take().await;
        let notice = queue.last().expect("it has");
        assert!(notice > one && !queue.is_done(notice));
        queue.push_probe(2);
        queue.take().await;
        assert!(queue.is_done(notice));
    }

    #[tokio::test(start_paused = true)]
    async fn ephemeral_events_do_not_wait_for_long() {
        let queue = Queue::default();
        queue.push(ephemeral());
        queue.push(durable());
        tokio::time::advance(EPHEMERAL * 2).await;
        let batch = queue.take().await;
        assert_eq!(batch.len(), 1);
        assert!(matches!(
            batch[0].outgoing,
            Outgoing::Event(Event::ConversationChanged { .. })
        ));
    }

    #[test]
    fn an_event_weighs_at_least_what_its_texts_have() {
        use lamplight_domain::entry::{Change, Entry, EntryKind, MessageAction};
        use lamplight_domain::identity::{ConversationId, MessageId};
        use lamplight_domain::message::Content;
        use lamplight_domain::time::Timestamp;
        let text = "\u{1f4a1}".repeat(8_000);
        let content = Content::trusted(text.as_str());
        let users: Vec<UserId> = (0..1_000)
            .map(|number| UserId::trusted(format!("{number:0>128}")))
            .collect();
        let entry = Entry {
            id: MessageId::trusted("e"),
            conversation: ConversationId::trusted("c"),
            seq: 2,
            sender: UserId::trusted("a"),
            kind: EntryKind::Change(Box::new(Change {
                message: MessageId::trusted("m"),
                message_seq: 1,
                action: MessageAction::Edit {
                    content,
                    mentions: Vec::new(),
                },
            })),
            client_message_id: None,
            created_at: Timestamp(0),
        };
        let event = Event::Appended {
            entry: entry.into(),
            to: users.into(),
            newcomers: [].into(),
            except: None,
        };
        assert!(weight(&event) >= text.len() + 1_000 * 128);
    }
}

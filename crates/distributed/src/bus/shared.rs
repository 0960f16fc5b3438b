//! The state that the parts of a bus share, and the handling of messages from Redis.

use super::attachments::Attachments;
use super::channels::Channels;
use super::envelope::{self, Contents, Writer};
use super::probes::Probes;
use super::queue::Queue;
use super::round_trips::RoundTrips;
use super::seen::Seen;
use crate::redis::{Received, RedisOptions, RedisSubscriber};
use lamplight_usecases::ports::BusMessage;
use lamplight_usecases::subscribers::Subscribers;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Shared {
    pub(super) options: RedisOptions,
    pub(super) channels: Channels,
    pub(super) writer: Writer,
    pub(super) local: Subscribers,
    pub(super) queue: Queue,
    pub(super) seen: Mutex<Seen>,
    pub(super) probes: Mutex<Probes>,
    pub(super) round_trips: RoundTrips,
    pub(super) attachments: Attachments,
    pub(super) linger: Duration,
    /// Set right after the rest, which the subscriber calls.
    pub(super) subscriber: OnceLock<RedisSubscriber>,
    /// Since when the subscriptions do not stand.
    pub(super) away_since: Mutex<Option<Instant>>,
    /// When the subscriptions stood again after the newest interruption, or when it began.
    pub(super) interrupted_until: Mutex<Option<Instant>>,
    /// A join went on before its user's channel was subscribed.
    pub(super) gave_up: AtomicBool,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) published: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) unheard: AtomicU64,
    pub(super) own: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) interruptions: AtomicU64,
}

impl Shared {
    pub(super) fn subscriber(&self) -> &RedisSubscriber {
        self.subscriber.get().expect("set at the start")
    }

    /// Whether the subscriptions have not stood for `since`.
    pub(super) fn is_away(&self, since: Duration) -> bool {
        self.away_since
            .lock()
            .is_some_and(|away| away.elapsed() >= since)
    }

    /// Whether the subscriptions were interrupted within this time.
    pub(super) fn was_interrupted(&self, within: Duration) -> bool {
        self.interrupted_until
            .lock()
            .is_some_and(|until| until.elapsed() < within)
    }

    pub(super) fn receive(&self, received: Received<'_>) {
        match received {
            Received::Message { channel, payload } => {
                if channel == self.channels.probe.as_bytes() {
                    if !self.round_trips.received(payload) {
                        self.probes.lock().received(payload);
                    }
                } else {
                    self.receive_envelope(payload);
                }
            }
            Received::Interrupted => {
                self.counts.interruptions.fetch_add(1, Ordering::Relaxed);
                *self.away_since.lock() = Some(Instant::now());
                *self.interrupted_until.lock() = Some(Instant::now());
                self.probes.lock().interrupted();
            }
            Received::Complete { is_first } => {
                *self.away_since.lock() = None;
                if self.gave_up.swap(false, Ordering::Relaxed) || !is_first {
                    *self.interrupted_until.lock() = Some(Instant::now());
                    self.local.send(BusMessage::Lagged);
                }
            }
        }
    }

    fn receive_envelope(&self, payload: &[u8]) {
        if let Some(head) = envelope::peek(payload) {
            if head.run == self.writer.run {
                self.counts.own.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if !self.seen.lock().is_new(head.run, head.number) {
                self.counts.repeated.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        match envelope::decode(payload) {
            Ok(Contents::Event(event)) => {
                self.counts.received.fetch_add(1, Ordering::Relaxed);
                self.local.send(BusMessage::Event(event));
            }
            Ok(Contents::Lost) => self.local.send(BusMessage::Lagged),
            Ok(Contents::Unknown) => {
                self.counts.unknown.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.counts.unknown.fetch_add(1, Ordering::Relaxed);
                if let Some(Due { left_out }) = throttle::due("bus", "malformed", None) {
                    tracing::warn!(%error, left_out, "an envelope was skipped");
                }
            }
        }
    }
}

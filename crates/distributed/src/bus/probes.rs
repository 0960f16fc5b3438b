//! Checks whether published events reach this node: it publishes numbers to its own channel, and
//! measures how long they take.

use std::time::Duration;
use tokio::time::Instant;

/// A probe that Redis accepted and that does not return within this time shows that the subscription
/// is lost, even if its connection looks healthy.
const LONGEST: Duration = Duration::from_secs(2);
/// The same while other messages arrive, behind which it may wait.
const LONGEST_BUSY: Duration = Duration::from_secs(10);
/// Without a probe that came back within this time the bus is not healthy.
const HEALTHY: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub(super) struct Probes {
    number: u64,
    /// The probe on its way: when it was queued, and when Redis took it.
    open: Option<(Instant, Option<Instant>)>,
    /// How many messages had arrived at the last tick.
    received: u64,
    /// When the newest probe that came back was queued.
    last_good: Option<Instant>,
    round_trip: Option<Duration>,
    needs_new_publisher: bool,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Publish this number.
    Probe(u64),
    /// Replace the subscriber's connection.
    Reconnect,
    Wait,
}

impl Probes {
    /// Called each second. `received` counts messages.
    pub(super) fn tick(&mut self, now: Instant, received: u64) -> Action {
        let is_busy = std::mem::replace(&mut self.received, received) != received;
        let longest = if is_busy { LONGEST_BUSY } else { LONGEST };
        match self.open {
            Some((_, Some(taken))) if now.duration_since(taken) > longest => {
                self.open = None;
                self.needs_new_publisher = true;
                Action::Reconnect
            }
            Some(_) => Action::Wait,
            None => {
                self.number += 1;
                self.open = Some((now, None));
                Action::Probe(self.number)
            }
        }
    }

    /// The subscription broke: a probe on its way is lost with it.
    pub(super) fn interrupted(&mut self) {
        self.open = None;
    }

    /// Redis took a probe.
    pub(super) fn published(&mut self, number: u64) {
        if let Some((_, taken)) = &mut self.open
            && number == self.number
        {
            *taken = Some(Instant::now());
        }
    }

    /// A probe came back.
    pub(super) fn received(&mut self, payload: &[u8]) {
        if let Ok(text) = std::str::from_utf8(payload)
            && text.parse() == Ok(self.number)
            && let Some((queued, _)) = self.open.take()
        {
            self.last_good = Some(queued);
            self.round_trip = Some(queued.elapsed());
        }
    }

    /// The publisher has to use another connection too.
    pub(super) fn take_new_publisher(&mut self) -> bool {
        std::mem::take(&mut self.needs_new_publisher)
    }

    pub(super) fn is_healthy(&self, now: Instant) -> bool {
        self.last_good
            .is_some_and(|good| now.duration_since(good) < HEALTHY)
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// How late other messages come: as long as the newest probe needed, or the one on its way has
    /// needed so far.
    pub(super) fn lag(&self, now: Instant) -> Duration {
        let open = self.open.map(|(queued, _)| now.duration_since(queued));
        open.max(self.round_trip).unwrap_or_default()
    }

    pub(super) fn last_good(&self) -> Option<Instant> {
        self.last_good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn c4_a_lost_probe_causes_a_reconnect() {
        let mut probes = Probes::default();
        assert!(!probes.is_healthy(Instant::now()));
        assert_eq!(probes.tick(Instant::now(), 0), Action::Probe(1));
        probes.published(1);
        tokio::time::advance(Duration::from_millis(3)).await;
        probes.received(b"1");
        assert_eq!(probes.round_trip(), Some(Duration::from_millis(3)));
        assert_eq!(probes.lag(Instant::now()), Duration::from_millis(3));
        assert!(probes.is_healthy(Instant::now()));

        assert_eq!(probes.tick(Instant::now(), 0), Action::Probe(2));
        tokio::time::advance(LONGEST * 3).await;
        assert!(!probes.is_healthy(Instant::now()));
        assert_eq!(probes.lag(Instant::now()), LONGEST * 3);
        // Redis has not taken it: the publisher's business.
        assert_eq!(probes.tick(Instant::now(), 0), Action::Wait);
        probes.published(2);
        assert_eq!(probes.tick(Instant::now(), 0), Action::Wait);
        probes.received(b"1");
        probes.received(b"x");
        tokio::time::advance(LONGEST + Duration::from_millis(1)).await;
        // Other messages arrive.
        assert_eq!(probes.tick(Instant::now(), 7), Action::Wait);
        probes.received = 0;
        assert_eq!(probes.tick(Instant::now(), 0), Action::Reconnect);
        assert!(probes.take_new_publisher() && !probes.take_new_publisher());
        assert_eq!(probes.tick(Instant::now(), 0), Action::Probe(3));
        // The next subscription is not judged by a probe to the last one.
        probes.published(3);
        probes.interrupted();
        tokio::time::advance(LONGEST * 3).await;
        assert_eq!(probes.tick(Instant::now(), 0), Action::Probe(4));
    }
}

//! Delivered marks and last-seen times: noted as they happen, written a few times a second.

use crate::handler::Handler;
use crate::ports::MarkUpdate;
use crate::throttle::{self, Due};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Notify;

/// Marks are gathered for this long, so that a burst of messages is one write.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// Last-seen times that the store did not take are tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The most marks that one call to the store moves.
const MARKS_AT_ONCE: usize = 256;

#[derive(Default)]
pub(crate) struct MarkWriter {
    marks: Mutex<HashMap<(UserId, ConversationId), u64>>,
    seen: Mutex<HashMap<UserId, Timestamp>>,
    wake: Notify,
}

impl MarkWriter {
    /// How much waits to be written.
    pub(crate) fn len(&self) -> usize {
        self.marks.lock().len() + self.seen.lock().len()
    }
}

impl Handler {
    /// A message was written to a socket of `user`, or fetched by them.
    pub fn note_delivered(&self, user: &UserId, conversation: &ConversationId, seq: u64) {
        if seq == 0 {
            return;
        }
        let mut marks = self.delivered.marks.lock();
        let first = marks.is_empty();
        let mark = marks
            .entry((user.clone(), conversation.clone()))
            .or_default();
        *mark = seq.max(*mark);
        drop(marks);
        if first {
            self.delivered.wake.notify_one();
        }
    }

    /// Someone was seen for the last time, for now.
    pub fn note_seen(&self, user: &UserId, at: Timestamp) {
        let mut seen = self.delivered.seen.lock();
        let latest = seen.entry(user.clone()).or_insert(at);
        *latest = latest.advance_to(at);
        drop(seen);
        self.delivered.wake.notify_one();
    }

    /// Writes marks and last-seen times as they come, and ends what is over by itself, for as long
    /// as it is polled.
    pub async fn run_background(&self) {
        tokio::join!(self.run_noted(), self.run_clocks(), self.run_ended());
    }

    /// Apart from the clocks, which a store that stalls is not to hold up.
    async fn run_noted(&self) {
        loop {
            // What could not be written waits for the next thing to be noted, or not even that
            // long.
            let _ = tokio::time::timeout(TRY_AGAIN, self.delivered.wake.notified()).await;
            self.flush_seen().await;
            tokio::time::sleep(FLUSH_INTERVAL).await;
            self.flush_marks().await;
        }
    }

    async fn run_clocks(&self) {
        let mut half_second = tokio::time::interval(Duration::from_millis(500));
        let mut minute = tokio::time::interval(Duration::from_secs(60));
        half_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = half_second.tick() => self.expire_typing(),
                _ = minute.tick() => {
                    self.forget_idle();
                    throttle::report();
                }
            }
        }
    }

    /// Writes everything that is noted. For a shutdown.
    pub async fn flush_noted(&self) {
        self.flush_seen().await;
        self.flush_marks().await;
    }

    /// When someone was last seen, if that is noted and not yet written.
    pub(crate) fn noted_seen(&self, user: &UserId) -> Option<Timestamp> {
        self.delivered.seen.lock().get(user).copied()
    }

    async fn flush_seen(&self) {
        let seen: Vec<(UserId, Timestamp)> = self
            .delivered
            .seen
            .lock()
            .iter()
            .map(|(user, at)| (user.clone(), *at))
            .collect();
        if seen.is_empty() {
            return;
        }
        if let Err(refusal) = self.store(self.ports.directory.seen(seen.clone())).await {
            if let Some(Due { left_out }) = throttle::due("last seen", refusal.code.as_str(), None)
            {
                tracing::warn!(
                    code = refusal.code.as_str(),
                    left_out,
                    "last-seen times could not be written; trying again"
                );
            }
            return;
        }
        // Noted until it is written, so that whoever asks meanwhile is not told an older time, or
        // none.
        let mut noted = self.delivered.seen.lock();
        for (user, at) in seen {
            if noted.get(&user) == Some(&at) {
                noted.remove(&user);
            }
        }
    }

    async fn flush_marks(&self) {
        let noted = std::mem::take(&mut *self.delivered.marks.lock());
        let mut marks: Vec<_> = noted
            .into_iter()
            .map(|((user, conversation), seq)| (conversation, user, seq))
            .collect();
        // Part by part, each told when it is written: a store that stalls takes only the part it
        // stalls at.
        while !marks.is_empty() {
            let part = marks.split_off(marks.len().saturating_sub(MARKS_AT_ONCE));
            match self
                .store(self.ports.messages.mark_delivered(part, self.wall()))
                .await
            {
                Ok(told) => told.into_iter().for_each(|marked| self.tell(marked)),
                Err(refusal) => {
                    // Best effort: the next delivery moves the marks past what is lost here.
                    if let Some(Due { left_out }) =
                        throttle::due("marks", refusal.code.as_str(), None)
                    {
                        tracing::warn!(
                            code = refusal.code.as_str(),
                            left_out,
                            "delivered marks could not be written"
                        );
                    }
                    return;
                }
            }
        }
    }

    /// Tells others of marks that moved, if they may know.
    pub(crate) fn tell(&self, marked: MarkUpdate) {
        if marked.is_visible {
            let MarkUpdate {
                conversation,
                receipt,
                to,
                ..
            } = marked;
            self.ports.bus.publish(Event::Receipt {
                conversation,
                receipt,
                to,
            });
        }
    }
}

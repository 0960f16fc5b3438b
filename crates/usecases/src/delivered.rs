//! Delivered marks and last-seen times: noted as they happen, written a few times a second.

use crate::handler::Handler;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Notify;

/// Marks are gathered for this long, so that a burst of messages is one write.
const GATHER: Duration = Duration::from_millis(200);
/// Marks held back for people who are invisible; past this many the oldest news is dropped, which the next delivery heals.
const HELD_AT_MOST: usize = 10_000;

type Marks = HashMap<(UserId, ConversationId), u64>;

#[derive(Default)]
pub(crate) struct Delivered {
    marks: Mutex<Marks>,
    /// Marks of people who are to look offline: told when they no longer are.
    held: Mutex<Marks>,
    seen: Mutex<HashMap<UserId, Timestamp>>,
    wake: Notify,
}

impl Handler {
    /// A message was written to a socket of `user`, or fetched by them.
    pub fn note_delivered(&self, user: &UserId, conversation: &ConversationId, seq: u64) {
        if seq == 0 {
            return;
        }
        let mut marks = self.delivered.marks.lock();
        let first = marks.is_empty();
        let mark = marks.entry((user.clone(), conversation.clone())).or_default();
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
        *latest = at.max(*latest);
        drop(seen);
        self.delivered.wake.notify_one();
    }

    /// Writes marks and last-seen times as they come, and ends what is over by itself, for as long as it is polled.
    pub async fn run_background(&self) {
        let mut half_second = tokio::time::interval(Duration::from_millis(500));
        let mut minute = tokio::time::interval(Duration::from_secs(60));
        half_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.delivered.wake.notified() => {
                    self.flush_seen().await;
                    tokio::time::sleep(GATHER).await;
                    self.flush_marks().await;
                }
                _ = half_second.tick() => self.expire_typing(),
                _ = minute.tick() => self.forget_idle(),
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
        let seen: Vec<(UserId, Timestamp)> = self.delivered.seen.lock().iter().map(|(user, at)| (user.clone(), *at)).collect();
        if seen.is_empty() {
            return;
        }
        if let Err(refusal) = self.store(self.ports.directory.seen(seen.clone())).await {
            tracing::warn!(code = refusal.code.as_str(), "last-seen times could not be written; trying again");
            return;
        }
        // Noted until it is written, so that whoever asks meanwhile is not told an older time, or none.
        let mut noted = self.delivered.seen.lock();
        for (user, at) in seen {
            if noted.get(&user) == Some(&at) {
                noted.remove(&user);
            }
        }
    }

    async fn flush_marks(&self) {
        let noted = std::mem::take(&mut *self.delivered.marks.lock());
        let mut marks = Vec::with_capacity(noted.len());
        for ((user, conversation), seq) in noted {
            match self.ports.presence.is_invisible(&user).await {
                Ok(false) => marks.push((conversation, user, seq)),
                Ok(true) => self.hold(user, conversation, seq),
                Err(error) => tracing::debug!(%error, "a delivered mark is dropped; the next one heals it"),
            }
        }
        if marks.is_empty() {
            return;
        }
        match self.store(self.ports.messages.mark_delivered(marks)).await {
            Ok(moved) => {
                for marked in moved.into_iter().filter(|marked| marked.moved) {
                    self.ports.fanout.publish(Event::Receipt {
                        conversation: marked.conversation,
                        receipt: marked.receipt,
                        to: marked.members,
                    });
                }
            }
            // Best effort: the next delivery moves the mark past what was lost here.
            Err(refusal) => tracing::warn!(code = refusal.code.as_str(), "delivered marks could not be written"),
        }
    }

    fn hold(&self, user: UserId, conversation: ConversationId, seq: u64) {
        let mut held = self.delivered.held.lock();
        if held.len() >= HELD_AT_MOST {
            held.clear();
        }
        let mark = held.entry((user, conversation)).or_default();
        *mark = seq.max(*mark);
    }

    /// Someone may look online again: what reached them meanwhile may be told.
    pub(crate) async fn release_held(&self, user: &UserId) {
        if self.delivered.held.lock().is_empty() || !matches!(self.ports.presence.is_invisible(user).await, Ok(false)) {
            return;
        }
        let released: Vec<_> = self.delivered.held.lock().extract_if(|(holder, _), _| holder == user).collect();
        for ((user, conversation), seq) in released {
            self.note_delivered(&user, &conversation, seq);
        }
    }
}

//! Delivered marks: collected in memory, written a few times a second.

use super::receipts;
use crate::deadline;
use crate::delivery::DeliveryObserver;
use crate::ports::{Clock, EventBus, Messages, Ports};
use crate::throttle::{self, Due};
use lamplight_domain::identity::{ConversationId, UserId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Marks are collected for this long, so that a burst of messages is one write.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// The most marks that one call to the store moves.
const MARKS_AT_ONCE: usize = 256;

/// Writes delivered marks, and publishes the receipts that follow from them.
pub(crate) struct MarkWriter {
    messages: Arc<dyn Messages>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    pending: Mutex<HashMap<(UserId, ConversationId), u64>>,
    wake: Notify,
}

impl DeliveryObserver for MarkWriter {
    fn delivered(&self, user: &UserId, conversation: &ConversationId, seq: u64) {
        self.record(user, conversation, seq);
    }
}

impl MarkWriter {
    pub(crate) fn new(ports: &Ports) -> Self {
        Self {
            messages: Arc::clone(&ports.messages),
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            pending: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The entry `seq` reached `user`: it was written to one of their sockets, or they fetched it.
    pub(crate) fn record(&self, user: &UserId, conversation: &ConversationId, seq: u64) {
        if seq == 0 {
            return;
        }
        let mut pending = self.pending.lock();
        let first = pending.is_empty();
        let mark = pending
            .entry((user.clone(), conversation.clone()))
            .or_default();
        *mark = seq.max(*mark);
        drop(pending);
        if first {
            self.wake.notify_one();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.lock().len()
    }

    /// Writes what is recorded, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            self.wake.notified().await;
            tokio::time::sleep(FLUSH_INTERVAL).await;
            self.flush().await;
        }
    }

    pub(crate) async fn flush(&self) {
        let pending = std::mem::take(&mut *self.pending.lock());
        let mut marks: Vec<_> = pending
            .into_iter()
            .map(|((user, conversation), seq)| (conversation, user, seq))
            .collect();
        // In parts, each published once it is written: a store that stalls loses only the part that
        // it stalls at.
        while !marks.is_empty() {
            let part = marks.split_off(marks.len().saturating_sub(MARKS_AT_ONCE));
            let now = self.clock.now().wall;
            match deadline::store(self.messages.mark_delivered(part, now)).await {
                Ok(updates) => {
                    for update in updates {
                        receipts::publish(&*self.bus, update);
                    }
                }
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
}

//! The part of a node in Web Push: it follows the log, and sends.

use super::decide::Decider;
use super::rules::DELAY;
use crate::deadline::STORE_DEADLINE;
use crate::ports::{
    Clock, LogFollower, Ports, PushCounts, PushSender, PushSubscriptions, StoreResult,
};
use crate::throttle::{self, Due};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How often waiting jobs are counted.
const COUNT: Duration = Duration::from_secs(30);
/// The pause after a failure at the start.
const RETRY: Duration = Duration::from_secs(1);

/// The part of this node in sending.
pub struct PushRunner {
    pub(super) store: Arc<dyn PushSubscriptions>,
    pub(super) log: Arc<dyn LogFollower>,
    pub(super) sender: Arc<dyn PushSender>,
    pub(super) decider: Decider,
    clock: Arc<dyn Clock>,
    /// Something was queued.
    pub(super) wake: Notify,
    /// Entries that are committed and not queued, as far as this node knows.
    pub(super) behind: AtomicU64,
    counts: Mutex<PushCounts>,
}

impl PushRunner {
    #[must_use]
    pub fn new(ports: &Ports, log: Arc<dyn LogFollower>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(&ports.push),
            log,
            sender: Arc::clone(&ports.push_sender),
            decider: Decider::new(ports, DELAY),
            clock: Arc::clone(&ports.clock),
            wake: Notify::new(),
            behind: AtomicU64::new(0),
            counts: Mutex::default(),
        })
    }

    /// Entries of the log that are committed and not queued, as far as this node knows.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// The latest counts of subscriptions and waiting jobs.
    #[must_use]
    pub fn counts(&self) -> PushCounts {
        *self.counts.lock()
    }

    /// Follows the log and sends, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        // The key for new subscriptions is there before the first of them.
        let new = self.sender.new_key();
        while bounded(self.store.push_key(&new, self.clock.now().wall))
            .await
            .is_none()
        {
            sleep(RETRY).await;
        }
        tokio::join!(self.follow(), self.send(), self.count());
    }

    async fn count(&self) {
        loop {
            if let Some(counts) = bounded(self.store.push_counts()).await {
                *self.counts.lock() = counts;
            }
            sleep(COUNT).await;
        }
    }
}

/// `None` where the store fails or does not answer in time.
pub(super) async fn bounded<T>(answer: impl Future<Output = StoreResult<T>>) -> Option<T> {
    let error = match timeout(STORE_DEADLINE, answer).await {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the store did not answer in time".to_owned(),
    };
    if let Some(Due { left_out }) = throttle::due("push", &error, None) {
        tracing::warn!(
            error,
            left_out,
            "notices cannot be queued or sent; trying again"
        );
    }
    None
}

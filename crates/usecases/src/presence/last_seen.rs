//! Last-seen times: collected in memory, written a few times a second.

use crate::deadline;
use crate::ports::Directory;
use crate::throttle::{self, Due};
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Times are collected for this long, so that many users who leave at once are one write.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// A failed write is repeated after this long.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Writes when users were last seen.
pub(crate) struct LastSeenWriter {
    directory: Arc<dyn Directory>,
    pending: Mutex<HashMap<UserId, Timestamp>>,
    wake: Notify,
}

impl LastSeenWriter {
    pub(crate) fn new(directory: &Arc<dyn Directory>) -> Self {
        Self {
            directory: Arc::clone(directory),
            pending: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(crate) fn record(&self, user: &UserId, at: Timestamp) {
        let mut pending = self.pending.lock();
        let latest = pending.entry(user.clone()).or_insert(at);
        *latest = latest.advance_to(at);
        drop(pending);
        self.wake.notify_one();
    }

    /// The time that is recorded and not written yet.
    pub(crate) fn pending(&self, user: &UserId) -> Option<Timestamp> {
        self.pending.lock().get(user).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.lock().len()
    }

    /// Writes what is recorded, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            // What could not be written waits for the next record, but no longer than this.
            let _ = tokio::time::timeout(RETRY_INTERVAL, self.wake.notified()).await;
            self.flush().await;
            tokio::time::sleep(FLUSH_INTERVAL).await;
        }
    }

    pub(crate) async fn flush(&self) {
        let seen: Vec<(UserId, Timestamp)> = self
            .pending
            .lock()
            .iter()
            .map(|(user, at)| (user.clone(), *at))
            .collect();
        if seen.is_empty() {
            return;
        }
        if let Err(refusal) = deadline::store(self.directory.seen(seen.clone())).await {
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
        // A time stays pending until it is written, so that a reader meanwhile gets no older one.
        let mut pending = self.pending.lock();
        for (user, at) in seen {
            if pending.get(&user) == Some(&at) {
                pending.remove(&user);
            }
        }
    }
}

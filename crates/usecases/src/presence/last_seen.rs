//! Writes last-seen times to the directory: the only place that does.

use crate::deadline;
use crate::ports::{Directory, LastSeenQueue, Ports, PresenceStore};
use crate::throttle::{self, Due};
use std::sync::Arc;
use std::time::Duration;

/// Times are collected for this long, so that many users who leave at once are one write.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// A failed write is repeated after this long.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

pub(crate) struct LastSeenWriter {
    presence: Arc<dyn PresenceStore>,
    directory: Arc<dyn Directory>,
}

impl LastSeenWriter {
    pub(crate) fn new(ports: &Ports) -> Self {
        Self {
            presence: Arc::clone(&ports.presence),
            directory: Arc::clone(&ports.directory),
        }
    }

    pub(crate) fn queue(&self) -> &LastSeenQueue {
        self.presence.last_seen()
    }

    /// Writes what the presence store queues, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            // The maximum delay before failed writes are retried without another user's write.
            let _ = tokio::time::timeout(RETRY_INTERVAL, self.queue().added()).await;
            self.flush().await;
            tokio::time::sleep(FLUSH_INTERVAL).await;
        }
    }

    pub(crate) async fn flush(&self) {
        let seen = self.queue().all();
        if seen.is_empty() {
            return;
        }
        match deadline::store(self.directory.seen(seen.clone())).await {
            // A time stays in the queue until it is written, so that a reader meanwhile gets no
            // older one.
            Ok(()) => self.queue().remove(seen),
            Err(refusal) => {
                if let Some(Due { left_out }) =
                    throttle::due("last seen", refusal.code.as_str(), None)
                {
                    tracing::warn!(
                        code = refusal.code.as_str(),
                        left_out,
                        "last-seen times could not be written; trying again"
                    );
                }
            }
        }
    }
}

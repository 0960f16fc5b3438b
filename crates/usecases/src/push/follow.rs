//! Keeps the queue of what is to be sent in step with the log. Of several nodes one does; the others
//! look now and then whether it still does.

use super::rules::{DELAY, FOLLOWER};
use super::runner::{PushRunner, bounded};
use crate::ports::PushStep;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Entries that one step handles, at most.
pub(super) const STEP: usize = 1_024;
/// The time from the beginning of one step to that of the next: entries are batched.
const EVERY: Duration = Duration::from_millis(500);
/// How long a step waits after the commit that caused it: commits come in bursts.
const SETTLE: Duration = Duration::from_millis(50);
/// How often a step is tried without a commit.
const POLL: Duration = Duration::from_secs(5);
/// How often a node checks whether the node that maintains the queue still does.
const WATCH: Duration = Duration::from_secs(2);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

impl PushRunner {
    /// Follows the log for as long as it is polled.
    pub(super) async fn follow(&self) {
        loop {
            let began = Instant::now();
            let Some(step) = bounded(self.store.queue_pushes(DELAY, STEP)).await else {
                sleep(RETRY).await;
                continue;
            };
            self.note(&step);
            if step.has_queued {
                self.wake.notify_one();
            }
            if step.is_outrun {
                // Another node maintains the queue. This node tries again when that one stops.
                self.watch(&step).await;
            } else if !step.is_full && timeout(POLL, self.log.changed(step.position)).await.is_ok()
            {
                sleep_until((began + EVERY).max(Instant::now() + SETTLE)).await;
            }
        }
    }

    /// Waits for as long as the position moves, or has nowhere to move.
    async fn watch(&self, step: &PushStep) {
        let mut seen = None;
        loop {
            sleep(WATCH).await;
            let position = bounded(self.log.position(FOLLOWER)).await.flatten();
            let head = bounded(self.log.head()).await;
            if position == seen && (head > position || head.is_none()) {
                return;
            }
            self.note(&PushStep {
                position: position.unwrap_or(step.position),
                newest: head.unwrap_or(step.newest),
                ..*step
            });
            seen = position;
        }
    }

    fn note(&self, step: &PushStep) {
        let behind = step.newest.0.saturating_sub(step.position.0);
        self.behind.store(behind, Ordering::Relaxed);
    }
}

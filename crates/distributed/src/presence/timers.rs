//! Ticks of users whose deadlines this node has set, on time. Those of nodes that died are found by
//! the regular look at all buckets.

use lamplight_domain::identity::UserId;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// More deadlines are left to the regular look.
const MAX_TIMERS: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: Mutex<BTreeSet<(Instant, UserId)>>,
    sooner: Notify,
}

impl Timers {
    pub(super) fn add(&self, user: &UserId, after: Duration) {
        let at = Instant::now() + after;
        let mut due = self.due.lock();
        if due.len() >= MAX_TIMERS {
            return;
        }
        let is_first = due.first().is_none_or(|(first, _)| at < *first);
        due.insert((at, user.clone()));
        drop(due);
        if is_first {
            self.sooner.notify_one();
        }
    }

    /// Waits until a user is due.
    pub(super) async fn next(&self) -> UserId {
        loop {
            let first = self.due.lock().first().map(|(at, _)| *at);
            let Some(at) = first else {
                self.sooner.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.sooner.notified() => continue,
            }
            let mut due = self.due.lock();
            if due.first().is_some_and(|(at, _)| *at <= Instant::now())
                && let Some((_, user)) = due.pop_first()
            {
                return user;
            }
        }
    }
}

//! Closes connections whose session has ended without this node learning of it: the bus may have lost
//! the event, the node that ended the session may have died before it announced that, and the outcome
//! of a write that ends sessions may be unknown.

use crate::hub::Hub;
use futures_util::FutureExt as _;
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Handler, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How often all are checked without a reason.
const EVERY: Duration = Duration::from_secs(300);
/// The pause after a failed check, and the shortest between two.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after a node ended: others may end with it, and the store may still execute its last
/// write.
const NODE_PAUSE: Duration = Duration::from_secs(2);
/// Sessions or users that the store is asked for at once.
const AT_ONCE: usize = 256;

/// Compares the connections of this node with the sessions of the store, and with when it ended tokens.
pub struct SessionCheck {
    hub: Arc<Hub>,
    handler: Arc<Handler>,
    schedule: Schedule,
}

/// When to check.
#[derive(Default)]
struct Schedule {
    lagged: Notify,
    node_ended: Notify,
}

impl Schedule {
    /// Calls `check` when it is due, and again until it succeeds, for as long as it is polled.
    async fn run<F>(&self, mut check: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), Refusal>>,
    {
        loop {
            let reason = async {
                tokio::select! {
                    () = self.lagged.notified() => {}
                    () = self.node_ended.notified() => sleep(NODE_PAUSE).await,
                }
            };
            let _ = timeout(EVERY, reason).await;
            // One check is enough for all that happened before it.
            let _ = self.lagged.notified().now_or_never();
            let _ = self.node_ended.notified().now_or_never();
            while let Err(refusal) = check().await {
                if let Some(Due { left_out }) = throttle::due("sessions", "", None) {
                    tracing::warn!(
                        error = refusal.message.as_ref() as &str,
                        left_out,
                        "could not check which sessions have ended; retrying"
                    );
                }
                sleep(PAUSE).await;
            }
            sleep(PAUSE).await;
        }
    }
}

impl SessionCheck {
    #[must_use]
    pub fn new(hub: Arc<Hub>, handler: Arc<Handler>) -> Self {
        Self {
            hub,
            handler,
            schedule: Schedule::default(),
        }
    }

    /// Events were lost: checks soon.
    pub fn lagged(&self) {
        self.schedule.lagged.notify_one();
    }

    /// Another node ended, which may have ended sessions and announced nothing: checks soon.
    pub fn node_ended(&self) {
        self.schedule.node_ended.notify_one();
    }

    /// Checks for as long as it is polled.
    pub async fn run(&self) {
        self.schedule.run(|| self.check()).await;
    }

    async fn check(&self) -> Result<(), Refusal> {
        let held = self.hub.credentials();
        let all: Vec<String> = held.keys().map(|digest| digest.to_string()).collect();
        let mut closed = 0;
        for some in all.chunks(AT_ONCE) {
            for ended in self.handler.without_session(some).await? {
                if let Some((digest, user)) = held.get_key_value(ended.as_str()) {
                    self.hub.sign_out(user, digest);
                    closed += 1;
                }
            }
        }
        for users in self.hub.users_by_token().chunks(AT_ONCE) {
            let ended_at = self.handler.tokens_ended_at(users).await?;
            for (user, at) in users.iter().zip(ended_at) {
                if let Some(at) = at {
                    closed += self.hub.sign_out_tokens(user, at);
                }
            }
        }
        if closed > 0 {
            tracing::info!(
                closed,
                "closed connections whose users had been signed out without an event"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_usecases::Code;
    use parking_lot::Mutex;
    use std::future::ready;
    use tokio::time::Instant;

    /// When the checks ran, in milliseconds; those whose turn is in `failing` fail.
    async fn checks(
        within: Duration,
        failing: &[usize],
        act: impl AsyncFnOnce(&Schedule),
    ) -> Vec<u128> {
        let (schedule, start) = (Schedule::default(), Instant::now());
        let ran = Mutex::new(Vec::new());
        let run = schedule.run(|| {
            let mut ran = ran.lock();
            ran.push(start.elapsed().as_millis());
            let fails = failing.contains(&(ran.len() - 1));
            let refusal = || Refusal::new(Code::Unavailable, "The store is away.");
            ready(if fails { Err(refusal()) } else { Ok(()) })
        });
        let _ = timeout(within, async { tokio::join!(run, act(&schedule)) }).await;
        ran.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_that_end_together_cause_one_check_soon() {
        let ran = checks(Duration::from_secs(290), &[], async |schedule| {
            sleep(Duration::from_secs(10)).await;
            schedule.node_ended.notify_one();
            sleep(Duration::from_secs(1)).await;
            schedule.node_ended.notify_one();
            schedule.lagged.notify_one();
            // Another one, much later.
            sleep(Duration::from_secs(60)).await;
            schedule.node_ended.notify_one();
        });
        assert_eq!(ran.await, [12_000, 73_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_events_and_a_failed_check_cause_one_at_once_and_others_come_regularly() {
        let ran = checks(Duration::from_secs(700), &[0, 1], async |schedule| {
            schedule.lagged.notify_one();
        });
        // Three attempts, then the pause and the interval, twice.
        assert_eq!(ran.await, [0, 1_000, 2_000, 303_000, 604_000]);
    }
}

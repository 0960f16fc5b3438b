//! Sends what is due, a bounded number of jobs at a time.

use super::decide::Decision;
use super::follow::STEP;
use super::runner::{PushRunner, bounded};
use crate::ports::{PushJob, PushNotice, PushOutcome, PushThen};
use crate::throttle::{self, Due};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Jobs that a node runs at a time. Each has one pending request.
const AT_ONCE: usize = 32;
/// The lease of a job: longer than a request may take, and short, since the jobs of a dead node wait
/// for its end.
const LEASE: Duration = Duration::from_secs(15);
/// After this time a job yields to others.
const TURN: Duration = Duration::from_secs(5);
/// The pause between two looks for jobs that are due.
const POLL: Duration = Duration::from_secs(1);
/// How long nothing is sent after the start.
const AFTER_START: Duration = Duration::from_secs(5);
/// The pause after the first failure; it doubles with each, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);
/// A subscription that the push service refused so often in a row ends.
const MOST_REFUSALS: u32 = 10;

impl PushRunner {
    /// One round without a pause: queues committed entries and handles due jobs. Returns the number
    /// of jobs. [`PushRunner::run`] repeats it.
    pub async fn run_once(&self) -> usize {
        while let Some(step) = bounded(self.store.queue_pushes(Duration::ZERO, STEP)).await
            && step.is_full
        {}
        let jobs = bounded(self.store.claim_pushes(LEASE, AT_ONCE)).await;
        let jobs = jobs.unwrap_or_default();
        let count = jobs.len();
        for job in jobs {
            self.work(job).await;
        }
        count
    }

    pub(super) async fn send(self: &Arc<Self>) {
        // Clients that were connected before the restart reconnect first.
        sleep(AFTER_START).await;
        let mut running = JoinSet::new();
        loop {
            while running.try_join_next().is_some() {}
            let free = AT_ONCE - running.len();
            let mut claimed = 0;
            if free > 0 {
                let jobs = bounded(self.store.claim_pushes(LEASE, free)).await;
                let jobs = jobs.unwrap_or_default();
                claimed = jobs.len();
                for job in jobs {
                    let this = Arc::clone(self);
                    running.spawn(async move { this.work(job).await });
                }
            }
            tokio::select! {
                Some(_) = running.join_next() => {}
                () = self.wake.notified() => {}
                () = sleep(POLL), if claimed == 0 || claimed < free || running.is_empty() => {}
            }
        }
    }

    /// Sends the messages of a job one after the other.
    async fn work(&self, job: PushJob) {
        if job.is_expired {
            return self.end(&job).await;
        }
        let began = Instant::now();
        let mut next = *job.seqs.start();
        let mut is_without_content = false;
        while next <= *job.seqs.end() {
            if began.elapsed() > TURN {
                self.move_on(&job, next, PushThen::Later(Duration::ZERO))
                    .await;
                return;
            }
            let notice = match self.decider.decide(&job, next).await {
                Ok(Decision::Send(notice)) => *notice,
                Ok(Decision::SkipTo(seq)) => {
                    next = seq;
                    continue;
                }
                Ok(Decision::SkipAll) => break,
                Ok(Decision::Wait(pause)) => {
                    self.move_on(&job, next, PushThen::Later(pause)).await;
                    return;
                }
                // The store failed and has logged it.
                Err(_) => {
                    self.move_on(&job, next, PushThen::Later(POLL)).await;
                    return;
                }
            };
            let notice = PushNotice {
                content: notice.content.filter(|_| !is_without_content),
                ..notice
            };
            let seq = notice.seq;
            match self.sender.send(&job.subscription, &notice).await {
                PushOutcome::Sent => {}
                PushOutcome::TooLarge if notice.content.is_some() => {
                    is_without_content = true;
                    next = seq;
                    continue;
                }
                PushOutcome::TooLarge => {}
                PushOutcome::Gone => return self.end(&job).await,
                outcome => return self.failed(&job, seq, outcome).await,
            }
            is_without_content = false;
            next = seq + 1;
            if next <= *job.seqs.end() && !self.move_on(&job, next, PushThen::Continue(LEASE)).await
            {
                return;
            }
        }
        let next = next.max(*job.seqs.end() + 1);
        self.move_on(&job, next, PushThen::Done).await;
    }

    async fn move_on(&self, job: &PushJob, next: u64, then: PushThen) -> bool {
        let moved = bounded(self.store.move_push(job, next, then)).await;
        moved == Some(true)
    }

    async fn end(&self, job: &PushJob) {
        let subscription = &job.subscription;
        let endpoint = &subscription.target.endpoint;
        bounded(self.store.end_subscription(subscription.id, endpoint)).await;
    }

    async fn failed(&self, job: &PushJob, next: u64, outcome: PushOutcome) {
        let failures = job.subscription.failures;
        let (after, why) = match outcome {
            PushOutcome::Later { after, why } => (after, why),
            PushOutcome::Refused(_) if failures + 1 >= MOST_REFUSALS => {
                return self.end(job).await;
            }
            PushOutcome::Refused(why) => (None, why),
            PushOutcome::Sent | PushOutcome::Gone | PushOutcome::TooLarge => return,
        };
        if let Some(Due { left_out }) = throttle::due("push service", &why, None) {
            tracing::warn!(
                why,
                left_out,
                "a push service takes no notices; trying again"
            );
        }
        let doubled = FIRST_RETRY * 2_u32.saturating_pow(failures.min(16));
        let pause = after.unwrap_or(doubled).clamp(FIRST_RETRY, LONGEST_RETRY);
        // Spread, so that jobs that failed together are not retried together.
        let spread = u32::try_from(job.subscription.id.rem_euclid(16)).unwrap_or(0);
        let pause = pause + pause / 64 * spread;
        self.move_on(job, next, PushThen::Failed(pause)).await;
    }
}

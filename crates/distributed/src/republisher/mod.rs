//! Publishes entries that were committed and never announced, since their publisher died between
//! the commit and the bus.
//!
//! One node of the cluster does this at a time. It follows the log, reads the summaries that
//! publishers send with each batch, and publishes entries that were not announced in time.
//! Receivers drop repetitions, so it publishes in case of doubt.

mod counts;
mod log;

use crate::bus::RedisEventBus;
use crate::redis::{Leader, RENEW, RedisClient};
use counts::Counts;
use lamplight_usecases::ports::{Clock, LogFollower, Messages};
use log::Log;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often a node that is not the leader tries to become it.
const CANDIDATE: Duration = Duration::from_millis(500);
/// A leader that could not renew its lease for this long stops.
const GIVE_UP: Duration = Duration::from_secs(2);

/// The part of this node in the republishing. It ends when this is dropped.
pub struct Republisher {
    counts: Arc<Counts>,
    leader: Arc<Leader>,
    task: JoinHandle<()>,
}

/// For metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepublisherStats {
    pub is_leader: bool,
    /// Unannounced entries that this node published.
    pub republished: u64,
    /// Entries that were too old to be published.
    pub skipped: u64,
    /// Entries that were read and may still be announced.
    pub waiting: u64,
    /// Positions of the log that are committed and not read yet.
    pub behind: u64,
}

impl Drop for Republisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Republisher {
    /// Takes part in the election, within a tokio runtime. `node` is unique in the cluster.
    #[must_use]
    pub fn start(
        node: &str,
        bus: RedisEventBus,
        client: RedisClient,
        follower: Arc<dyn LogFollower>,
        messages: Arc<dyn Messages>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let counts = Arc::new(Counts::default());
        let key = format!("{}:republisher", client.options().prefix());
        // A node that restarts is another candidate.
        let id = format!("{node}/{:016x}", bus.run());
        let leader = Arc::new(Leader::new(client, key, id));
        let log = Log {
            bus,
            follower,
            messages,
            clock,
            counts: Arc::clone(&counts),
        };
        let task = tokio::spawn(run(Arc::clone(&leader), log, Arc::clone(&counts)));
        Self {
            counts,
            leader,
            task,
        }
    }

    /// Stops, and lets another node take over at once.
    pub async fn stop(&self) {
        self.task.abort();
        if self.counts.is_leader.swap(false, Ordering::Relaxed) {
            // Otherwise the lease expires.
            let _ = self.leader.release().await;
        }
    }

    #[must_use]
    pub fn stats(&self) -> RepublisherStats {
        let counts = &self.counts;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RepublisherStats {
            is_leader: counts.is_leader.load(Ordering::Relaxed),
            republished: count(&counts.republished),
            skipped: count(&counts.skipped),
            waiting: count(&counts.waiting),
            behind: count(&counts.behind),
        }
    }
}

async fn run(leader: Arc<Leader>, log: Log, counts: Arc<Counts>) {
    log.begin().await;
    loop {
        if matches!(leader.hold().await, Ok(true)) {
            counts.is_leader.store(true, Ordering::Relaxed);
            tracing::info!("this node republishes entries that other nodes did not announce");
            tokio::select! {
                () = log.run() => {}
                () = until_lost(&leader) => {}
            }
            counts.is_leader.store(false, Ordering::Relaxed);
            counts.waiting.store(0, Ordering::Relaxed);
            counts.behind.store(0, Ordering::Relaxed);
        }
        tokio::time::sleep(CANDIDATE).await;
    }
}

/// Renews the lease until another node has it or Redis is away.
async fn until_lost(leader: &Leader) {
    let mut renewed = Instant::now();
    while renewed.elapsed() < GIVE_UP {
        tokio::time::sleep(RENEW).await;
        match leader.hold().await {
            Ok(true) => renewed = Instant::now(),
            Ok(false) => return,
            Err(_) => {}
        }
    }
}

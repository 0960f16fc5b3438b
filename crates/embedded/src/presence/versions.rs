//! Versions are reserved on disk ahead of their use, so that they grow over a restart whatever the clock
//! shows then.

use crate::messages::SqliteStore;
use async_trait::async_trait;
use lamplight_domain::presence::clock_version;
use lamplight_usecases::ports::{Clock, StoreResult};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How far ahead versions are reserved: a minute of the clock's.
const RESERVED: u64 = 60_000 * 4_096;
/// Pause before a reservation that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Where versions are written down.
#[async_trait]
pub trait VersionStore: Send + Sync + 'static {
    /// Stores the version from which the next start continues.
    async fn keep_presence_version(&self, version: u64) -> StoreResult<()>;
}

#[async_trait]
impl VersionStore for SqliteStore {
    async fn keep_presence_version(&self, version: u64) -> StoreResult<()> {
        Self::keep_presence_version(self, version).await
    }
}

pub(super) struct ReservedVersions {
    /// Versions up to here are written down: a restart continues after it.
    reserved: AtomicU64,
    /// Few reserved versions are left.
    low: Notify,
}

impl ReservedVersions {
    pub(super) fn new(version: u64) -> Self {
        Self {
            reserved: AtomicU64::new(version),
            low: Notify::new(),
        }
    }

    /// Versions have grown to this.
    pub(super) fn reached(&self, version: u64) {
        if version.saturating_add(RESERVED / 2) > self.reserved.load(Ordering::Relaxed) {
            self.low.notify_one();
        }
    }

    /// Reserves versions in the database for as long as it is polled: at most once in half a minute
    /// while users change.
    pub(super) async fn run(
        &self,
        store: &dyn VersionStore,
        clock: &dyn Clock,
        version: impl Fn() -> u64,
    ) {
        loop {
            let reached = version().max(clock_version(clock.now().wall));
            let reserved = reached.saturating_add(RESERVED);
            match store.keep_presence_version(reserved).await {
                Ok(()) => {
                    self.reserved.store(reserved, Ordering::Relaxed);
                    self.low.notified().await;
                }
                Err(error) => {
                    tracing::debug!(%error, "presence versions could not be reserved; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

//! Sessions that ended while the store took no writes: they end at once in memory, and are written
//! as soon as the store takes writes again.
//!
//! A crash before the write brings such a session back, which is why the caller who signed out gets
//! `unavailable` and not a success.

use crate::deadline;
use crate::ports::{Accounts, EventBus};
use crate::throttle::{self, Due};
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The most sessions kept. Only sessions that were found in the store get here.
const AT_MOST: usize = 10_000;
/// A failed write is repeated after this long.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Digests of sessions that ended and that the store still has.
pub(crate) struct EndedSessions {
    accounts: Arc<dyn Accounts>,
    bus: Arc<dyn EventBus>,
    digests: Mutex<HashSet<Arc<str>>>,
    wake: Notify,
}

impl EndedSessions {
    pub(crate) fn new(accounts: &Arc<dyn Accounts>, bus: &Arc<dyn EventBus>) -> Self {
        Self {
            accounts: Arc::clone(accounts),
            bus: Arc::clone(bus),
            digests: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(crate) fn contains(&self, digest: &str) -> bool {
        self.digests.lock().contains(digest)
    }

    pub(crate) fn len(&self) -> usize {
        self.digests.lock().len()
    }

    /// Ends a session for as long as this process lives, and closes its sockets.
    pub(crate) fn end(&self, user: &UserId, digest: Arc<str>) {
        self.insert(&digest);
        self.bus.publish(Event::SignedOut {
            user: user.clone(),
            credential: digest,
        });
    }

    fn insert(&self, digest: &Arc<str>) {
        let mut digests = self.digests.lock();
        if digests.len() < AT_MOST {
            digests.insert(Arc::clone(digest));
            self.wake.notify_one();
        } else if let Some(Due { left_out }) = throttle::due("ended", "", None) {
            tracing::error!(
                left_out,
                "too many sessions ended while the store takes no writes; this one stays valid until the store can end it"
            );
        }
    }

    /// Ends these sessions in the store, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            self.wake.notified().await;
            while self.len() > 0 {
                tokio::time::sleep(RETRY_INTERVAL).await;
                self.write().await;
            }
        }
    }

    /// Tries once to end these sessions in the store.
    pub(crate) async fn write(&self) {
        let digests: Vec<Arc<str>> = self.digests.lock().iter().cloned().collect();
        for digest in digests {
            if deadline::store(self.accounts.end_session(&digest))
                .await
                .is_err()
            {
                return;
            }
            self.digests.lock().remove(&digest);
        }
    }
}

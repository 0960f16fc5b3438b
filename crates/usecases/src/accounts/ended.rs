//! Sessions that ended while the store took no writes: they are over at once, and written as soon
//! as the store takes it.
//!
//! They are kept in memory alone. A crash before the write brings such a session back, which is why
//! whoever signed out is answered `unavailable` and not with success.

use crate::handler::Handler;
use crate::throttle::{self, Due};
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The most that are kept. Only sessions that were found in the store get here.
const AT_MOST: usize = 10_000;
/// How often the store is asked to write them.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Digests of sessions that are over and that the store still has.
#[derive(Default)]
pub(crate) struct EndedSessions {
    digests: Mutex<HashSet<Arc<str>>>,
    wake: Notify,
}

impl EndedSessions {
    pub(crate) fn contains(&self, digest: &str) -> bool {
        self.digests.lock().contains(digest)
    }

    pub(crate) fn len(&self) -> usize {
        self.digests.lock().len()
    }

    fn add(&self, digest: &Arc<str>) {
        let mut digests = self.digests.lock();
        if digests.len() < AT_MOST {
            digests.insert(Arc::clone(digest));
            self.wake.notify_one();
        } else {
            if let Some(Due { left_out }) = throttle::due("ended", "", None) {
                tracing::error!(
                    left_out,
                    "too many sessions ended while the store takes no writes; one stays valid until it can be written"
                );
            }
        }
    }
}

impl Handler {
    /// Ends a session for as long as this process lives, and its sockets at once.
    pub(crate) fn end_in_memory(&self, user: &UserId, digest: Arc<str>) {
        self.ended.add(&digest);
        self.ports.bus.publish(Event::SignedOut {
            user: user.clone(),
            credential: digest,
        });
    }

    /// Has the store end what is ended, for as long as it is polled.
    pub(crate) async fn run_ended(&self) {
        loop {
            self.ended.wake.notified().await;
            while self.ended.len() > 0 {
                tokio::time::sleep(TRY_AGAIN).await;
                self.write_ended().await;
            }
        }
    }

    /// Has the store end what is ended, once.
    pub async fn write_ended(&self) {
        let digests: Vec<Arc<str>> = self.ended.digests.lock().iter().cloned().collect();
        for digest in digests {
            if self
                .store(self.ports.accounts.end_session(&digest))
                .await
                .is_err()
            {
                return;
            }
            self.ended.digests.lock().remove(&digest);
        }
    }
}

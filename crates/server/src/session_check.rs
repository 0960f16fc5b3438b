//! Closes connections whose session has ended without this node learning of it: the bus may have lost
//! the event, and the outcome of a write that ends sessions may be unknown.

use crate::hub::Hub;
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Handler, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often all are checked without a reason.
const EVERY: Duration = Duration::from_secs(300);
/// The pause after a failed check, and the shortest between two.
const PAUSE: Duration = Duration::from_secs(1);
/// Sessions that the store is asked for at once.
const AT_ONCE: usize = 256;

/// Compares the connections of this node with the sessions of the store.
pub struct SessionCheck {
    hub: Arc<Hub>,
    handler: Arc<Handler>,
    lagged: Notify,
}

impl SessionCheck {
    #[must_use]
    pub fn new(hub: Arc<Hub>, handler: Arc<Handler>) -> Self {
        Self {
            hub,
            handler,
            lagged: Notify::new(),
        }
    }

    /// Events were lost: checks soon.
    pub fn lagged(&self) {
        self.lagged.notify_one();
    }

    /// Checks for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let _ = tokio::time::timeout(EVERY, self.lagged.notified()).await;
            while let Err(refusal) = self.check().await {
                if let Some(Due { left_out }) = throttle::due("sessions", "", None) {
                    tracing::warn!(
                        error = refusal.message.as_ref() as &str,
                        left_out,
                        "could not check which sessions have ended; retrying"
                    );
                }
                tokio::time::sleep(PAUSE).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn check(&self) -> Result<(), Refusal> {
        let held = self.hub.credentials();
        let all: Vec<String> = held.keys().map(|digest| digest.to_string()).collect();
        for some in all.chunks(AT_ONCE) {
            for ended in self.handler.without_session(some).await? {
                if let Some((digest, user)) = held.get_key_value(ended.as_str()) {
                    self.hub.sign_out(user, digest);
                }
            }
        }
        Ok(())
    }
}

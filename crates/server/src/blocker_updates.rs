//! Follows who has blocked the users of this node.

use crate::hub::Hub;
use crate::roster_feed::RosterPublisher;
use lamplight_domain::identity::UserId;
use lamplight_usecases::Handler;
use lamplight_usecases::ports::ConnectionRegistry as _;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The pause after a failed read.
const PAUSE: Duration = Duration::from_secs(1);
/// Users who are read at once.
const AT_ONCE: usize = 256;

/// Reads who has blocked users when that changes, and after events were lost.
pub(crate) struct BlockerUpdates {
    hub: Arc<Hub>,
    roster: Arc<RosterPublisher>,
    handler: Arc<Handler>,
    pending: Mutex<HashSet<UserId>>,
    wake: Notify,
}

impl BlockerUpdates {
    pub(crate) fn new(hub: Arc<Hub>, roster: Arc<RosterPublisher>, handler: Arc<Handler>) -> Self {
        Self {
            hub,
            roster,
            handler,
            pending: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(crate) fn push(&self, user: UserId) {
        if self.hub.present(std::slice::from_ref(&user)).is_empty() {
            return;
        }
        self.pending.lock().insert(user);
        self.wake.notify_one();
    }

    pub(crate) fn lagged(&self) {
        self.pending.lock().extend(self.hub.users());
        self.wake.notify_one();
    }

    /// Reads the blockers of pending users, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            let users: Vec<UserId> = {
                let mut pending = self.pending.lock();
                let some: Vec<UserId> = pending.iter().take(AT_ONCE).cloned().collect();
                for user in &some {
                    pending.remove(user);
                }
                some
            };
            if users.is_empty() {
                self.wake.notified().await;
                continue;
            }
            let ticket = self.roster.hidden_ticket();
            let (hidden, privacy) = tokio::join!(
                self.handler.hidden_from(&users),
                self.handler.privacy_of(&users),
            );
            match hidden.and_then(|hidden| Ok((hidden, privacy?))) {
                Ok((mut hidden, privacy)) => {
                    for (user, (privacy, revision)) in users.into_iter().zip(privacy) {
                        let of = hidden.remove(&user).unwrap_or_default();
                        self.roster.hide(&user, ticket, of);
                        self.roster.set_privacy(&user, privacy, revision);
                    }
                }
                Err(refusal) => {
                    self.pending.lock().extend(users);
                    let code = refusal.code.as_str();
                    if let Some(Due { left_out }) = throttle::due("blockers", code, None) {
                        tracing::warn!(
                            code,
                            left_out,
                            "could not read who has blocked users; retrying"
                        );
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

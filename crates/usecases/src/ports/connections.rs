//! The sockets of this node.

use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::Presence;
use lamplight_domain::roster_feed::Mode;
use std::sync::Arc;

/// How a user is shown to a watcher.
#[derive(Clone, Debug)]
pub struct WatchedPresence {
    pub user: UserId,
    /// `None` if shown as offline.
    pub shown: Option<Arc<Presence>>,
    /// The version of this state, compared with other versions of this user only. Of a user who is
    /// shown as offline, the presence store knows it: [`ConnectionRegistry::watch`] answers 0.
    pub version: u64,
}

/// The sockets of this node, as far as the use cases steer them.
pub trait ConnectionRegistry: Send + Sync + 'static {
    /// A socket is a user's from now on and gets what is theirs. `false` where nobody is connected
    /// to it: it has gone, or waits for its client to come back.
    fn admit(&self, session: &ConnectionId, user: &UserId) -> bool;
    /// A socket follows the roster in this mode and gets a fresh snapshot. `false` where nobody is
    /// connected to it: whoever began something for it has to end it.
    fn follow(&self, session: &ConnectionId, mode: Mode) -> bool;
    /// A socket follows these users, whose states as of now are the answer. `None`, and nothing
    /// done, if it would follow more than it may.
    fn watch(&self, session: &ConnectionId, users: &[UserId]) -> Option<Vec<WatchedPresence>>;
    /// A socket follows these users no longer.
    fn unwatch(&self, session: &ConnectionId, users: &[UserId]);
}

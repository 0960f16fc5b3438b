//! The sockets of this node.

use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::Presence;
use lamplight_domain::roster_feed::Mode;
use std::sync::Arc;

/// How someone is shown to a watcher, and since which version.
#[derive(Clone, Debug)]
pub struct WatchedPresence {
    /// Who.
    pub user: UserId,
    /// How, `None` if as offline.
    pub shown: Option<Arc<Presence>>,
    /// The version that this state is known to hold at.
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

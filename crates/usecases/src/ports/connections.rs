//! The sockets of this node.

use futures_util::future::BoxFuture;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::{Presence, Privacy};
use lamplight_domain::roster_feed::Mode;
use std::collections::HashMap;
use std::sync::Arc;

/// How a user is shown to a watcher.
#[derive(Clone, Debug)]
pub struct WatchedPresence {
    pub user: UserId,
    /// `None` if shown as offline.
    pub shown: Option<Arc<Presence>>,
    /// The version of this state, compared with other versions of this user only. Of a user who is
    /// shown as offline, the presence store has it: [`ConnectionRegistry::watch`] returns 0.
    pub version: u64,
    /// Whether the user looks offline because they have blocked the watcher; `version` is then the
    /// one since which they do, and `shown` is `None`.
    pub is_hidden: bool,
}

/// The place of a read of who looks offline to users among other such reads of this node. A read
/// with a later ticket began after every read with an earlier one was announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HiddenTicket(pub u64);

/// The sockets of this node.
pub trait ConnectionRegistry: Send + Sync + 'static {
    /// Assigns a socket to a user, whose events it receives from now on. `false` if the socket is not
    /// connected: it is closed, or waits for its client to reconnect.
    fn admit(&self, session: &ConnectionId, user: &UserId) -> bool;
    /// Resolves once the events of a user who was admitted reach this node, which takes a moment
    /// for a user's first socket on one of many nodes. `None` if they do already. A sync before that
    /// could miss events in between.
    fn attached(&self, user: &UserId) -> Option<BoxFuture<'static, ()>> {
        let _ = user;
        None
    }
    /// Subscribes a socket to the roster in this mode, with a fresh snapshot. `false` if the socket is
    /// not connected: the caller has to undo what it did for it.
    fn follow(&self, session: &ConnectionId, mode: Mode) -> bool;
    /// Sets the users who look offline to the sockets of a user, each since a version. Sockets that
    /// follow or watch them get the difference. Ignored if a read with a later ticket was applied to
    /// this user before.
    fn hide(&self, from: &UserId, ticket: HiddenTicket, hidden: HashMap<UserId, u64>) {
        let _ = (from, ticket, hidden);
    }
    /// A ticket for [`hide`](Self::hide); take it before the read begins.
    fn hidden_ticket(&self) -> HiddenTicket {
        HiddenTicket::default()
    }
    /// Sets a user's privacy settings, which their sockets on this node apply to what they see of
    /// others. Does nothing if a later revision is set.
    fn set_privacy(&self, user: &UserId, privacy: Privacy, revision: u64) {
        let _ = (user, privacy, revision);
    }
    /// How many changes of privacy settings have reached this node, also of users without a socket
    /// here.
    fn privacy_changes(&self) -> u64 {
        0
    }
    /// The settings that were set last; `None` for a user without a socket here.
    fn privacy_of(&self, user: &UserId) -> Privacy {
        let _ = user;
        Privacy::default()
    }
    /// Makes a socket watch these users, and returns their states as of now. `None`, and nothing is
    /// done, if it would watch more users than it may.
    fn watch(&self, session: &ConnectionId, users: &[UserId]) -> Option<Vec<WatchedPresence>>;
    fn unwatch(&self, session: &ConnectionId, users: &[UserId]);
}

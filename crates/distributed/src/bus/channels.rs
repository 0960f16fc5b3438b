//! The names of the bus' channels.

use lamplight_domain::event::{Audience, Event};
use lamplight_domain::identity::UserId;
use std::sync::Arc;

/// Events for more users go to the channel of all nodes: that many channels would cost the
/// publisher and Redis more than the nodes that have none of them.
pub(super) const MOST_USERS: usize = 16;

/// Channel names under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    /// All nodes read it.
    pub(super) all: Arc<str>,
    /// Nodes that read version 2 of the envelope subscribe to it, in one step with `all`. Nothing is
    /// published on it: the listeners determine which form publishers may write.
    pub(super) compact: Arc<str>,
    /// Summaries of what publishers announced: the republisher reads it.
    pub(super) summaries: Arc<str>,
    /// This node's messages to itself.
    pub(super) probe: Arc<str>,
    /// Begins the name of a channel that one connection of this node is subscribed to. Nothing is
    /// published on it.
    pub(super) mark: String,
    of_user: String,
}

impl Channels {
    pub(super) fn new(prefix: &str, run: u64) -> Self {
        Self {
            all: format!("{prefix}:all").into(),
            compact: format!("{prefix}:all:2").into(),
            summaries: format!("{prefix}:announced").into(),
            probe: format!("{prefix}:probe:{run:016x}").into(),
            mark: format!("{prefix}:probe:{run:016x}:"),
            of_user: format!("{prefix}:u:"),
        }
    }

    /// A node subscribes to it while it has a connection of the user.
    pub(super) fn of_user(&self, user: &UserId) -> Arc<str> {
        format!("{}{user}", self.of_user).into()
    }
}

/// The users to whose channels an event goes; `None` if it goes to the channel of all nodes.
pub(super) fn few_users(event: &Event) -> Option<&[UserId]> {
    match event.audience() {
        Audience::Users(users) if users.len() <= MOST_USERS => Some(users),
        _ => None,
    }
}

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
    /// Summaries of what publishers announced: the republisher reads it.
    pub(super) summaries: Arc<str>,
    /// What this node sends to itself.
    pub(super) probe: Arc<str>,
    of_user: String,
}

impl Channels {
    pub(super) fn new(prefix: &str, run: u64) -> Self {
        Self {
            all: format!("{prefix}:all").into(),
            summaries: format!("{prefix}:announced").into(),
            probe: format!("{prefix}:probe:{run:016x}").into(),
            of_user: format!("{prefix}:u:"),
        }
    }

    /// A node subscribes to it while it has a connection of the user.
    pub(super) fn of_user(&self, user: &UserId) -> Arc<str> {
        format!("{}{user}", self.of_user).into()
    }

    /// Calls `publish` with each channel that an event goes to.
    pub(super) fn each_of(&self, event: &Event, mut publish: impl FnMut(&str)) {
        match event.audience() {
            Audience::Users(users) if users.len() <= MOST_USERS => {
                let mut name = self.of_user.clone();
                for user in users {
                    name.truncate(self.of_user.len());
                    name.push_str(user.as_str());
                    publish(&name);
                }
            }
            _ => publish(&self.all),
        }
    }
}

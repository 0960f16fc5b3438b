//! The caller that a store works for. A store with a queue uses it to serve callers fairly: round
//! robin over networks, then over the users of a network, and short urgent work before long reads.

use crate::network::network_of;
use lamplight_domain::identity::UserId;
use std::future::Future;
use std::net::IpAddr;

/// The priority of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Small, and needed before anything else: signing in, joining, sending.
    #[default]
    First,
    /// A page, a list or a search of any size.
    Bulk,
}

/// The caller of the current task.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    pub network: Option<IpAddr>,
    pub user: Option<UserId>,
    pub urgency: Urgency,
}

impl Flow {
    #[must_use]
    pub fn from(address: Option<IpAddr>, user: Option<UserId>, urgency: Urgency) -> Self {
        Self {
            network: address.map(network_of),
            user,
            urgency,
        }
    }

    /// Runs work for this caller.
    pub fn run<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        FLOW.scope(self, work)
    }

    /// The caller of the current task, an anonymous one if there is none.
    #[must_use]
    pub fn current() -> Self {
        FLOW.try_with(Self::clone).unwrap_or_default()
    }
}

tokio::task_local! {
    static FLOW: Flow;
}

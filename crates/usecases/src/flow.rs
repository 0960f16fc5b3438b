//! For whom a store is asked. A store that has a queue serves its callers fairly by it: addresses
//! in turn, of each its users in turn, and what somebody waits for at the door before what is long.

use crate::network::network_of;
use lamplight_domain::identity::UserId;
use std::future::Future;
use std::net::IpAddr;

/// Whether a read goes before or after others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Small, and needed before anything else can be done: signing in, joining, sending.
    #[default]
    First,
    /// A page, a list, a search: as much as somebody asks for.
    Bulk,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// From which network.
    pub network: Option<IpAddr>,
    /// Who.
    pub user: Option<UserId>,
    /// How urgently.
    pub urgency: Urgency,
}

impl Flow {
    /// A flow from an address.
    #[must_use]
    pub fn from(address: Option<IpAddr>, user: Option<UserId>, urgency: Urgency) -> Self {
        Self {
            network: address.map(network_of),
            user,
            urgency,
        }
    }

    /// Does something for this flow.
    pub fn run<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        FLOW.scope(self, work)
    }

    /// The flow of what is being done now; nobody's outside of any.
    #[must_use]
    pub fn current() -> Self {
        FLOW.try_with(Self::clone).unwrap_or_default()
    }
}

tokio::task_local! {
    static FLOW: Flow;
}

//! Rate limits that count for all nodes together.

use std::net::IpAddr;
use std::time::Duration;

/// A rate limit: `count` uses in `per`, a burst of `count` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedRule {
    /// Its name, the same on every node.
    pub name: &'static str,
    pub count: u32,
    pub per: Duration,
}

/// Adds up the counts of all nodes in the background: no method waits, and each node's own limits
/// hold while the others are unreachable. So a key can be used on `n` nodes up to `n` times as
/// often as its rule allows until the nodes have exchanged their counts, which takes a fraction of
/// a second.
pub trait SharedLimits: Send + Sync + 'static {
    /// Notes uses that this node has admitted.
    fn add(&self, rule: SharedRule, key: &str, uses: u32);

    /// The wait of the key by the uses on all nodes that this node knows.
    fn wait(&self, rule: SharedRule, key: &str) -> Option<Duration>;

    /// Sets how many connections an address has on this node.
    fn set_connections(&self, address: IpAddr, count: usize);

    /// How many connections an address has on the other nodes, as far as this node knows.
    fn connections_elsewhere(&self, address: IpAddr) -> usize;
}

//! Which nodes may write sessions: each holds a lease, renewed while the node lives.

use super::next_version;
use crate::identity::NodeId;
use crate::time::{Moment, Now, Timestamp};
use std::time::Duration;

/// One incarnation of a node, as a small number that each session carries. The default belongs to
/// no lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeIndex(pub u32);

/// The right of a node to write sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLease {
    pub node: NodeId,
    /// Higher with each lease that is acquired, also by the same node: a write of an earlier
    /// incarnation is refused.
    pub incarnation: u64,
    /// When others may close what this node holds, unless it renews the lease before.
    pub expires: Moment,
}

#[derive(Clone, Debug)]
struct Held {
    index: NodeIndex,
    lease: NodeLease,
    /// When the node was last known to live.
    renewed_at: Timestamp,
}

/// A lease that ended: what its node left behind is to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLease {
    pub index: NodeIndex,
    pub lease: NodeLease,
    /// When the node was last known to live.
    pub seen: Timestamp,
}

/// The leases of the nodes that share a store. A lease ends once: by its release, by the next
/// incarnation of its node, or by the first sweep after it lapsed. Until that sweep even a lapsed
/// lease can be renewed, because no session was closed yet.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    /// Few, so that looking through all of them costs less than a table.
    held: Vec<Held>,
    next_index: u32,
    incarnation: u64,
}

impl Leases {
    /// Begins an incarnation of a node; answers with what an earlier one of it held, too.
    pub fn acquire(
        &mut self,
        now: Now,
        node: NodeId,
        duration: Duration,
    ) -> (NodeIndex, NodeLease, Option<EndedLease>) {
        let earlier = self
            .held
            .iter()
            .position(|held| held.lease.node == node)
            .map(|place| self.end(place));
        // By the clock too, so that it grows over a store that lost everything.
        self.incarnation = next_version(self.incarnation, now.wall);
        self.next_index += 1;
        let (index, lease) = (
            NodeIndex(self.next_index),
            NodeLease {
                node,
                incarnation: self.incarnation,
                expires: now.moment.plus(duration),
            },
        );
        self.held.push(Held {
            index,
            lease: lease.clone(),
            renewed_at: now.wall,
        });
        (index, lease, earlier)
    }

    /// Extends a lease; `None` if it ended.
    pub fn renew(&mut self, now: Now, index: NodeIndex, duration: Duration) -> Option<NodeLease> {
        let held = self.held.iter_mut().find(|held| held.index == index)?;
        held.lease.expires = held.lease.expires.max(now.moment.plus(duration));
        held.renewed_at = now.wall;
        Some(held.lease.clone())
    }

    /// Whether a node may write.
    #[must_use]
    pub fn is_held(&self, index: NodeIndex) -> bool {
        self.held.iter().any(|held| held.index == index)
    }

    /// Ends a lease that its node gives up.
    pub fn release(&mut self, index: NodeIndex) -> Option<EndedLease> {
        let place = self.held.iter().position(|held| held.index == index)?;
        Some(self.end(place))
    }

    /// Ends the leases that have lapsed.
    pub fn sweep(&mut self, now: Moment) -> Vec<EndedLease> {
        let lapsed = self
            .held
            .extract_if(.., |held| held.lease.expires < now)
            .map(Held::ended);
        lapsed.collect()
    }

    /// Extends every lease, because nodes could not: the clock jumped, or the store was away.
    pub fn grant_anew(&mut self, now: Now, duration: Duration) {
        for held in &mut self.held {
            held.lease.expires = held.lease.expires.max(now.moment.plus(duration));
        }
    }

    fn end(&mut self, place: usize) -> EndedLease {
        self.held.remove(place).ended()
    }
}

impl Held {
    fn ended(self) -> EndedLease {
        EndedLease {
            index: self.index,
            lease: self.lease,
            seen: self.renewed_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Now {
        Now {
            moment: Moment(seconds * 1_000),
            wall: Timestamp(1_700_000_000_000 + seconds as i64 * 1_000),
        }
    }

    fn node(id: &str) -> NodeId {
        NodeId::trusted(id)
    }

    #[test]
    fn p1_a_lease_that_lapsed_is_swept_once() {
        let mut leases = Leases::default();
        let (a, ..) = leases.acquire(at(0), node("a"), LEASE);
        let (b, ..) = leases.acquire(at(0), node("b"), LEASE);
        assert!(leases.renew(at(10), b, LEASE).is_some());
        assert_eq!(
            leases.sweep(at(15).moment),
            [],
            "a renewal at this moment wins"
        );
        let swept = leases.sweep(at(16).moment);
        assert_eq!(swept.len(), 1);
        assert_eq!((swept[0].index, swept[0].seen), (a, at(0).wall));
        assert_eq!(leases.sweep(at(17).moment), []);
        assert!(!leases.is_held(a) && leases.is_held(b));
        assert_eq!(leases.renew(at(17), a, LEASE), None);
        assert_eq!(leases.release(a), None);
    }

    #[test]
    fn p2_the_next_incarnation_ends_the_one_before() {
        let mut leases = Leases::default();
        let (first, one, earlier) = leases.acquire(at(3_600), node("a"), LEASE);
        assert_eq!(earlier, None);
        // The clock went back.
        let (second, two, earlier) = leases.acquire(at(0), node("a"), LEASE);
        assert!(two.incarnation > one.incarnation);
        assert_eq!(earlier.map(|ended| ended.index), Some(first));
        assert!(!leases.is_held(first) && leases.is_held(second));
        let mut emptied = Leases::default();
        let (_, three, _) = emptied.acquire(at(3_601), node("a"), LEASE);
        assert!(three.incarnation > two.incarnation);
    }

    #[test]
    fn p9_leases_that_could_not_be_renewed_are_granted_anew() {
        let mut leases = Leases::default();
        let (a, _, _) = leases.acquire(at(0), node("a"), LEASE);
        leases.grant_anew(at(30), LEASE);
        assert_eq!(leases.sweep(at(45).moment), []);
        let swept = leases.sweep(at(46).moment);
        assert_eq!(swept.len(), 1);
        assert_eq!(
            (swept[0].index, swept[0].seen),
            (a, at(0).wall),
            "nobody has seen the node since"
        );
    }

    #[test]
    fn c8_a_lapsed_lease_can_be_renewed_until_it_is_swept() {
        let mut leases = Leases::default();
        let (a, ..) = leases.acquire(at(0), node("a"), LEASE);
        let renewed = leases.renew(at(40), a, LEASE).expect("held");
        assert_eq!(renewed.expires, at(55).moment);
        assert_eq!(leases.sweep(at(55).moment), []);
    }
}

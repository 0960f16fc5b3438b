//! How many connections an address has.

use lamplight_usecases::network::network_of;
use lamplight_usecases::ports::SharedLimits;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Counts up to the limit divided by this are not reported to the other nodes: most addresses have
/// one or two connections.
const UNREPORTED_SHARE: usize = 8;

/// Counts connections by address and holds them to a limit. Loopback is exempt.
#[derive(Clone, Default)]
pub struct ConnectionCounts(Arc<Counts>);

#[derive(Default)]
struct Counts {
    limit: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    /// The counts of the other nodes, if there are any.
    shared: Option<Arc<dyn SharedLimits>>,
}

/// Counts one connection until dropped.
pub struct Counted {
    address: IpAddr,
    counts: Arc<Counts>,
}

impl Counts {
    /// Reports a changed count to the other nodes, if it is high enough.
    fn report(&self, address: IpAddr, before: usize, now: usize) {
        let reported = |count: usize| {
            if count > self.limit / UNREPORTED_SHARE {
                count
            } else {
                0
            }
        };
        if let Some(shared) = &self.shared
            && reported(before) != reported(now)
        {
            shared.set_connections(address, reported(now));
        }
    }
}

impl ConnectionCounts {
    /// At most `limit` for an address, 0 for no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self::shared(limit, None)
    }

    /// At most `limit` for an address on all nodes together.
    #[must_use]
    pub fn shared(limit: usize, shared: Option<Arc<dyn SharedLimits>>) -> Self {
        Self(Arc::new(Counts {
            limit,
            by_address: Mutex::default(),
            shared,
        }))
    }

    /// Counts one more: `Ok(None)` where nothing is counted, `Err` where the address has its fill.
    #[allow(clippy::result_unit_err, reason = "there is one way to fail")]
    pub fn add(&self, address: IpAddr) -> Result<Option<Counted>, ()> {
        let counts = &self.0;
        if counts.limit == 0 || address.to_canonical().is_loopback() {
            return Ok(None);
        }
        let address = network_of(address);
        let elsewhere = counts
            .shared
            .as_ref()
            .map_or(0, |shared| shared.connections_elsewhere(address));
        let mut by_address = counts.by_address.lock();
        let count = by_address.entry(address).or_default();
        if *count + elsewhere >= counts.limit {
            if *count == 0 {
                by_address.remove(&address);
            }
            return Err(());
        }
        *count += 1;
        let now = *count;
        // Report under the lock, or an older count could be reported last.
        counts.report(address, now - 1, now);
        drop(by_address);
        Ok(Some(Counted {
            address,
            counts: Arc::clone(counts),
        }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_address = self.counts.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            let now = *count;
            if now == 0 {
                by_address.remove(&self.address);
            }
            self.counts.report(self.address, now + 1, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_usecases::ports::SharedRule;
    use std::time::Duration;

    #[test]
    fn connections_of_an_address_are_limited_and_released() {
        let counts = ConnectionCounts::new(2);
        let address = "192.0.2.1".parse().unwrap();
        let one = counts.add(address);
        let two = counts.add(address);
        assert!(one.is_ok() && two.is_ok());
        assert!(counts.add(address).is_err());
        assert!(counts.add("192.0.2.2".parse().unwrap()).is_ok());
        assert!(matches!(counts.add("127.0.0.1".parse().unwrap()), Ok(None)));
        drop(one);
        assert!(counts.add(address).is_ok());
        drop(two);
        assert!(counts.0.by_address.lock().is_empty());
    }

    /// The count of another node, and the counts reported to it.
    #[derive(Default)]
    struct OtherNode {
        elsewhere: usize,
        reported: Mutex<Vec<usize>>,
    }

    impl SharedLimits for OtherNode {
        fn add(&self, _: SharedRule, _: &str, _: u32) {}

        fn wait(&self, _: SharedRule, _: &str) -> Option<Duration> {
            None
        }

        fn set_connections(&self, _: IpAddr, count: usize) {
            self.reported.lock().push(count);
        }

        fn connections_elsewhere(&self, _: IpAddr) -> usize {
            self.elsewhere
        }
    }

    #[test]
    fn connections_of_an_address_are_limited_across_nodes() {
        let other = Arc::new(OtherNode {
            elsewhere: 12,
            ..OtherNode::default()
        });
        let counts = ConnectionCounts::shared(16, Some(other.clone()));
        let address = "192.0.2.1".parse().unwrap();
        let mut here: Vec<_> = (0..4).map(|_| counts.add(address)).collect();
        assert!(here.iter().all(Result::is_ok));
        assert!(counts.add(address).is_err());
        assert_eq!(
            *other.reported.lock(),
            [3, 4],
            "counts up to an eighth of the limit are not reported"
        );
        here.truncate(1);
        assert_eq!(*other.reported.lock(), [3, 4, 3, 0]);
    }
}

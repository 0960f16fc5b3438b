//! How many connections an address has.

use lamplight_usecases::network::network_of;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Counts connections by address and holds them to a limit. Loopback is exempt.
#[derive(Clone, Default)]
pub struct ConnectionCounts {
    limit: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection, counted until this is dropped.
pub struct Counted {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl ConnectionCounts {
    /// At most `limit` for an address, 0 for no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            counts: Arc::default(),
        }
    }

    /// Counts one more: `Ok(None)` where nothing is counted, `Err` where the address has its fill.
    #[allow(clippy::result_unit_err, reason = "there is one way to fail")]
    pub fn add(&self, address: IpAddr) -> Result<Option<Counted>, ()> {
        if self.limit == 0 || address.to_canonical().is_loopback() {
            return Ok(None);
        }
        let address = network_of(address);
        let mut counts = self.counts.lock();
        let count = counts.entry(address).or_default();
        if *count >= self.limit {
            return Err(());
        }
        *count += 1;
        Ok(Some(Counted {
            address,
            counts: Arc::clone(&self.counts),
        }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_fill_and_gets_room_back() {
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
        assert!(counts.counts.lock().is_empty());
    }
}

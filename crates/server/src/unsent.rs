//! Counts the unsent bytes of HTTP answers by address.

use bytes::Bytes;
use lamplight_usecases::Refusal;
use lamplight_usecases::network::network_of;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Unsent bytes by address, with a limit: an address whose clients do not read their answers gets
/// no more of them.
#[derive(Clone, Default)]
pub struct Unsent {
    limit: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// An answer that counts until the operating system has taken its last byte.
struct Counted {
    bytes: Bytes,
    address: IpAddr,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Unsent {
    /// At most `limit` bytes for an address, 0 for no limit. Answers that are running when it is
    /// reached still go out.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Arc::default(),
        }
    }

    /// Whether an address may ask for more.
    ///
    /// # Errors
    /// `rate_limited` if too much waits.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let waits = self
            .held
            .lock()
            .get(&network_of(address))
            .copied()
            .unwrap_or(0);
        if self.limit == 0 || waits < self.limit {
            return Ok(());
        }
        Err(Refusal::rate_limited(
            "Your address has too many responses that it has not read yet.",
            Duration::from_secs(1),
        ))
    }

    /// Counts an answer to an address.
    #[must_use]
    pub fn count(&self, address: IpAddr, bytes: Bytes) -> Bytes {
        let address = network_of(address);
        *self.held.lock().entry(address).or_default() += bytes.len();
        Bytes::from_owner(Counted {
            bytes,
            address,
            held: Arc::clone(&self.held),
        })
    }

    /// The number of addresses with unsent bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.lock().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some(waits) = held.get_mut(&self.address) {
            *waits = waits.saturating_sub(self.bytes.len());
            if *waits == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h3_unsent_bytes_count_until_the_last_is_written() {
        let unsent = Unsent::new(100);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut first = unsent.count(one, Bytes::from(vec![0; 60]));
        unsent.check(one).unwrap();
        let second = unsent.count(one, Bytes::from(vec![0; 60]));
        assert!(unsent.check(one).is_err());
        unsent.check(other).unwrap();
        drop(first.split_to(59));
        assert!(unsent.check(one).is_err(), "a part of it still waits");
        drop(first);
        unsent.check(one).unwrap();
        drop(second);
        assert!(unsent.is_empty());
    }
}

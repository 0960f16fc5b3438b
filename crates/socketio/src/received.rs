//! Bytes that clients have sent and no handler has received: incomplete messages and bodies, and
//! held-back events. Counted per address.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc};

use bytes::Bytes;

use crate::{network::network_of, sync::Mutex};

/// Counting unit in bytes. Smaller amounts cost nothing: neither a small message nor an idle
/// connection takes the lock.
pub(crate) const COUNTING_UNIT: usize = 64 << 10;

/// Bytes buffered per address (an IPv6 /64 network is one address).
pub(crate) struct ReceiveBudgets {
    limit: usize,
    /// Only addresses with a count.
    held: Mutex<HashMap<IpAddr, usize>>,
}

impl ReceiveBudgets {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self {
            limit: limit.unwrap_or(usize::MAX),
            held: Mutex::default(),
        }
    }

    /// Replaces one count by another. Returns false and does nothing if the count grows beyond the
    /// limit.
    fn exchange(&self, network: IpAddr, before: usize, now: usize) -> bool {
        let mut held = self.held.lock();
        let all = held.get(&network).copied().unwrap_or(0) - before + now;
        if now > before && all > self.limit {
            return false;
        }
        if all > 0 {
            held.insert(network, all);
            return true;
        }
        held.remove(&network);
        if held.capacity() > 256 && held.len() < held.capacity() / 4 {
            let capacity = held.len() * 2;
            held.shrink_to(capacity);
        }
        true
    }
}

/// Counts the bytes that a server buffers of one connection or one request towards the limit of its
/// address, until it is dropped. See [`crate::Config::max_received_bytes_per_address`].
pub struct Received {
    budgets: Arc<ReceiveBudgets>,
    network: IpAddr,
    counted: usize,
}

impl Received {
    pub(crate) fn new(budgets: Arc<ReceiveBudgets>, address: IpAddr) -> Self {
        Self {
            budgets,
            network: network_of(address),
            counted: 0,
        }
    }

    /// Sets the number of bytes that are buffered now. Returns false if it has grown and exceeds
    /// the limit of the address: then discard the buffer; the count stays as it was until you do.
    #[must_use]
    pub fn hold(&mut self, bytes: usize) -> bool {
        let pieces = bytes - bytes % COUNTING_UNIT;
        if pieces == self.counted {
            return true;
        }
        let fits = self.budgets.exchange(self.network, self.counted, pieces);
        if fits {
            self.counted = pieces;
        }
        fits
    }

    /// Returns the bytes so that they count until they are dropped.
    pub(crate) fn keep(self, bytes: Vec<u8>) -> Bytes {
        if self.counted == 0 {
            bytes.into()
        } else {
            Bytes::from_owner(CountedBytes {
                bytes,
                _received: self,
            })
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let _ = self.hold(0);
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("network", &self.network)
            .field("counted", &self.counted)
            .finish_non_exhaustive()
    }
}

struct CountedBytes {
    bytes: Vec<u8>,
    _received: Received,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h5_buffered_bytes_count_for_their_network_until_they_are_dropped() {
        let budgets = Arc::new(ReceiveBudgets::new(Some(4 * COUNTING_UNIT)));
        let of = |address: &str| Received::new(budgets.clone(), address.parse().unwrap());
        let (mut one, mut two, mut other) = (
            of("2001:db8::1"),
            of("2001:db8::ffff"),
            of("2001:db8:0:1::1"),
        );
        assert!(
            one.hold(COUNTING_UNIT - 1) && budgets.held.lock().is_empty(),
            "a part that is small"
        );
        assert!(one.hold(3 * COUNTING_UNIT + 7));
        assert!(
            !two.hold(2 * COUNTING_UNIT) && two.hold(COUNTING_UNIT - 1),
            "nothing is done if it is too much"
        );
        assert!(
            other.hold(4 * COUNTING_UNIT),
            "another network has a budget of its own"
        );
        assert!(one.hold(2 * COUNTING_UNIT) && two.hold(2 * COUNTING_UNIT));
        assert!(!one.hold(3 * COUNTING_UNIT));
        let bytes = one.keep(vec![0; 2 * COUNTING_UNIT]);
        assert!(!two.hold(3 * COUNTING_UNIT));
        drop((bytes.slice(..1), bytes));
        assert!(two.hold(4 * COUNTING_UNIT));
        drop((two, other));
        assert!(budgets.held.lock().is_empty());
        assert!(
            Received::new(Arc::new(ReceiveBudgets::new(None)), "::1".parse().unwrap())
                .hold(usize::MAX)
        );
    }
}

//! What clients have sent and nobody has taken yet: a message or a body that is not whole, and what
//! is held back. How much of it is held for each address.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc};

use bytes::Bytes;

use crate::{admission::network_of, sync::Mutex};

/// What is counted at once. What is less costs nothing: neither a small message nor an idle
/// connection comes past the lock.
pub(crate) const PIECE: usize = 64 << 10;

/// What is held for each address; an IPv6 network (/64) counts as one.
pub(crate) struct ReceiveBudgets {
    limit: usize,
    /// Those for which there is something.
    held: Mutex<HashMap<IpAddr, usize>>,
}

impl ReceiveBudgets {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self {
            limit: limit.unwrap_or(usize::MAX),
            held: Mutex::default(),
        }
    }

    /// Takes one count in place of another. False, and nothing done, if it is more and there would
    /// be too much.
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
            let room = held.len() * 2;
            held.shrink_to(room);
        }
        true
    }
}

/// What is held of one connection, or one request: it counts for its address until this is dropped.
/// See [`crate::Config::max_received_bytes_per_address`].
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

    /// Says how much is held now, in bytes. False if that is more than before and too much for the
    /// address: then what is held must be let go, and counts as it did until it is.
    #[must_use]
    pub fn hold(&mut self, bytes: usize) -> bool {
        let pieces = bytes - bytes % PIECE;
        if pieces == self.counted {
            return true;
        }
        let fits = self.budgets.exchange(self.network, self.counted, pieces);
        if fits {
            self.counted = pieces;
        }
        fits
    }

    /// Bytes that go on counting until they are dropped.
    pub(crate) fn keep(self, bytes: Vec<u8>) -> Bytes {
        if self.counted == 0 {
            bytes.into()
        } else {
            Bytes::from_owner(Kept {
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

struct Kept {
    bytes: Vec<u8>,
    _received: Received,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h5_what_is_held_counts_for_its_network_until_it_is_let_go() {
        let budgets = Arc::new(ReceiveBudgets::new(Some(4 * PIECE)));
        let of = |address: &str| Received::new(budgets.clone(), address.parse().unwrap());
        let (mut one, mut two, mut other) = (
            of("2001:db8::1"),
            of("2001:db8::ffff"),
            of("2001:db8:0:1::1"),
        );
        assert!(
            one.hold(PIECE - 1) && budgets.held.lock().is_empty(),
            "a part that is small"
        );
        assert!(one.hold(3 * PIECE + 7));
        assert!(
            !two.hold(2 * PIECE) && two.hold(PIECE - 1),
            "nothing is done if it is too much"
        );
        assert!(
            other.hold(4 * PIECE),
            "another network has a budget of its own"
        );
        assert!(one.hold(2 * PIECE) && two.hold(2 * PIECE));
        assert!(!one.hold(3 * PIECE));
        let kept = one.keep(vec![0; 2 * PIECE]);
        assert!(!two.hold(3 * PIECE));
        drop((kept.slice(..1), kept));
        assert!(two.hold(4 * PIECE));
        drop((two, other));
        assert!(budgets.held.lock().is_empty());
        assert!(
            Received::new(Arc::new(ReceiveBudgets::new(None)), "::1".parse().unwrap())
                .hold(usize::MAX)
        );
    }
}

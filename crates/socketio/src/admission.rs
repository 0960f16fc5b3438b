//! Limits on the number of connections, in total and per address. Checked when a connection opens
//! and updated when it closes, never on the path of a message.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{Rejection, network::network_of, sync::Mutex};

/// Counts of connections.
#[derive(Default)]
pub(crate) struct Admission {
    max_handshakes: usize,
    /// Connections that are being opened, or are in no namespace yet.
    handshakes: AtomicUsize,
    addresses: Option<AddressCounts>,
}

impl Admission {
    pub(crate) fn new(max_handshakes: usize, per_address: Option<usize>) -> Self {
        Self {
            max_handshakes,
            handshakes: AtomicUsize::new(0),
            addresses: per_address.map(AddressCounts::new),
        }
    }

    /// Takes a place for a connection of this address. If too many are being opened, `displace` has
    /// to close one of them; it returns false if there is none.
    ///
    /// # Errors
    /// If a limit is reached.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        displace: impl FnOnce() -> bool,
    ) -> Result<AdmissionGuard, Rejection> {
        if self
            .addresses
            .as_ref()
            .is_some_and(|addresses| !addresses.add(address))
        {
            return Err(Rejection::TooManyFromAddress);
        }
        let increment = |count: usize| (count < self.max_handshakes).then_some(count + 1);
        if self
            .handshakes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, increment)
            .is_err()
        {
            // Clients that intend to connect join a namespace within moments. Displacing those that
            // wait longest ensures that a few addresses cannot lock out everyone else. The
            // displaced connection counts until it has closed.
            if !displace() {
                self.remove_connection(address);
                return Err(Rejection::TooManyHandshakes);
            }
            self.handshakes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(AdmissionGuard {
            admission: Some(self.clone()),
            address,
        })
    }

    /// A pending handshake has joined a namespace or closed.
    pub(crate) fn finish_handshake(&self) {
        self.handshakes.fetch_sub(1, Ordering::Relaxed);
    }

    /// A connection of this address has closed.
    pub(crate) fn remove_connection(&self, address: IpAddr) {
        if let Some(addresses) = &self.addresses {
            addresses.remove(address);
        }
    }

    #[cfg(test)]
    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }
}

/// The place of a connection that is being opened. It is released when dropped, unless a session
/// takes it over.
pub(crate) struct AdmissionGuard {
    admission: Option<Arc<Admission>>,
    address: IpAddr,
}

impl AdmissionGuard {
    /// A session takes the place over and releases it at its own end.
    pub(crate) fn transfer(mut self) {
        self.admission = None;
    }
}

impl Drop for AdmissionGuard {
    fn drop(&mut self) {
        if let Some(admission) = &self.admission {
            admission.finish_handshake();
            admission.remove_connection(self.address);
        }
    }
}

/// Number of connections per address.
pub(crate) struct AddressCounts {
    limit: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

impl AddressCounts {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            counts: Mutex::default(),
        }
    }

    /// Counts one more connection; returns false and does nothing if the address has reached its
    /// limit.
    pub(crate) fn add(&self, address: IpAddr) -> bool {
        let mut counts = self.counts.lock();
        let address = network_of(address);
        let has = counts.get(&address).copied().unwrap_or(0);
        if has < self.limit {
            counts.insert(address, has + 1);
        }
        has < self.limit
    }

    /// Counts one connection less.
    pub(crate) fn remove(&self, address: IpAddr) {
        let mut counts = self.counts.lock();
        let address = network_of(address);
        let Some(count) = counts.get_mut(&address) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            counts.remove(&address);
        }
        if counts.capacity() > 256 && counts.len() < counts.capacity() / 4 {
            let capacity = counts.len() * 2;
            counts.shrink_to(capacity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_limited_and_may_connect_again_after_a_close() {
        let addresses = AddressCounts::new(2);
        assert!(addresses.add(ip("192.0.2.1")) && addresses.add(ip("::ffff:192.0.2.1")));
        assert!(!addresses.add(ip("192.0.2.1")));
        assert!(addresses.add(ip("192.0.2.2")));
        assert!(addresses.add(ip("2001:db8::1")) && addresses.add(ip("2001:db8::ffff:1")));
        assert!(!addresses.add(ip("2001:db8::2")), "one network, one client");
        assert!(addresses.add(ip("2001:db8:0:1::1")));
        addresses.remove(ip("192.0.2.1"));
        assert!(addresses.add(ip("192.0.2.1")));
        for address in [
            "192.0.2.1",
            "192.0.2.1",
            "192.0.2.2",
            "2001:db8::3",
            "2001:db8::4",
            "2001:db8:0:1::1",
        ] {
            addresses.remove(ip(address));
        }
        assert!(addresses.counts.lock().is_empty());
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let admission = Arc::new(Admission::new(2, Some(1)));
        let take = |address: &str| admission.admit(ip(address), || false);
        let one = take("192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.1").err(), Some(Rejection::TooManyFromAddress));
        let two = take("192.0.2.2").unwrap();
        assert_eq!(take("192.0.2.3").err(), Some(Rejection::TooManyHandshakes));
        drop(one);
        assert_eq!(admission.handshakes(), 1);
        assert!(take("192.0.2.1").is_ok());
        two.transfer();
        assert_eq!(admission.handshakes(), 1, "a session counts for itself now");
        assert_eq!(take("192.0.2.2").err(), Some(Rejection::TooManyFromAddress));
        admission.finish_handshake();
        admission.remove_connection(ip("192.0.2.2"));
        assert!(take("192.0.2.2").is_ok());
    }
}

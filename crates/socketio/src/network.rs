//! Client networks, as the limits per address count them.

use std::net::{IpAddr, Ipv6Addr};

/// The network that one client controls: an IPv4 address or an IPv6 /64 (RFC 4291, section 2.5.4).
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

//! Networks: which addresses count as one.

use std::net::IpAddr;

/// The addresses that one household or machine can choose from: an IPv6 /64 counts as one address.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let mut octets = v6.octets();
                octets[8..].fill(0);
                IpAddr::V6(octets.into())
            }
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The network by which attempts to sign in are counted: a /24 of IPv4, a /64 of IPv6. A household
/// or an office has one; an attacker pays for each of many.
#[must_use]
pub fn login_network(address: IpAddr) -> IpAddr {
    match network_of(address) {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        v6 @ IpAddr::V6(_) => v6,
    }
}

/// The IPv6 /48 that a provider may give to one customer, who can rotate through its 65,536
/// networks.
#[must_use]
pub fn site_of(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = network_of(address) else {
        return None;
    };
    let mut octets = v6.octets();
    octets[6..].fill(0);
    Some(IpAddr::V6(octets.into()))
}

//! Log lines about refused clients, limited by [`throttle`].

use ::http::{HeaderMap, Uri};
use ipnet::IpNet;
use lamplight_usecases::throttle::{self, Due};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

/// Logs a refused request or socket of a page. `why` names the page and how to allow it.
pub fn foreign(what: &'static str, why: &str, address: IpAddr) {
    if let Some(Due { left_out }) = throttle::due(what, why, Some(address)) {
        tracing::info!(
            code = "LL-104",
            why,
            left_out,
            "{what} was refused because of its origin"
        );
    }
}

/// Logs that an address has reached its limit of connections.
pub fn too_many_connections(address: IpAddr) {
    if let Some(Due { left_out }) =
        throttle::due("connections", &address.to_string(), Some(address))
    {
        tracing::info!(
            %address,
            left_out,
            "an address has as many connections as LIMIT_CONNECTIONS allows, and is refused more; \
             if it is a proxy, name it in TRUSTED_PROXIES, so that its visitors do not count as one"
        );
    }
}

/// Logs that an address has reached its limit of requests.
pub fn too_many_requests(address: IpAddr) {
    if let Some(Due { left_out }) = throttle::due("requests", &address.to_string(), Some(address)) {
        tracing::info!(
            %address,
            left_out,
            "an address makes more requests than LIMIT_READS allows for it, twenty times the limit of a user; \
             if it is a proxy, name it in TRUSTED_PROXIES, so that its visitors do not count as one"
        );
    }
}

/// Logs a refused token.
pub fn token_refused(code: &'static str, error: &str, address: IpAddr) {
    if let Some(Due { left_out }) =
        throttle::due("token", &format!("{address} {code}"), Some(address))
    {
        tracing::info!(code, error, %address, left_out, "token refused");
    }
}

/// Logs a forwarded header of a proxy that is not trusted.
pub fn forwarded(headers: &HeaderMap, peer: SocketAddr, proxies: &[IpNet]) {
    static IS_LOGGED: AtomicBool = AtomicBool::new(false);
    let peer = peer.ip().to_canonical();
    if !headers.contains_key("x-forwarded-for")
        || proxies.iter().any(|network| network.contains(&peer))
    {
        return;
    }
    if !IS_LOGGED.swap(true, Ordering::Relaxed) {
        tracing::info!(
            %peer,
            "X-Forwarded-For came from an address that is not in TRUSTED_PROXIES, and is not believed; \
             if that is your proxy, set TRUSTED_PROXIES={peer}, or all its visitors count as one (said once)"
        );
    }
}

/// A client that speaks a protocol older than Engine.IO 4. It gets the error in that protocol, but
/// shows it only in its console.
pub fn old_client(uri: &Uri, address: IpAddr) {
    let Some(version) = other_version(uri) else {
        return;
    };
    if let Some(Due { left_out }) = throttle::due("old client", &address.to_string(), Some(address))
    {
        tracing::info!(
            code = "LL-110",
            %address,
            left_out,
            "a client speaks Engine.IO {version}, and this server speaks 4: update it to a Socket.IO client of version 3 or later"
        );
    }
}

/// The version of Engine.IO that a request asks for, if it is a number and another than ours.
fn other_version(uri: &Uri) -> Option<u8> {
    let version = uri
        .query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix("EIO="))?
        .parse()
        .ok()?;
    (version != 4).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_version_counts_as_another() {
        let version =
            |query: &str| other_version(&format!("/api/socketio/?{query}").parse().unwrap());
        assert_eq!(version("EIO=3&transport=polling"), Some(3));
        assert_eq!(version("transport=polling&EIO=2"), Some(2));
        for query in [
            "EIO=4&transport=polling",
            "transport=polling",
            "EIO=x",
            "EIO=",
            "",
        ] {
            assert_eq!(version(query), None, "{query}");
        }
    }
}

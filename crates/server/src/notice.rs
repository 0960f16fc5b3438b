//! What the log is told of those who come and are turned away: each once in a while, so that whoever tries over and over fills
//! no disk.

use ::http::{HeaderMap, Uri};
use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long the same is not said again.
const EVERY: Duration = Duration::from_secs(60);
/// How many things are kept in mind; past it, nothing new is said until some of them are old.
const AT_MOST: usize = 1_024;

/// What was said, and when.
struct Said<K>(Mutex<BTreeMap<K, Instant>>);

impl<K: Ord> Said<K> {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Whether this is to be said now.
    fn is_due(&self, what: K) -> bool {
        let now = Instant::now();
        let mut said = self.0.lock();
        if said.get(&what).is_some_and(|at| now.duration_since(*at) < EVERY) {
            return false;
        }
        if said.len() >= AT_MOST {
            said.retain(|_, at| now.duration_since(*at) < EVERY);
        }
        if said.len() >= AT_MOST {
            return false;
        }
        said.insert(what, now);
        true
    }
}

/// A request or a socket of a page that may not speak to us. `why` names the page and what to do.
pub fn foreign(what: &'static str, why: &str) {
    static SAID: Said<(&str, String)> = Said::new();
    if SAID.is_due((what, why.to_owned())) {
        tracing::info!(code = "LL-104", why, "{what} was refused for where it comes from");
    }
}

/// An address has all the connections that it may have.
pub fn too_many_connections(address: IpAddr) {
    static SAID: Said<IpAddr> = Said::new();
    if SAID.is_due(address) {
        tracing::info!(
            %address,
            "an address has as many connections as LIMIT_CONNECTIONS allows, and is refused more; \
             if it is a proxy, name it in TRUSTED_PROXIES, so that its visitors do not count as one"
        );
    }
}

/// A request that a proxy passed on, as it seems, whose word is not taken.
pub fn forwarded(headers: &HeaderMap, peer: SocketAddr, proxies: &[IpNet]) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    let peer = peer.ip().to_canonical();
    if !headers.contains_key("x-forwarded-for") || proxies.iter().any(|network| network.contains(&peer)) {
        return;
    }
    if !IS_SAID.swap(true, Ordering::Relaxed) {
        tracing::info!(
            %peer,
            "X-Forwarded-For came from an address that is not in TRUSTED_PROXIES, and is not believed; \
             if that is your proxy, set TRUSTED_PROXIES={peer}, or all its visitors count as one (said once)"
        );
    }
}

/// A client that speaks a protocol from before Engine.IO 4, which is told so in that protocol's own words, as an error in a console
/// that nobody reads.
pub fn old_client(uri: &Uri, address: IpAddr) {
    static SAID: Said<IpAddr> = Said::new();
    let Some(version) = other_version(uri) else { return };
    if SAID.is_due(address) {
        tracing::info!(
            code = "LL-110",
            %address,
            "a client speaks Engine.IO {version}, and this server speaks 4: update it to a Socket.IO client of version 3 or later"
        );
    }
}

/// The version of Engine.IO that a request asks for, if it is a number and another than ours.
fn other_version(uri: &Uri) -> Option<u8> {
    let version = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("EIO="))?.parse().ok()?;
    (version != 4).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_once_in_a_while_and_what_is_kept_is_bounded() {
        let said = Said::new();
        assert!(said.is_due(0) && !said.is_due(0) && said.is_due(1));
        tokio::time::advance(EVERY).await;
        assert!(said.is_due(0) && !said.is_due(0));
        for number in 0..5_000 {
            said.is_due(number);
        }
        assert!(said.0.lock().len() <= AT_MOST && !said.is_due(9_999));
        tokio::time::advance(EVERY).await;
        assert!(said.is_due(9_999));
        assert_eq!(said.0.lock().len(), 1);
    }

    #[test]
    fn a_version_is_other_only_if_it_is_one() {
        let version = |query: &str| other_version(&format!("/api/socketio/?{query}").parse().unwrap());
        assert_eq!(version("EIO=3&transport=polling"), Some(3));
        assert_eq!(version("transport=polling&EIO=2"), Some(2));
        for query in ["EIO=4&transport=polling", "transport=polling", "EIO=x", "EIO=", ""] {
            assert_eq!(version(query), None, "{query}");
        }
    }
}

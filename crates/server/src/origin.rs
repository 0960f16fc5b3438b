//! Which origins may use this server, and which proxies may report a client's address.

use ::http::header::{HOST, ORIGIN};
use ::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// This server's own pages, an allowed origin, or no browser.
    Trusted,
    /// A browser, for another site, without an `Origin`: a link or an image. Cookies are ignored.
    CrossSite,
    /// A page of an origin that is not allowed.
    Foreign,
}

/// The rules for origins.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Origins allowed by name, as `scheme://host[:port]` in lower case.
    pub allowed: Vec<String>,
    /// Pages served from this machine are allowed on any port: for `AUTH=open`.
    pub allow_loopback: bool,
    /// The server's own origin counts only if it is a loopback name. For `AUTH=open` on loopback,
    /// where a page could otherwise use the server by pointing its own name at 127.0.0.1 (DNS
    /// rebinding).
    pub own_must_be_loopback: bool,
}

impl Origins {
    #[must_use]
    pub fn judge(&self, headers: &HeaderMap) -> Provenance {
        if self.own_must_be_loopback && !self.names_loopback_or_allowed_host(headers) {
            // A browser sends no `Origin` with same-origin reads, so the host name is checked too.
            return Provenance::Foreign;
        }
        let Some(origin) = headers.get(ORIGIN) else {
            let cross = headers
                .get("sec-fetch-site")
                .is_some_and(|state| state == "cross-site");
            return if cross {
                Provenance::CrossSite
            } else {
                Provenance::Trusted
            };
        };
        match origin.to_str() {
            Ok(origin) if self.allows(origin, headers) => Provenance::Trusted,
            _ => Provenance::Foreign,
        }
    }

    /// The explanation for a refused request.
    #[must_use]
    pub fn explain(&self, headers: &HeaderMap) -> String {
        let shown = |name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(|value: &str| value.chars().take(200).collect::<String>())
        };
        match (shown(ORIGIN), shown(HOST)) {
            (None, Some(host)) if self.own_must_be_loopback && !self.names_loopback_or_allowed_host(headers) => {
                format!(
                    "With AUTH=open this server answers to the names of its own machine, not to {host}. (LL-104: add http://{host} to ALLOWED_ORIGINS.)"
                )
            }
            (Some(origin), _) if origin == "null" => {
                "Pages without an origin of their own may not speak to this server: a browser says `null` for a \
                 sandboxed frame or a page opened from a file. (LL-104: serve the page over http or https, or give the frame \
                 allow-same-origin.)"
                    .to_owned()
            }
            (origin, _) => {
                let page = origin.as_deref().unwrap_or("another site").to_owned();
                format!("Pages of {page} may not speak to this server. (LL-104: add it to ALLOWED_ORIGINS.)")
            }
        }
    }

    /// Whether the request names this machine, or a host that is allowed by name.
    fn names_loopback_or_allowed_host(&self, headers: &HeaderMap) -> bool {
        names_loopback(headers) || {
            let host = headers
                .get(HOST)
                .and_then(|host| host.to_str().ok())
                .unwrap_or("")
                .to_ascii_lowercase();
            self.allowed.iter().any(|allowed| {
                allowed
                    .split_once("://")
                    .is_some_and(|(_, authority)| authority == host)
            })
        }
    }

    #[must_use]
    pub fn allows(&self, origin: &str, headers: &HeaderMap) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.allowed.contains(&origin) {
            return true;
        }
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let (host, port) = split_authority(authority);
        if self.allow_loopback && is_loopback(host) {
            return true;
        }
        let Some(own) = headers.get(HOST).and_then(|own| own.to_str().ok()) else {
            return false;
        };
        let own = own.to_ascii_lowercase();
        let (own_host, own_port) = split_authority(&own);
        // Behind a proxy that terminates TLS the server does not know its own scheme, so a missing
        // port is the default port of the origin's scheme.
        let same =
            host == own_host && port.unwrap_or(default_port) == own_port.unwrap_or(default_port);
        same && (!self.own_must_be_loopback || is_loopback(host))
    }
}

/// Whether a request's `Host` is a name of this machine. A request without a `Host` comes from no
/// browser.
#[must_use]
pub fn names_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    host.to_str()
        .is_ok_and(|host| is_loopback(split_authority(&host.to_ascii_lowercase()).0))
}

fn split_authority(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            (host, port.parse().ok())
        }
        _ => (authority, None),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The client's address: the peer's, or if the peer is a trusted proxy, the last address in
/// `X-Forwarded-For` that is no trusted proxy.
#[must_use]
pub fn client_address(headers: &HeaderMap, peer: SocketAddr, proxies: &[IpNet]) -> IpAddr {
    let trusted = |ip: &IpAddr| proxies.iter().any(|net| net.contains(ip));
    let mut address = peer.ip().to_canonical();
    if !trusted(&address) {
        return address;
    }
    // A proxy appends the address that it received the request from, so the last one is the
    // nearest.
    let mut lines: Vec<&[u8]> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    lines.reverse();
    let hops = lines
        .into_iter()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    for hop in hops.filter(|hop| !hop.is_empty()) {
        // `unknown` or no address: the address of the proxy that forwarded it counts instead.
        let Some(hop) = hop_address(hop) else { break };
        address = hop;
        if !trusted(&hop) {
            break;
        }
    }
    address
}

/// The address of one hop: `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`, with a zone or in quotes as well.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // A single colon separates a port from a host or an IPv4 address; several colons belong to
        // an IPv6 address.
        None => match text.split_once(':') {
            Some((v4, port)) if !port.contains(':') => v4,
            _ => text,
        },
    };
    let bare = bare
        .split_once('%')
        .map_or(bare, |(address, _zone)| address);
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Whether the browser used TLS, as a trusted proxy reports. Several proxies produce a list, in one
/// header or several; the first entry is the browser's.
#[must_use]
pub fn is_secure(headers: &HeaderMap, peer: SocketAddr, proxies: &[IpNet]) -> bool {
    let trusted = proxies
        .iter()
        .any(|net| net.contains(&peer.ip().to_canonical()));
    let lines = headers
        .get_all("x-forwarded-proto")
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let first = lines
        .map(<[u8]>::trim_ascii)
        .find(|proto| !proto.is_empty());
    trusted
        && first.is_some_and(|proto| {
            proto.eq_ignore_ascii_case(b"https") || proto.eq_ignore_ascii_case(b"wss")
        })
}

#[cfg(test)]
mod tests;

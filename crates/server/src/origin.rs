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
        if self.own_must_be_loopback && !self.is_called_by_its_name(headers) {
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
            (None, Some(host)) if self.own_must_be_loopback && !self.is_called_by_its_name(headers) => {
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
    fn is_called_by_its_name(&self, headers: &HeaderMap) -> bool {
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
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    ::http::HeaderName::from_static(name),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn own_and_allowed_origins_are_trusted_and_others_are_not() {
        let origins = Origins {
            allowed: vec!["https://app.example".into()],
            ..Origins::default()
        };
        let judge = |pairs: &[(&'static str, &str)]| origins.judge(&headers(pairs));
        assert_eq!(judge(&[("host", "chat.example:3000")]), Provenance::Trusted);
        assert_eq!(
            judge(&[
                ("host", "chat.example:3000"),
                ("origin", "http://chat.example:3000")
            ]),
            Provenance::Trusted
        );
        assert_eq!(
            judge(&[("host", "chat.example"), ("origin", "https://chat.example")]),
            Provenance::Trusted
        );
        assert_eq!(
            judge(&[
                ("host", "chat.example:3000"),
                ("origin", "http://chat.example:3001")
            ]),
            Provenance::Foreign
        );
        assert_eq!(
            judge(&[("host", "x"), ("origin", "https://APP.example")]),
            Provenance::Trusted
        );
        assert_eq!(
            judge(&[("host", "x"), ("origin", "https://app.example.evil")]),
            Provenance::Foreign
        );
        assert_eq!(
            judge(&[("host", "x"), ("origin", "null")]),
            Provenance::Foreign
        );
        assert_eq!(
            judge(&[("host", "x"), ("sec-fetch-site", "cross-site")]),
            Provenance::CrossSite
        );
        assert_eq!(
            judge(&[("host", "x"), ("origin", "http://localhost:5173")]),
            Provenance::Foreign
        );
    }

    #[test]
    fn whoever_is_refused_is_told_what_helps() {
        let origins = Origins::default();
        let page = origins.explain(&headers(&[
            ("host", "chat.example"),
            ("origin", "https://app.example"),
        ]));
        assert!(
            page.contains("https://app.example") && page.contains("ALLOWED_ORIGINS"),
            "{page}"
        );
        // No setting lets it in: any site can be `null`.
        let null = origins.explain(&headers(&[("host", "chat.example"), ("origin", "null")]));
        assert!(
            null.contains("sandboxed frame") && !null.contains("ALLOWED_ORIGINS"),
            "{null}"
        );
    }

    #[test]
    fn open_allows_loopback_pages_and_no_rebound_name() {
        let origins = Origins {
            allow_loopback: true,
            own_must_be_loopback: true,
            ..Origins::default()
        };
        let judge = |origin: &str, host: &str| {
            origins.judge(&headers(&[("host", host), ("origin", origin)]))
        };
        assert_eq!(
            judge("http://localhost:5173", "127.0.0.1:3000"),
            Provenance::Trusted
        );
        assert_eq!(
            judge("http://[::1]:5173", "127.0.0.1:3000"),
            Provenance::Trusted
        );
        assert_eq!(
            judge("http://evil.example:3000", "evil.example:3000"),
            Provenance::Foreign
        );
        // Reads of a page after DNS rebinding have no `Origin` header.
        let read = |host: &str| {
            origins.judge(&headers(&[
                ("host", host),
                ("sec-fetch-site", "same-origin"),
            ]))
        };
        assert_eq!(read("evil.example:3000"), Provenance::Foreign);
        assert_eq!(read("localhost:3000"), Provenance::Trusted);
        assert_eq!(read("[::1]:3000"), Provenance::Trusted);
        assert_eq!(origins.judge(&headers(&[])), Provenance::Trusted);
        let named = Origins {
            allowed: vec!["https://chat.example".into()],
            ..origins.clone()
        };
        assert_eq!(
            named.judge(&headers(&[("host", "chat.example")])),
            Provenance::Trusted
        );
    }

    #[test]
    fn a_forwarded_address_is_believed_from_a_trusted_proxy_only() {
        let forged = headers(&[("x-forwarded-for", "1.2.3.4, 5.6.7.8, 10.0.0.2")]);
        let peer = "10.0.0.1:5".parse().unwrap();
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(
            client_address(&forged, peer, &[]),
            "10.0.0.1".parse::<IpAddr>().unwrap()
        );
        assert_eq!(
            client_address(&forged, peer, &proxies),
            "5.6.7.8".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn f10_what_the_browser_spoke_is_the_first_of_what_the_proxies_heard() {
        let peer = "10.0.0.1:5".parse().unwrap();
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let secure = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-proto", line.parse().unwrap());
            }
            assert!(
                !is_secure(&headers, peer, &[]),
                "from nobody who is trusted"
            );
            is_secure(&headers, peer, &proxies)
        };
        for lines in [
            &["https"][..],
            &["https,http"],
            &["https , http"],
            &["HTTPS"],
            &["wss"],
            &["https", "http"],
            &["", " ,https"],
        ] {
            assert!(secure(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &[""],
            &["http"],
            &["http,https"],
            &["http", "https"],
            &["httpsx"],
            &["h"],
        ] {
            assert!(!secure(lines), "{lines:?}");
        }
    }

    #[test]
    fn f10_a_hop_comes_in_every_form() {
        let peer = "10.0.0.1:5".parse().unwrap();
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let from = |lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
            }
            client_address(&headers, peer, &proxies).to_string()
        };
        for (hop, address) in [
            ("5.6.7.8", "5.6.7.8"),
            ("5.6.7.8:1234", "5.6.7.8"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::1]:1234\"", "2001:db8::1"),
            ("::ffff:5.6.7.8", "5.6.7.8"),
            ("fe80::1%eth0", "fe80::1"),
            ("unknown", "10.0.0.1"),
            ("_hidden", "10.0.0.1"),
            ("1.2.3.4, 5.6.7.8, , ", "5.6.7.8"),
            ("1.2.3.4, unknown, 10.0.0.7", "10.0.0.7"),
        ] {
            assert_eq!(from(&[hop.as_bytes()]), address, "{hop}");
        }
        // Values that the client puts before it, in the same header line or in another one, are
        // ignored.
        assert_eq!(from(&[b"\xff, 5.6.7.8"]), "5.6.7.8");
        assert_eq!(from(&[b"\xff", b"5.6.7.8"]), "5.6.7.8");
        assert_eq!(from(&[b"1.2.3.4", b"5.6.7.8"]), "5.6.7.8");
    }
}

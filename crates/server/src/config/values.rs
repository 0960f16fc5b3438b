//! Parses the texts of settings. An error is a description of the expected form.

use super::types::JwkSource;
use ipnet::IpNet;
use lamplight_usecases::Identity;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// A value, or a description of the expected form.
type Read<T> = Result<T, String>;

pub(super) fn address(text: &str) -> Read<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port
            .parse()
            .map_err(|_| "a port from 0 to 65535 after localhost:".to_owned())?;
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| {
        "an IP address and a port, such as 127.0.0.1:3000, 0.0.0.0:3000 or [::1]:3000".to_owned()
    })
}

pub(super) fn identity(text: &str) -> Read<Identity> {
    match text {
        "local" => Ok(Identity::Local),
        "jwt" => Ok(Identity::Jwt),
        "open" => Ok(Identity::Open),
        _ => Err("local, jwt or open".to_owned()),
    }
}

pub(super) fn yes_or_no(text: &str) -> Read<bool> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// `30s`, `5m`, `1h`, `2d`, `500ms`, or plain seconds.
pub(crate) fn duration(text: &str) -> Read<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit.trim() {
        "" | "s" => 1_000,
        "ms" => 1,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    // A year is more than any of these durations means, and keeps sums far from overflow.
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis))
        .filter(|total| millis > 0 && *total <= 366 * 86_400_000)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            "a duration of at most a year, such as 30s, 5m, 1h or 500ms, or plain seconds"
                .to_owned()
        })
}

/// A duration that is not over before it began.
pub(crate) fn lasting(text: &str) -> Read<Duration> {
    duration(text).and_then(|read| {
        if read.is_zero() {
            Err("more than 0".to_owned())
        } else {
            Ok(read)
        }
    })
}

pub(super) fn number(text: &str) -> Read<u32> {
    text.replace('_', "")
        .parse()
        .map_err(|_| "a whole number from 0 to 4294967295".to_owned())
}

/// Bytes that may wait for a socket; `None` for no limit.
pub(super) fn unsent(text: &str) -> Read<Option<usize>> {
    match text.replace('_', "").parse::<usize>() {
        Ok(0) => Ok(None),
        // The roster, or a page of messages, has about 1 MB.
        Ok(bytes @ 1_000_000..=NO_LIMIT) => Ok(Some(bytes)),
        _ => Err("a number of bytes from 1000000 to 2147483647, or 0 for no limit".to_owned()),
    }
}

/// The most that a client in any language can read as a limit, for "no limit".
const NO_LIMIT: usize = i32::MAX as usize;

pub(super) fn payload(text: &str) -> Read<usize> {
    match text.replace('_', "").parse::<usize>() {
        Ok(0) => Ok(NO_LIMIT),
        Ok(bytes @ 1_024..=NO_LIMIT) => Ok(bytes),
        _ => Err("a number of bytes from 1024 to 2147483647, or 0 for no limit".to_owned()),
    }
}

pub(super) fn bytes(text: &str) -> Read<u64> {
    match text.replace('_', "").parse::<u64>() {
        Ok(bytes) if bytes <= i64::MAX as u64 => Ok(bytes),
        _ => Err("a number of bytes, or 0 for no limit".to_owned()),
    }
}

/// Types of files, and families of them.
pub(super) fn media_types(text: &str) -> Read<Vec<Arc<str>>> {
    let is_part = |part: &str| {
        part == "*"
            || !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-.+_".contains(&byte))
    };
    list(text)
        .map(|one| match one.split_once('/') {
            Some((family, name)) if is_part(family) && is_part(name) => {
                Ok(one.to_ascii_lowercase().into())
            }
            _ => Err("types such as image/png or image/*, separated by commas".to_owned()),
        })
        .collect()
}

pub(super) fn roster(text: &str) -> Read<usize> {
    match text.replace('_', "").parse::<usize>() {
        Ok(people @ 1..=1_000_000) => Ok(people),
        _ => Err("a number of people from 1 to 1000000".to_owned()),
    }
}

/// The limit of members of a group. The data written and sent for a change of members grows with
/// their number.
pub(super) fn group(text: &str) -> Read<usize> {
    match text.replace('_', "").parse::<usize>() {
        Ok(people @ 2..=10_000) => Ok(people),
        _ => Err("a number of people from 2 to 10000".to_owned()),
    }
}

/// Characters of names that stand in keys, logs and labels.
pub(super) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.:".contains(c)
}

/// A name of a prefix or a node.
pub(super) fn name(text: &str) -> Read<String> {
    if (1..=64).contains(&text.len()) && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 letters, digits and - _ . :".to_owned())
    }
}

/// The address of a node, as other nodes connect to it.
pub(super) fn host_and_port(text: &str) -> Read<String> {
    let expected = || "a host and a port, such as 10.0.0.7:3000 or [fd00::7]:3000".to_owned();
    let authority: http::uri::Authority = text.parse().map_err(|_| expected())?;
    let is_whole = !authority.host().is_empty()
        && authority.port_u16().is_some_and(|port| port != 0)
        && !text.contains('@');
    if is_whole {
        Ok(text.to_owned())
    } else {
        Err(expected())
    }
}

pub(super) fn socket_path(text: &str) -> Read<String> {
    let path = text.trim_end_matches('/');
    let is_plain = path
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/-_.~".contains(c));
    if !path.starts_with('/') || !is_plain || path.contains("//") {
        return Err(
            "a path such as /api/socketio: a slash, then letters, digits, and - _ . ~ /".to_owned(),
        );
    }
    // These are answered by Lamplight's own pages; a socket in their place would hide them.
    let own = [
        "/healthz",
        "/readyz",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/chat",
        "/api/online-users",
        "/api/privatechat",
        "/api/users",
        "/api/auth",
        "/api/account",
        "/api/avatars",
        "/api/blocks",
        "/api/files",
        "/api/push",
    ];
    if own.iter().any(|own| {
        path.strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }) {
        return Err("a path that is not one of Lamplight's own, such as /api/socketio".to_owned());
    }
    Ok(path.to_owned())
}

pub(super) fn log_filter(text: &str) -> Read<String> {
    // An unknown level would be parsed as the name of a target, and silence everything else.
    let is_level = |item: &str| item.contains('=') || item.parse::<LevelFilter>().is_ok();
    if text.parse::<Targets>().is_ok() && list(text).all(is_level) {
        return Ok(text.to_owned());
    }
    Err("error, warn, info, debug, trace or off, or a list such as info,socketio=debug".to_owned())
}

pub(super) fn sqlite_path(text: &str) -> Read<PathBuf> {
    let path = text
        .strip_prefix("sqlite:")
        .map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() && !path.contains('?') && path != ":memory:" => {
            Ok(PathBuf::from(path))
        }
        _ => Err(
            "sqlite: and the path of a file, such as sqlite:/var/lib/lamplight/lamplight.db, or \
             postgres://user:password@host/database"
                .to_owned(),
        ),
    }
}

/// A duration that is not zero.
pub(super) fn some_duration(text: &str) -> Read<Duration> {
    match duration(text)? {
        Duration::ZERO => Err("longer than 0".to_owned()),
        some => Ok(some),
    }
}

/// The contact in VAPID tokens: see RFC 8292, section 2.1.
pub(super) fn contact(text: &str) -> Read<String> {
    let expected = || "mailto: and an address of yours, or the https address of a page".to_owned();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_mail = text
        .strip_prefix("mailto:")
        .is_some_and(|mail| mail.split('@').filter(|part| !part.is_empty()).count() == 2);
    let is_page = text.starts_with("https://")
        && text
            .parse::<http::Uri>()
            .is_ok_and(|url| url.host().is_some_and(|host| !host.is_empty()));
    if is_plain && (is_mail || is_page) {
        Ok(text.to_owned())
    } else {
        Err(expected())
    }
}

/// The address of a service.
pub(super) fn web_address(text: &str) -> Read<http::Uri> {
    match text.parse::<http::Uri>() {
        Ok(url)
            if matches!(url.scheme_str(), Some("http" | "https"))
                && url.authority().is_some_and(|authority| {
                    !authority.as_str().contains('@') && !authority.host().is_empty()
                }) =>
        {
            Ok(url)
        }
        _ => Err("an http or https URL without a user name".to_owned()),
    }
}

pub(super) fn jwks(text: &str) -> Read<JwkSource> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return match text.parse::<http::Uri>() {
            Ok(url)
                if url.authority().is_some_and(|authority| {
                    !authority.as_str().contains('@') && !authority.host().is_empty()
                }) =>
            {
                Ok(JwkSource::Url(url))
            }
            _ => Err("the path of a file or an http or https URL without a user name".to_owned()),
        };
    }
    if text.contains("://") {
        return Err("the path of a file or an http or https URL".to_owned());
    }
    Ok(JwkSource::File(PathBuf::from(text)))
}

/// Whether a text could be sent as a bearer token.
pub(super) fn bearer(text: &str) -> Read<String> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(
            "letters, digits and signs of ASCII without spaces, since it travels in a header"
                .to_owned(),
        )
    }
}

pub(super) fn networks(text: &str) -> Read<Vec<IpNet>> {
    list(text)
        .map(|item| {
            item.parse::<IpNet>()
                .or_else(|_| item.parse::<IpAddr>().map(IpNet::from))
                .map(|net| net.trunc())
                .map_err(|_| format!("IP addresses or networks such as 10.0.0.0/8, separated by commas; {item:?} is neither"))
        })
        .collect()
}

pub(super) fn origins(text: &str) -> Read<Vec<String>> {
    let is_between = |c: char| c == ';' || c.is_whitespace();
    if list(text).any(|item| item.contains(is_between)) {
        let items: Vec<&str> = list(text)
            .flat_map(|item| item.split(is_between))
            .filter(|item| !item.is_empty())
            .collect();
        return Err(format!("commas between origins: {}", items.join(",")));
    }
    list(text)
        .map(|item| origin(item).map_err(|expected| format!("{expected}; got {item:?}")))
        .collect()
}

/// An origin as a browser writes it: lower case, without a port that its scheme implies.
pub(crate) fn origin(text: &str) -> Read<String> {
    if text.contains('*') {
        return Err(
            "origins one by one, such as https://app.example, since * would let every site in with its visitors' cookies".to_owned()
        );
    }
    let expected = || {
        "origins such as https://app.example or http://localhost:5173, separated by commas"
            .to_owned()
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
    let scheme = scheme.to_ascii_lowercase();
    let starts_well = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts_well
        || !scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return Err(expected());
    }
    if !rest.is_ascii() {
        return Err("a host in its ASCII form (xn--...), as browsers send it".to_owned());
    }
    if let Some((authority, _)) = rest.split_once(['/', '?', '#']) {
        return Err(format!(
            "an origin without a path, such as {scheme}://{authority}"
        ));
    }
    let rest = rest.to_ascii_lowercase();
    // A bracketed IPv6 address has colons of its own.
    let (host, port) = match rest
        .rfind(':')
        .filter(|colon| !rest[*colon..].contains(']'))
    {
        Some(colon) => (&rest[..colon], Some(&rest[colon + 1..])),
        None => (rest.as_str(), None),
    };
    let host_ok = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    };
    let port: Option<u16> = port.map(str::parse).transpose().map_err(|_| expected())?;
    if !host_ok || port == Some(0) {
        return Err(expected());
    }
    Ok(match (scheme.as_str(), port) {
        ("http", Some(80)) | ("https", Some(443)) | (_, None) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

//! The server that is asked, and what its answers show about it.

use super::finding::Finding;
use crate::config::values;
use crate::http_client::{self, Answer, Bounds, ClientError};
use http::{StatusCode, Uri};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The timeout of one request of the doctor.
pub(super) const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(5),
    bytes: 1 << 20,
};

/// Where the server is.
pub(super) struct Target {
    /// `scheme://host[:port]`, as a browser's origin of it.
    pub(super) origin: String,
    /// Somebody named it, so that something should be there.
    pub(super) is_named: bool,
    /// The path that was named with it, which means nothing here.
    pub(super) path: Option<String>,
}

impl Target {
    pub(super) fn parse(url: &str, is_named: bool) -> Result<Self, String> {
        let wrong = || format!("{url:?} is no http or https address");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) =
            (uri.scheme_str(), uri.authority())
        else {
            return Err(wrong());
        };
        if authority.as_str().contains('@') {
            return Err("the address has a user name in it".to_owned());
        }
        let origin = values::origin(&format!("{scheme}://{authority}")).map_err(|_| wrong())?;
        let path = Some(uri.path())
            .filter(|path| !matches!(*path, "" | "/"))
            .map(str::to_owned);
        Ok(Self {
            origin,
            is_named,
            path,
        })
    }

    /// A GET of a path of the server.
    pub(super) async fn get(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, ClientError> {
        http_client::get(&self.url(path)?, headers, BOUNDS).await
    }

    /// A polling session opened and closed again: one that is left would hold up a stop of the
    /// server until it times out. Answers with the opening.
    pub(super) async fn shake_hands(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, ClientError> {
        let path = format!("{path}?EIO=4&transport=polling");
        let answer = self.get(&path, headers).await?;
        if let Some(session) = session(&answer.body) {
            let url = self.url(&format!("{path}&sid={session}"))?;
            // `1` is a close packet of Engine.IO. Its result does not matter.
            let _ = http_client::post(&url, headers, "1", BOUNDS).await;
        }
        Ok(answer)
    }

    pub(super) fn url(&self, path: &str) -> Result<Uri, ClientError> {
        format!("{}{path}", self.origin)
            .parse()
            .map_err(|_| ClientError::Other(format!("{}{path} is no address", self.origin)))
    }
}

/// Whether this is how Lamplight answers to `/healthz`.
pub(super) fn is_lamplight(answer: &Answer) -> bool {
    let says_so = serde_json::from_slice::<serde_json::Value>(&answer.body)
        .is_ok_and(|body| body["success"] == true && body["status"] == "ok");
    answer.status == StatusCode::OK && says_so
}

/// Whether Next.js answered: it moves every path with a slash at its end by 308, and names itself.
pub(super) fn is_next(answer: &Answer) -> bool {
    answer.status == StatusCode::PERMANENT_REDIRECT
        || answer
            .header("x-powered-by")
            .is_some_and(|by| by.contains("Next.js"))
        || answer
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("x-nextjs-"))
        || answer.text().contains("/_next/")
}

pub(super) fn next(check: &'static str, url: &str, answer: &Answer) -> Finding {
    Finding::fail(
        check,
        "LL-105",
        &format!("{url} is served by Next.js ({})", answer.status),
        "Lamplight's own answer: Next.js passes it on, WebSocket included, where a rewrite covers this path",
        "Add a rewrite of this path to Lamplight in next.config, or point the client at Lamplight's own address.",
    )
}

/// The id of the session that an opening packet opens.
pub(super) fn session(packet: &[u8]) -> Option<String> {
    let opening: serde_json::Value = serde_json::from_slice(packet.strip_prefix(b"0")?).ok()?;
    opening["sid"].as_str().map(str::to_owned)
}

/// Where a server that listens there is reached from this machine.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

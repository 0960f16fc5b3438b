//! The line to a running server: a handshake over polling, and a WebSocket, with and without the
//! slash at the end.

use super::finding::{Finding, Report};
use super::target::{BOUNDS, Target, is_next, next, session};
use crate::http_client::Answer;
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;

/// The key and its answer from RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The configuration that an nginx in front of the server needs.
const NGINX: &str = "In nginx, add to the location that leads to Lamplight:\n  proxy_http_version 1.1;\n  proxy_set_header Upgrade $http_upgrade;\n  proxy_set_header Connection \"upgrade\";";

/// Whether polling works, the least that a client needs. Lamplight's own client asks without a
/// slash at the path's end; socket.io-client sends one by default.
pub(super) async fn check(target: &Target, socket_path: &str, report: &mut Report) -> bool {
    let slashed = format!("{socket_path}/");
    if let Some(trouble) = polling(target, socket_path).await {
        report.add(trouble);
        return false;
    }
    match polling(target, &slashed).await {
        None => report.add(Finding::good(
            "polling",
            &format!("a handshake works at {socket_path}, with and without a slash at its end"),
        )),
        // A framework's redirect: the path without the slash goes through.
        Some(trouble) if trouble.code == "LL-105" => {
            report.add(redirected(&slashed, &trouble.seen));
            report.add(
                websocket(target, socket_path)
                    .await
                    .unwrap_or_else(|| Finding::good("websocket", "opens (101)")),
            );
            return true;
        }
        Some(trouble) => {
            report.add(trouble);
            return false;
        }
    }
    for path in [socket_path, &slashed] {
        if let Some(trouble) = websocket(target, path).await {
            report.add(trouble);
            return true;
        }
    }
    report.add(Finding::good(
        "websocket",
        "opens (101), with and without a slash at the path's end",
    ));
    true
}

fn redirected(slashed: &str, seen: &str) -> Finding {
    Finding::warn(
        "polling",
        "LL-105",
        &format!("a handshake works, but not with a slash at the path's end: {seen}"),
        &format!("the same answer at {slashed}"),
        "Nothing is needed for Lamplight's own client. Give socket.io-client `addTrailingSlash: false`, or set `skipTrailingSlashRedirect: true` in next.config.",
    )
}

async fn polling(target: &Target, path: &str) -> Option<Finding> {
    let url = format!("{}{path}", target.origin);
    let answer = match target.shake_hands(path, &[]).await {
        Ok(answer) => answer,
        Err(trouble) => {
            return Some(Finding::fail(
                "polling",
                "",
                &format!("{url}: {trouble}"),
                "an opening packet",
                "Look at the proxy's log.",
            ));
        }
    };
    if answer.status == StatusCode::OK && is_opening(&answer.body) {
        return None;
    }
    if is_next(&answer) {
        return Some(next("polling", &url, &answer));
    }
    let fix = match answer.status {
        StatusCode::NOT_FOUND => "Let SOCKET_PATH and the client's path be the same, and let the proxy pass it on unchanged.".to_owned(),
        StatusCode::FORBIDDEN => "Something between here and the server refuses the request; look at the proxy's rules.".to_owned(),
        StatusCode::TOO_MANY_REQUESTS => {
            "Wait a moment. Behind a proxy, set TRUSTED_PROXIES to its address, so that its visitors do not count as one.".to_owned()
        }
        status if status.is_redirection() => {
            format!("Give the client the address that this leads to: {}", answer.header("location").unwrap_or("none is named"))
        }
        _ => "Let the proxy pass this path on to Lamplight.".to_owned(),
    };
    let body: String = answer.text().chars().take(80).collect();
    let expected = "200 and an Engine.IO opening packet, 0{\"sid\":...}";
    Some(Finding::fail(
        "polling",
        "",
        &format!("{url} answers {} {body:?}", answer.status),
        expected,
        &fix,
    ))
}

async fn websocket(target: &Target, path: &str) -> Option<Finding> {
    let url = format!("{}{path}", target.origin);
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    let stripped = |seen: &str| {
        Some(Finding::fail(
            "websocket",
            "LL-102",
            seen,
            "101 Switching Protocols, then Engine.IO's opening packet",
            NGINX,
        ))
    };
    let answer = match target
        .get(&format!("{path}?EIO=4&transport=websocket"), &headers)
        .await
    {
        Ok(answer) => answer,
        Err(trouble) => return stripped(&format!("{url}: {trouble}")),
    };
    if is_next(&answer) {
        return Some(next("websocket", &url, &answer));
    }
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        return stripped(&format!(
            "{url} answers the upgrade with {}: the proxy strips it",
            answer.status
        ));
    }
    if answer.header("sec-websocket-accept") != Some(ACCEPT) {
        return stripped(&format!(
            "{url} answers 101 without the right Sec-WebSocket-Accept"
        ));
    }
    match tokio::time::timeout(BOUNDS.time, first_frame(answer)).await {
        Ok(Some(payload)) if is_opening(&payload) => None,
        Ok(_) => stripped(&format!(
            "{url} answers 101, and then the link is cut or something else comes"
        )),
        Err(_) => stripped(&format!("{url} answers 101, and then nothing comes")),
    }
}

/// The payload of the first frame, if it is a short text.
async fn first_frame(answer: Answer) -> Option<Vec<u8>> {
    let mut stream = TokioIo::new(answer.upgraded?);
    let (kind, length) = (stream.read_u8().await.ok()?, stream.read_u8().await.ok()?);
    let length = match length {
        length @ 0..=125 => usize::from(length),
        126 => usize::from(stream.read_u16().await.ok()?),
        // A frame from a server is never masked, and an opening packet never that long.
        _ => return None,
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    (kind == 0x81).then_some(payload)
}

fn is_opening(packet: &[u8]) -> bool {
    session(packet).is_some()
}

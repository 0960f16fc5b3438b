//! Checks of a running server from outside, through its proxies.

use super::finding::{Finding, Report};
use super::target::{Target, is_lamplight, is_next, next};
use super::{line, machine};
use crate::config::values;
use crate::http_client::ClientError;
use http::StatusCode;
use lamplight_domain::time::Timestamp;

/// The server behind the address, as `/healthz` reports it.
enum Health {
    Lamplight,
    /// Something else, which may pass on other paths all the same.
    Else(Finding),
}

/// Whether Lamplight answers there.
pub(super) async fn check(
    target: &Target,
    socket_path: &str,
    allowed: &[String],
    origins: &[String],
    now: Timestamp,
    report: &mut Report,
) -> bool {
    if let Some(path) = &target.path {
        let seen = format!(
            "the path {path} is left aside: what is asked is asked of {}",
            target.origin
        );
        report.add(Finding::note("server", &seen));
    }
    let Some(health) = health(target, now, report).await else {
        return false;
    };
    let api = api(target).await;
    let mut line = Report::default();
    let is_line_up = line::check(target, socket_path, &mut line).await;
    // Report a cause of several problems once.
    match (health, api) {
        (Health::Else(what), Some(_)) if !is_line_up => {
            report.add(what);
            return false;
        }
        (Health::Else(_), Some(trouble)) => report.add(trouble),
        (Health::Else(_), None) => report.add(Finding::note(
            "server",
            "Lamplight answers, but not to /healthz, which is not passed on",
        )),
        (Health::Lamplight, trouble) => {
            report.add(Finding::good(
                "server",
                &format!("Lamplight answers at {}", target.origin),
            ));
            ready(target, report).await;
            report.findings.extend(trouble);
        }
    }
    report.findings.append(&mut line.findings);
    if !is_line_up {
        return true;
    }
    if origins.is_empty() {
        report.add(Finding::note(
            "origin",
            "not looked at; name your pages' origin with --origin https://app.example",
        ));
    }
    for origin in origins {
        report.add(check_origin(target, socket_path, allowed, origin).await);
    }
    true
}

/// The health of the server; `None` if further checks make no sense, which was reported.
async fn health(target: &Target, now: Timestamp, report: &mut Report) -> Option<Health> {
    let url = format!("{}/healthz", target.origin);
    let answer = match target.get("/healthz", &[]).await {
        Ok(answer) => answer,
        Err(ClientError::Refused(why)) if !target.is_named => {
            report.add(Finding::note(
                "server",
                &format!("none is running ({why}), so its checks are skipped"),
            ));
            return None;
        }
        Err(trouble) => {
            let fix = match &trouble {
                ClientError::Refused(_) => {
                    "Start it with `lamplight serve`, or check LISTEN for its address."
                }
                ClientError::Tls(_) => {
                    "Give the host the certificate of that name, with its chain; SSL_CERT_FILE names a company's own authority."
                }
                ClientError::Other(_) => {
                    "Check the host name and the firewall; the server listens beyond this machine only if LISTEN says so."
                }
            };
            report.add(Finding::fail(
                "server",
                "",
                &format!("{url}: {trouble}"),
                "an answer",
                fix,
            ));
            return None;
        }
    };
    if let Some(date) = answer.header("date") {
        machine::compare_clocks(date, &target.origin, now, report);
    }
    if is_lamplight(&answer) {
        return Some(Health::Lamplight);
    }
    if is_next(&answer) {
        return Some(Health::Else(next("server", &url, &answer)));
    }
    if answer.status.is_redirection() {
        let to = answer.header("location").unwrap_or("nowhere");
        report.add(Finding::fail(
            "server",
            "",
            &format!("{url} leads to {to}"),
            "an answer there and then",
            "Give --url, and the client, the address that this leads to.",
        ));
        return None;
    }
    let body: String = answer.text().chars().take(80).collect();
    Some(Health::Else(Finding::fail(
        "server",
        "",
        &format!(
            "{url} answers {} {body:?}, and nothing there answers as Lamplight does",
            answer.status
        ),
        "Lamplight's answers, at /healthz, at /api and at the socket's path",
        "Let the proxy pass every path on to Lamplight unchanged, or look whether this is its address.",
    )))
}

/// Whether HTTP passes, not only the socket: pages read their conversations by it.
async fn api(target: &Target) -> Option<Finding> {
    let path = "/api/online-users?countOnly=true";
    let seen = match target.get(path, &[]).await {
        // A refusal of Lamplight's, such as 401, is an answer of Lamplight's.
        Ok(answer)
            if serde_json::from_slice::<serde_json::Value>(&answer.body)
                .is_ok_and(|body| body["success"].is_boolean()) =>
        {
            return None;
        }
        Ok(answer) => format!(
            "{}/api/online-users answers {}, and not as Lamplight does",
            target.origin, answer.status
        ),
        Err(trouble) => format!("{}/api/online-users: {trouble}", target.origin),
    };
    let expected =
        "an answer of Lamplight: pages read the roster, conversations and messages under /api";
    Some(Finding::fail(
        "api",
        "",
        &seen,
        expected,
        "Let the proxy pass on all of /api to Lamplight, not the socket's path alone.",
    ))
}

async fn ready(target: &Target, report: &mut Report) {
    let Ok(answer) = target.get("/readyz", &[]).await else {
        return;
    };
    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
        let fix = "Read the server's log: it has the cause (a database that does not answer, a disk that is full).";
        report.add(Finding::fail(
            "server",
            "",
            "it runs and is not ready (503)",
            "200 from /readyz",
            fix,
        ));
    }
}

async fn check_origin(
    target: &Target,
    socket_path: &str,
    allowed: &[String],
    origin: &str,
) -> Finding {
    let origin = match values::origin(origin) {
        Ok(origin) => origin,
        Err(expected) => {
            return Finding::fail(
                "origin",
                "",
                &format!("{origin:?} is no origin"),
                &expected,
                "Give it as the browser's address bar begins.",
            );
        }
    };
    let answer = match target
        .shake_hands(&format!("{socket_path}/"), &[("origin", &origin)])
        .await
    {
        Ok(answer) => answer,
        Err(trouble) => {
            return Finding::fail(
                "origin",
                "",
                &trouble.to_string(),
                "an answer",
                "Try again.",
            );
        }
    };
    let readable = answer.header("access-control-allow-origin");
    let may_read =
        origin == target.origin || readable == Some(origin.as_str()) || readable == Some("*");
    if answer.status == StatusCode::OK && may_read {
        return Finding::good("origin", &format!("pages of {origin} may connect"));
    }
    let seen = match (answer.status, readable) {
        (StatusCode::OK, None) => {
            format!("a page of {origin} gets an answer that its browser does not let it read")
        }
        (StatusCode::OK, Some(other)) => {
            format!("the answer to a page of {origin} is for {other} to read")
        }
        (status, _) => format!("a page of {origin} is refused ({status})"),
    };
    let mut origins = allowed.to_vec();
    origins.push(origin.clone());
    let expected = format!("200 and Access-Control-Allow-Origin: {origin}");
    Finding::fail(
        "origin",
        "LL-104",
        &seen,
        &expected,
        &format!("Set ALLOWED_ORIGINS={}", origins.join(",")),
    )
}

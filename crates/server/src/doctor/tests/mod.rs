mod proxies;
mod stores;

use super::*;
use crate::http_client::mock_server::{MockServer, reply};
use std::path::Path;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const OPENING: &str = r#"0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const HEALTHY: &str = r#"{"success":true,"status":"ok"}"#;

/// A date header at [`NOW`], so that the clocks agree.
fn now_header() -> String {
    format!(
        "date: {}\r\n",
        httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_millis(NOW.0 as u64))
    )
}

/// The answers of a working server.
fn lamplight(head: &str) -> Vec<u8> {
    let path = head.split(' ').nth(1).unwrap();
    let origin = head.lines().find_map(|line| line.strip_prefix("origin: "));
    match path.split('?').next().unwrap() {
        "/healthz" => reply("200 OK", &now_header(), HEALTHY).into(),
        "/readyz" => reply("200 OK", "", r#"{"success":true,"status":"ready"}"#).into(),
        "/api/online-users" => reply(
            "401 Unauthorized",
            "",
            r#"{"success":false,"error":"","code":"unauthenticated"}"#,
        )
        .into(),
        "/api/socketio" | "/api/socketio/" if path.contains("transport=websocket") => {
            let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            let mut answer = head.as_bytes().to_vec();
            answer.extend([0x81, u8::try_from(OPENING.len()).unwrap()]);
            answer.extend(OPENING.as_bytes());
            answer
        }
        "/api/socketio" | "/api/socketio/" => match origin {
            None => reply("200 OK", "", OPENING).into(),
            Some("https://app.example") => reply(
                "200 OK",
                "access-control-allow-origin: https://app.example\r\n",
                OPENING,
            )
            .into(),
            Some(_) => reply("403 Forbidden", "", "").into(),
        },
        _ => reply("404 Not Found", "", "").into(),
    }
}

struct World {
    directory: tempfile::TempDir,
    origins: Vec<String>,
    settings: Vec<(&'static str, String)>,
}

impl World {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            origins: Vec::new(),
            settings: Vec::new(),
        }
    }

    fn origin(mut self, origin: &str) -> Self {
        self.origins.push(origin.to_owned());
        self
    }

    fn set(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((key, value.into()));
        self
    }

    async fn examine(&self, url: Option<String>) -> Report {
        self.examine_with(&self.directory.path().join("data"), url)
            .await
    }

    async fn examine_with(&self, data: &Path, url: Option<String>) -> Report {
        let config = Ok(Config::for_tests(data, self.settings.clone()));
        let options = Options {
            url,
            origin: self.origins.clone(),
            json: false,
            settings: Flags::default(),
        };
        examine(&options, &config, NOW).await
    }

    async fn against(&self, server: &MockServer) -> Report {
        self.examine(Some(server.url(""))).await
    }
}

/// The findings that failed: the code and the observation.
fn failures(report: &Report) -> Vec<(&'static str, &str)> {
    report
        .findings
        .iter()
        .filter(|finding| finding.level == Level::Fail)
        .map(|finding| (finding.code, finding.seen.as_str()))
        .collect()
}

fn finding<'a>(report: &'a Report, check: &str) -> &'a Finding {
    report
        .findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap()
}

#[tokio::test]
async fn without_a_server_only_the_machine_is_checked() {
    let gone = MockServer::start(lamplight).await.port;
    let world = World::new().set("listen", format!("127.0.0.1:{gone}"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let report = world.examine(None).await;
    assert_eq!(failures(&report), []);
    let server = finding(&report, "server");
    assert!(
        server.level == Level::Note && server.seen.contains("none is running"),
        "{}",
        report.text()
    );
    assert!(finding(&report, "port").seen.contains("is free"));
    assert!(
        finding(&report, "database")
            .seen
            .contains("SQLite and its journal work")
    );
    assert_eq!(
        std::fs::read_dir(world.directory.path()).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
    assert!(
        finding(&World::new().examine(None).await, "server")
            .seen
            .contains("leaves the port to the system")
    );
}

#[tokio::test]
async fn a_server_that_works_passes() {
    let server = MockServer::start(lamplight).await;
    let report = World::new()
        .origin("https://app.example")
        .against(&server)
        .await;
    assert!(report.is_healthy(), "{}", report.text());
    for check in ["server", "polling", "websocket", "origin"] {
        assert_eq!(finding(&report, check).level, Level::Ok, "{check}");
    }
    let report = World::new()
        .origin(&server.url("").to_uppercase())
        .against(&server)
        .await;
    assert_eq!(
        failures(&report)[0].0,
        "LL-104",
        "this one refuses even its own pages"
    );
}

#[tokio::test]
async fn an_unreachable_server_that_was_named_is_a_failure() {
    let server = MockServer::start(lamplight).await;
    let url = server.url("");
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let report = World::new().examine(Some(url)).await;
    assert!(
        failures(&report)[0]
            .1
            .contains("nothing listens on 127.0.0.1:"),
        "{}",
        report.text()
    );
    let report = World::new().examine(Some("chat.example".to_owned())).await;
    assert!(
        failures(&report)[0].1.contains("no http or https address"),
        "{}",
        report.text()
    );
}

#[tokio::test]
async fn one_fault_gives_one_advice() {
    // No file can be created in /proc, not even by root.
    let report = World::new()
        .examine_with(Path::new("/proc/lamplight"), None)
        .await;
    assert_eq!(failures(&report).len(), 1, "{}", report.text());
    assert!(
        finding(&report, "data").fix.contains("chown"),
        "{}",
        report.text()
    );
    assert_eq!(finding(&report, "database").level, Level::Note);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "a file").unwrap();
    for data in [file.clone(), file.join("below")] {
        let report = World::new().examine_with(&data, None).await;
        assert_eq!(failures(&report).len(), 1, "{}", report.text());
        assert!(
            failures(&report)[0].1.contains("is not a directory"),
            "{}",
            report.text()
        );
    }
    let full = machine::judge_write(&std::io::ErrorKind::StorageFull.into(), Path::new("/data"));
    assert!(full.fix.starts_with("Free some space") && full.level == Level::Fail);
    let theirs = MockServer::start(|_: &str| reply("200 OK", "", "hello")).await;
    let report = World::new()
        .set("listen", format!("127.0.0.1:{}", theirs.port))
        .examine(None)
        .await;
    assert_eq!(failures(&report).len(), 1, "{}", report.text());
    let report = World::new()
        .set("listen", "192.0.2.1:3000")
        .examine(None)
        .await;
    assert_eq!(failures(&report).len(), 1, "{}", report.text());
}

#[test]
fn warnings_are_counted_as_warnings() {
    let says = |fails: usize, warnings: usize| {
        let mut report = Report::default();
        (0..fails).for_each(|_| report.add(Finding::fail("x", "", "", "", "")));
        (0..warnings).for_each(|_| report.add(Finding::warn("x", "", "", "", "")));
        report.text().lines().last().unwrap().to_owned()
    };
    assert_eq!(says(0, 0), "Nothing is wrong.");
    assert_eq!(says(0, 1), "Nothing fails; there is 1 warning.");
    assert_eq!(says(1, 2), "One thing is wrong, and there are 2 warnings.");
    assert_eq!(says(2, 0), "2 things are wrong.");
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_a_failure() {
    let server = MockServer::start(|head: &str| {
        if head.contains("/readyz") {
            reply("503 Service Unavailable", "", "{}").into()
        } else {
            lamplight(head)
        }
    })
    .await;
    assert!(
        failures(&World::new().against(&server).await)[0]
            .1
            .contains("not ready")
    );
}

#[tokio::test]
async fn the_port_may_be_in_use_by_lamplight_only() {
    let ours = MockServer::start(lamplight).await;
    let report = World::new()
        .set("listen", format!("127.0.0.1:{}", ours.port))
        .examine(None)
        .await;
    assert!(
        finding(&report, "port")
            .seen
            .contains("served by Lamplight already"),
        "{}",
        report.text()
    );
    assert!(report.is_healthy(), "{}", report.text());
    let theirs = MockServer::start(|_: &str| reply("200 OK", "", "hello")).await;
    let report = World::new()
        .set("listen", format!("127.0.0.1:{}", theirs.port))
        .examine(None)
        .await;
    assert!(
        failures(&report)[0].1.contains("taken by another program"),
        "{}",
        report.text()
    );
    let report = World::new()
        .set("listen", "192.0.2.1:3000")
        .examine(None)
        .await;
    assert!(
        finding(&report, "port").fix.contains("127.0.0.1"),
        "{}",
        report.text()
    );
}

#[tokio::test]
async fn unreachable_keys_and_differing_clocks_are_reported() {
    let jwt = |url: String| {
        World::new()
            .set("auth", "jwt")
            .set("jwt-audience", "a")
            .set("jwt-jwks", url)
    };
    let down = MockServer::start(|_: &str| reply("502 Bad Gateway", "", "")).await;
    let report = jwt(down.url("/jwks.json")).examine(None).await;
    assert_eq!(failures(&report)[0].0, "LL-113", "{}", report.text());
    let empty = MockServer::start(|_: &str| reply("200 OK", "", r#"{"keys":[]}"#)).await;
    assert!(
        failures(&jwt(empty.url("/")).examine(None).await)[0]
            .1
            .contains("it is empty")
    );
    let set = r#"{"keys":[{"kty":"oct","kid":"s","k":"AAAA"},{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let late = MockServer::start(move |_: &str| {
        reply("200 OK", "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", set)
    })
    .await;
    let report = jwt(late.url("/")).examine(None).await;
    assert!(
        finding(&report, "keys").seen.contains("1 usable"),
        "{}",
        report.text()
    );
    assert!(
        report.text().contains("one is ignored, s: a shared secret"),
        "{}",
        report.text()
    );
    let clocks = report
        .findings
        .iter()
        .find(|finding| finding.code == "LL-109" && finding.seen.contains("apart"));
    assert_eq!(clocks.unwrap().level, Level::Warn);
}

#[tokio::test]
async fn invalid_settings_are_findings() {
    let directory = tempfile::tempdir().unwrap();
    let flags = Flags::of([("redis-url", "http://:hunter2@cache"), ("auth", "jwt")]);
    let config = Config::read(&flags, &|_| None, directory.path());
    let options = Options {
        url: None,
        origin: Vec::new(),
        json: true,
        settings: Flags::default(),
    };
    let report = examine(&options, &config, NOW).await;
    assert_eq!(
        failures(&report)
            .iter()
            .map(|(code, _)| *code)
            .collect::<Vec<_>>(),
        ["LL-114", ""]
    );
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["success"], false);
    assert_eq!(json["findings"][0]["level"], "fail");
    assert_eq!(json["findings"][0]["code"], "LL-114");
    assert!(!report.text().contains("hunter2"));
    assert!(
        report.text().ends_with("2 things are wrong."),
        "{}",
        report.text()
    );
}

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

/// What a Lamplight that works answers.
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

/// The findings that failed: code and what was seen.
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
async fn without_a_server_only_the_machine_is_looked_at() {
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
async fn a_server_that_was_named_and_is_not_there_is_a_failure() {
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
async fn a_proxy_that_strips_the_upgrade_is_given_its_three_lines() {
    let server = MockServer::start(|head: &str| {
        if head.contains("transport=websocket") {
            reply("200 OK", "", OPENING).into()
        } else {
            lamplight(head)
        }
    })
    .await;
    let report = World::new().against(&server).await;
    let failures = failures(&report);
    assert_eq!(
        failures.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        ["LL-102"],
        "one fault, one advice"
    );
    assert!(failures[0].1.contains("answers the upgrade with 200 OK"));
    let fix = &report
        .findings
        .iter()
        .find(|finding| finding.code == "LL-102")
        .unwrap()
        .fix;
    for line in [
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection \"upgrade\";",
    ] {
        assert!(fix.contains(line));
    }
}

#[tokio::test]
async fn a_link_that_opens_and_says_nothing_is_no_link() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ";
    for (accept, seen) in [
        ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the link is cut"),
        ("wrong", "without the right Sec-WebSocket-Accept"),
    ] {
        let answer = format!("{head}{accept}\r\n\r\n");
        let server = MockServer::start(move |head: &str| {
            if head.contains("transport=websocket") {
                answer.clone().into()
            } else {
                lamplight(head)
            }
        })
        .await;
        let report = World::new().against(&server).await;
        assert!(failures(&report)[0].1.contains(seen), "{}", report.text());
    }
}

#[tokio::test]
async fn next_js_is_recognised_by_its_redirect_and_by_its_name() {
    let moved = MockServer::start(|head: &str| {
        let path = head.split(' ').nth(1).unwrap();
        if path.contains("/?") {
            reply("308 Permanent Redirect", "location: /api/socketio\r\n", "").into()
        } else {
            lamplight(head)
        }
    })
    .await;
    let report = World::new().against(&moved).await;
    assert_eq!(
        failures(&report),
        [],
        "F27: the path without the slash goes through\n{}",
        report.text()
    );
    let slash = report
        .findings
        .iter()
        .find(|finding| finding.code == "LL-105")
        .unwrap();
    assert!(
        slash.fix.contains("addTrailingSlash: false"),
        "{}",
        slash.fix
    );
    assert!(report.text().contains("opens (101)"), "{}", report.text());
    let named =
        MockServer::start(|_: &str| reply("404 Not Found", "x-powered-by: Next.js\r\n", "<html>"))
            .await;
    let report = World::new().against(&named).await;
    assert!(
        failures(&report).iter().all(|(code, _)| *code == "LL-105"),
        "{}",
        report.text()
    );
}

#[tokio::test]
async fn an_origin_that_is_not_allowed_gets_the_setting_filled_in() {
    let server = MockServer::start(lamplight).await;
    let world = World::new()
        .set("allowed-origins", "https://app.example")
        .origin("https://Shop.example:443");
    let report = world.against(&server).await;
    let origin = finding(&report, "origin");
    assert_eq!(
        (origin.code, origin.fix.as_str()),
        (
            "LL-104",
            "Set ALLOWED_ORIGINS=https://app.example,https://shop.example"
        )
    );
    let report = World::new().origin("shop.example").against(&server).await;
    assert!(finding(&report, "origin").seen.contains("is no origin"));
}

#[tokio::test]
async fn what_is_not_lamplight_is_told_once_by_how_it_answers() {
    let other = MockServer::start(|_: &str| reply("200 OK", "", "hello")).await;
    let report = World::new().against(&other).await;
    assert!(
        failures(&report)[0].1.contains("answers 200 OK \"hello\""),
        "{}",
        report.text()
    );
    assert_eq!(failures(&report).len(), 1, "{}", report.text());
    let elsewhere = MockServer::start(|_: &str| {
        reply(
            "301 Moved Permanently",
            "location: https://chat.example/\r\n",
            "",
        )
    })
    .await;
    assert!(
        failures(&World::new().against(&elsewhere).await)[0]
            .1
            .contains("leads to https://chat.example/")
    );
    let garbage = MockServer::start(|_: &str| "SSH-2.0-OpenSSH\r\n".to_owned()).await;
    assert!(!World::new().against(&garbage).await.is_healthy());
}

#[tokio::test]
async fn a_proxy_that_passes_on_a_part_is_told_from_a_sound_one() {
    let only = |passed: &'static str| {
        MockServer::start(move |head: &str| {
            let path = head.split(' ').nth(1).unwrap();
            if path.starts_with(passed) {
                lamplight(head)
            } else {
                reply("404 Not Found", "", "").into()
            }
        })
    };
    let report = World::new().against(&only("/api/socketio").await).await;
    assert_eq!(failures(&report).len(), 1, "{}", report.text());
    assert!(
        finding(&report, "api").fix.contains("all of /api"),
        "{}",
        report.text()
    );
    assert_eq!(finding(&report, "websocket").level, Level::Ok);
    let report = World::new().against(&only("/api/").await).await;
    assert!(report.is_healthy(), "{}", report.text());
    let report = World::new()
        .set("socket-path", "/elsewhere")
        .against(&MockServer::start(lamplight).await)
        .await;
    assert_eq!(failures(&report).len(), 1, "{}", report.text());
    assert!(finding(&report, "polling").fix.contains("SOCKET_PATH"));
}

#[tokio::test]
async fn every_session_that_is_opened_is_closed() {
    let asked = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let heard = std::sync::Arc::clone(&asked);
    let server = MockServer::start(move |head: &str| {
        heard.lock().push(head.lines().next().unwrap().to_owned());
        lamplight(head)
    })
    .await;
    World::new()
        .origin("https://app.example")
        .against(&server)
        .await;
    let asked = asked.lock();
    let count = |start: &str, part: &str| {
        asked
            .iter()
            .filter(|line| line.starts_with(start) && line.contains(part))
            .count()
    };
    assert_eq!(count("GET", "transport=polling"), 3, "{asked:?}");
    assert_eq!(
        count("POST", "EIO=4&transport=polling&sid=x "),
        3,
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_path_that_is_named_with_the_server_is_not_left_aside_silently() {
    let server = MockServer::start(lamplight).await;
    let report = World::new().examine(Some(server.url("/chat"))).await;
    assert!(
        report.is_healthy() && report.text().contains("the path /chat is left aside"),
        "{}",
        report.text()
    );
    assert!(
        !World::new()
            .examine(Some(server.url("/")))
            .await
            .text()
            .contains("left aside")
    );
}

#[tokio::test]
async fn a_database_in_use_is_a_failure_unless_its_server_answers() {
    let world = World::new();
    let data = world.directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let lock = std::fs::File::create(data.join("lamplight.db.lock")).unwrap();
    assert!(
        !world.examine(None).await.text().contains("in use"),
        "a lock that nobody holds is left from an earlier run"
    );
    lock.try_lock().unwrap();
    let report = world.examine(None).await;
    assert!(
        failures(&report)[0]
            .1
            .contains("lamplight.db is in use by a Lamplight"),
        "{}",
        report.text()
    );
    assert_eq!(failures(&report).len(), 1);
    let server = MockServer::start(lamplight).await;
    let report = world.against(&server).await;
    assert!(
        report.is_healthy() && report.text().contains(&server.url("")),
        "{}",
        report.text()
    );
    let world = world.set("listen", format!("127.0.0.1:{}", server.port));
    let report = world.examine(None).await;
    assert!(
        report.is_healthy() && report.text().contains("taken to be the one at"),
        "{}",
        report.text()
    );
}

#[tokio::test]
async fn one_fault_gives_one_advice() {
    // Nothing can be made in /proc, whoever tries.
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
async fn the_port_may_be_lamplights_and_nobody_elses() {
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
async fn keys_out_of_reach_and_clocks_apart_are_told() {
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
        report
            .text()
            .contains("one is left out, s: a shared secret"),
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
async fn settings_that_are_wrong_are_findings_too() {
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

#[test]
fn the_limit_on_files_is_held_against_what_is_configured() {
    assert_eq!(machine::judge_files(256, 200).level, Level::Fail);
    assert_eq!(machine::judge_files(1_024, 200).level, Level::Warn);
    assert_eq!(machine::judge_files(65_536, 200).level, Level::Ok);
    assert_eq!(
        machine::judge_files(u64::MAX, 0).seen,
        "open files are not limited"
    );
    assert_eq!(machine::judge_files(256, 200).code, "LL-115");
}

#[test]
fn space_runs_out_by_steps() {
    let here = Path::new("/data");
    assert_eq!(machine::judge_space(50 << 20, here).level, Level::Fail);
    assert_eq!(machine::judge_space(500 << 20, here).level, Level::Warn);
    assert_eq!(machine::judge_space(5 << 30, here).level, Level::Ok);
}

#[tokio::test]
async fn a_database_is_read_and_damage_is_seen() {
    let world = World::new();
    let data = world.directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let path = data.join("lamplight.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a TEXT);")
        .unwrap();
    let report = world.examine(None).await;
    assert!(
        report.text().contains("in 1 tables and is sound"),
        "{}",
        report.text()
    );
    drop(connection);
    std::fs::write(
        &path,
        "this is not a database, but it is long enough to be looked at as one",
    )
    .unwrap();
    let report = world.examine(None).await;
    assert!(
        failures(&report)[0]
            .1
            .contains("cannot be read: file is not a database"),
        "{}",
        report.text()
    );
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::write(&data, "a file").unwrap();
    let report = world.examine(None).await;
    assert!(
        failures(&report)
            .iter()
            .any(|(_, seen)| seen.contains("is not a directory")),
        "{}",
        report.text()
    );
}

#[test]
fn what_nodes_share_is_judged() {
    use super::shared::{judge_postgres, judge_redis};
    use crate::config::{RedisSettings, Secret};
    use lamplight_distributed::postgres::DatabaseReport;
    use lamplight_distributed::redis::RedisReport;
    use std::time::Duration;

    let now = Timestamp(1_795_953_600_000);
    let database = DatabaseReport {
        address: "db:5432".into(),
        version: "15.3".into(),
        clock: now,
        is_encrypted: true,
        may_migrate: true,
        connections: (100, 20),
        is_durable: true,
        oldest_transaction: 0,
        schema: Some((1, "store1".into())),
    };
    let codes = |database: &DatabaseReport| {
        let mut report = Report::default();
        judge_postgres(database, now, &mut report);
        let bad = report
            .findings
            .into_iter()
            .filter(|one| one.level != Level::Ok);
        bad.map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&database), []);
    let mut bad = database.clone();
    bad.may_migrate = false;
    assert_eq!(codes(&bad), [(Level::Fail, "LL-129")]);
    let mut bad = database.clone();
    bad.clock = Timestamp(now.0 - 60_000);
    assert_eq!(codes(&bad), [(Level::Warn, "LL-109")]);
    let mut bad = database;
    (bad.is_durable, bad.connections, bad.oldest_transaction) = (false, (100, 95), 3_600);
    assert_eq!(codes(&bad), [(Level::Warn, ""); 3]);

    let redis = RedisReport {
        address: "redis:6379".into(),
        version: "7.0.15".into(),
        clock: now,
        round_trip: Duration::from_millis(1),
        memory: (10 << 20, 100 << 20),
        eviction: "noeviction".into(),
        bound_to: Some("store1 instance".into()),
    };
    let settings = RedisSettings {
        url: Secret::new("redis://redis:6379"),
        prefix: "lamplight".into(),
    };
    let codes = |redis: &RedisReport, store: Option<&str>| {
        let mut report = Report::default();
        judge_redis(redis, &settings, store, now, &mut report);
        let bad = report
            .findings
            .into_iter()
            .filter(|one| one.level != Level::Ok);
        bad.map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&redis, Some("store1")), []);
    assert_eq!(codes(&redis, None), []);
    assert_eq!(codes(&redis, Some("store2")), [(Level::Fail, "LL-123")]);
    let mut bad = redis;
    (bad.round_trip, bad.memory, bad.eviction) = (
        Duration::from_millis(80),
        (90 << 20, 100 << 20),
        "allkeys-lru".into(),
    );
    assert_eq!(codes(&bad, None), [(Level::Warn, ""); 3]);
}

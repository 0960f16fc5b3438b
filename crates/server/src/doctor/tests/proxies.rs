//! Proxies between a client and the server.

use super::*;

#[tokio::test]
async fn a_proxy_that_strips_the_upgrade_gets_the_configuration_it_lacks() {
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
async fn a_websocket_that_opens_and_stays_silent_is_a_failure() {
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
async fn a_server_that_is_not_lamplight_is_reported_once() {
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
async fn a_proxy_that_forwards_only_some_paths_is_detected() {
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
async fn a_path_in_the_server_url_is_not_ignored_silently() {
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

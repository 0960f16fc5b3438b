//! How Node's engine behaves at the edges of Engine.IO protocol 4; its client and the official test
//! suite depend on it.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{
    Answer, Got, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections, expect_served,
    read_answer, request, send_request, start,
};
use socketio::{Config, Packet, SocketIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

const UNKNOWN_SID: &str = "{\"code\":1,\"message\":\"Session ID unknown\"}";
const BINARY: &str = "451-[\"message\",{\"_placeholder\":true,\"num\":0}]";
const BINARY_BACK: &str = "451-[\"message-back\",{\"_placeholder\":true,\"num\":0}]";

async fn probe_with(poller: &Poller, query: &str) -> Ws {
    let mut ws = Ws::connect(
        poller.addr,
        &format!("{WEBSOCKET}&sid={}{query}", poller.sid),
    )
    .await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws
}

async fn probe(poller: &Poller) -> Ws {
    probe_with(poller, "").await
}

#[tokio::test]
async fn s1_base64_is_accepted_on_websocket_and_sent_to_clients_that_request_it() {
    let fixture = start(config()).await;
    let mut ws = Ws::connect(fixture.addr, &format!("{WEBSOCKET}&b64=1")).await;
    ws.text().await;
    ws.send("40").await;
    ws.text().await;
    ws.send(BINARY).await;
    ws.send("bAQIDBA==").await;
    assert_eq!(ws.text().await, BINARY_BACK);
    assert_eq!(ws.text().await, "bAQIDBA==");
    // Not a valid text.
    ws.send(BINARY).await;
    ws.send("b!!!!").await;
    ws.end().await;
    fixture.log.wait_for("disconnected: parse error").await;

    // A client that did not request base64 receives bytes.
    for query in ["", "&b64=", "&b64"] {
        let mut ws = Ws::connect(fixture.addr, &format!("{WEBSOCKET}{query}")).await;
        ws.text().await;
        ws.send("40").await;
        ws.text().await;
        ws.send(BINARY).await;
        ws.send("bAQIDBA==").await;
        assert_eq!(ws.text().await, BINARY_BACK);
        assert_eq!(ws.next().await, Got::Binary(vec![1, 2, 3, 4]));
    }
}

/// Packets that were queued for one transport are sent in the form of the new transport, and
/// counted to the byte.
#[tokio::test]
async fn s1_base64_is_requested_per_transport_and_survives_an_upgrade() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let mut poll = poller.start_poll().await;
    let mut ws = probe_with(&poller, "&b64=1").await;
    assert_eq!(read_answer(&mut poll).await.body, "6");
    let binary = Packet::binary_event(
        "/",
        "b",
        "{\"_placeholder\":true,\"num\":0}",
        &[Bytes::from_static(&[7; 200])],
    );
    socket.emit_packet(&binary).unwrap();
    ws.send("5").await;
    assert_eq!(
        ws.text().await,
        "451-[\"b\",{\"_placeholder\":true,\"num\":0}]"
    );
    let text = ws.text().await;
    assert!(text.starts_with("bBwcH") && text.len() == 269, "{text}");
    socket.emit_packet(&binary).unwrap();
    assert!(ws.text().await.starts_with("45"));
    assert_eq!(ws.text().await, text);
    assert_eq!(fixture.io.queued_bytes(), 0);
}

#[tokio::test]
async fn s6_a_payload_that_is_too_large_is_refused_with_an_empty_body_and_the_session_stays_open() {
    let fixture = start(Config {
        max_payload: 1_000,
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    let refused = poller.post(&"4".repeat(1_001)).await;
    assert_eq!((refused.status, refused.body.as_str()), (413, ""));
    // No close packet arrives before or after it.
    poller.post("42[\"message\",1]").await;
    assert_eq!(read_answer(&mut poll).await.body, "42[\"message-back\",1]");
    assert_eq!(
        fixture.log.lines(),
        ["connect ", "connected", "event message 1"]
    );
}

/// If a connection is closed with unread bytes, it is reset, and the client never sees the
/// response.
#[tokio::test]
async fn s6_a_refusal_of_a_large_body_always_arrives() {
    let fixture = start(config()).await;
    let body = vec![b'4'; 6_000_000];
    let session = Poller::join(fixture.addr).await.url();
    for (method, url, status) in [
        ("POST", &*session, 413),
        ("PUT", &*session, 400),
        ("POST", &format!("{POLLING}&sid=unknown"), 400),
    ] {
        for headers in [
            format!("Content-Length: {}\r\n", body.len()),
            "Transfer-Encoding: chunked\r\nX: content-length\r\n".to_owned(),
        ] {
            let head = format!("{method} {url}\r\n{headers}");
            let mut stream = send_request(fixture.addr, &head, b"").await;
            if headers.contains("chunked") {
                stream
                    .write_all(format!("{:x}\r\n", body.len()).as_bytes())
                    .await
                    .unwrap();
                stream.write_all(&body).await.unwrap();
                stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
            } else {
                stream.write_all(&body).await.unwrap();
            }
            assert_eq!(read_answer(&mut stream).await.status, status, "{head}");
        }
    }
}

/// The connection can be reused if the whole body was read.
#[tokio::test]
async fn s6_a_connection_can_be_reused_after_a_refusal() {
    let fixture = start(Config {
        max_payload: 1_000,
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let mut stream = TcpStream::connect(fixture.addr).await.unwrap();
    for (length, status) in [
        (100_000, "HTTP/1.1 413"),
        (1_001, "HTTP/1.1 413"),
        (1, "HTTP/1.1 200"),
    ] {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n",
            poller.url()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'6'; length]).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = timeout(common::PATIENCE, stream.read(&mut answer))
            .await
            .unwrap()
            .unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(
            answer.starts_with(status) && !answer.contains("connection: close"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn s6_a_body_behind_expect_continue_is_not_requested_after_a_refusal() {
    let fixture = start(Config {
        max_payload: 1_000,
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let head = format!(
        "POST {}\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n",
        poller.url()
    );
    let mut stream = send_request(fixture.addr, &head, b"").await;
    assert_eq!(
        read_answer(&mut stream).await.status,
        413,
        "and no 100 before it"
    );
}

#[tokio::test]
async fn s7_a_probing_websocket_ends_with_its_session_and_a_close_frame() {
    let fixture = start(Config {
        ping_interval: Duration::from_millis(150),
        ping_timeout: Duration::from_millis(150),
        ..config()
    })
    .await;
    // Closed by the client, and by its inactivity.
    let poller = Poller::join(fixture.addr).await;
    let mut ws = probe(&poller).await;
    let began = Instant::now();
    assert_eq!(poller.post("1").await.body, "ok");
    assert_eq!(ws.end().await, Some(1000));
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "not when the upgrade would have timed out"
    );
    let poller = Poller::join(fixture.addr).await;
    let mut before_the_probe =
        Ws::connect(fixture.addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
    fixture.log.wait_for("disconnected: ping timeout").await;
    assert_eq!(before_the_probe.end().await, Some(1000));
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn s7_a_session_closed_by_the_server_in_the_middle_of_an_upgrade_loses_nothing() {
    let fixture = start(config()).await;
    // The client still polls: the poll that fetches the rest ends the probe.
    let poller = Poller::join(fixture.addr).await;
    let mut ws = probe(&poller).await;
    let socket = fixture.echo.sockets.lock().pop().unwrap();
    socket.emit("last", &1).unwrap();
    socket.close_transport();
    fixture.log.wait_for("disconnected: forced close").await;
    ws.expect_silence().await;
    let mut polled = String::new();
    while !polled.ends_with('1') {
        polled.push_str(&poller.poll().await.body);
    }
    assert!(polled.starts_with("42[\"last\",1]"), "{polled}");
    assert_eq!(ws.end().await, Some(1000));

    // The client has stopped polling: the WebSocket delivers the rest.
    fixture.log.clear();
    let poller = Poller::join(fixture.addr).await;
    let mut ws = probe(&poller).await;
    let socket = fixture.echo.sockets.lock().pop().unwrap();
    socket.emit("last", &2).unwrap();
    socket.close_transport();
    fixture.log.wait_for("disconnected: forced close").await;
    ws.send("5").await;
    assert_eq!(ws.text().await, "42[\"last\",2]");
    assert_eq!(ws.end().await, Some(1000));
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
    fixture.io.drain();
    timeout(common::PATIENCE, fixture.io.closed())
        .await
        .expect("nothing is left to wait for");
}

#[tokio::test]
async fn s7_a_stop_waits_for_the_close_frame_of_a_probe() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut ws = probe(&poller).await;
    let poll = tokio::spawn(async move { poller.poll().await });
    assert_eq!(poll.await.unwrap().body, "6", "let go for the upgrade");
    fixture.io.drain();
    let closed = tokio::spawn(fixture.io.closed());
    ws.send("5").await;
    assert_eq!(ws.end().await, Some(1000));
    drop(ws);
    timeout(common::PATIENCE, closed)
        .await
        .expect("in time")
        .unwrap();
}

#[tokio::test]
async fn s7_a_second_websocket_is_closed_and_the_first_stays_open() {
    let fixture = start(Config {
        max_connections_per_address: Some(2),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let url = format!("{WEBSOCKET}&sid={}", poller.sid);
    let mut ws = probe(&poller).await;
    assert_eq!(
        Ws::connect(fixture.addr, &url).await.end().await,
        Some(1000),
        "during an upgrade"
    );
    ws.send("5").await;
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");

    // Of a session that was on WebSocket from the start.
    let mut born = Ws::connect(fixture.addr, WEBSOCKET).await;
    let open = born.text().await;
    let sid = open.split('"').nth(3).unwrap();
    let of_born = format!("{WEBSOCKET}&sid={sid}");
    // It counts towards the limits while it lasts.
    let refused = Ws::try_connect(fixture.addr, &of_born, "")
        .await
        .err()
        .unwrap();
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    drop(ws);
    fixture.log.wait_for("disconnected: transport close").await;
    assert_eq!(
        Ws::connect(fixture.addr, &of_born).await.end().await,
        Some(1000)
    );
    born.send("40").await;
    assert!(born.text().await.starts_with("40"));
}

/// A WebSocket handshake with `transport=polling` neither opens a session nor counts as a poll.
#[tokio::test]
async fn s7_a_websocket_on_the_url_of_polling_is_opened_and_closed() {
    let fixture = start(config()).await;
    assert_eq!(
        Ws::connect(fixture.addr, POLLING).await.end().await,
        Some(1000)
    );
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(
        Ws::connect(fixture.addr, &poller.url()).await.end().await,
        Some(1000)
    );
    poller.post("42[\"message\",1]").await;
    assert_eq!(poller.poll().await.body, "42[\"message-back\",1]");
    assert_eq!(fixture.io.connections().polling, 1);
}

#[tokio::test]
async fn s7_an_empty_sid_is_none() {
    let fixture = start(config()).await;
    assert!(
        request(fixture.addr, &format!("GET {POLLING}&sid="), b"")
            .await
            .body
            .starts_with("0{\"sid\"")
    );
    assert!(
        Ws::connect(fixture.addr, &format!("{WEBSOCKET}&sid="))
            .await
            .text()
            .await
            .starts_with("0{\"sid\"")
    );
}

#[tokio::test]
async fn f12_a_second_websocket_after_an_upgrade_is_opened_and_closed() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut ws = probe(&poller).await;
    ws.send("5").await;
    let second = Ws::connect(fixture.addr, &format!("{WEBSOCKET}&sid={}", poller.sid))
        .await
        .end()
        .await;
    assert_eq!(second, Some(1000));
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\"]");
    assert_eq!(fixture.io.connections().websocket, 1);
}

/// The next poll reports a violation of Socket.IO. A violation of Engine.IO removes the session, as
/// the official test suite requires.
#[tokio::test]
async fn s8_the_next_poll_after_a_violation_reports_the_close() {
    let fixture = start(config()).await;
    for payload in [
        "47",
        "42[]",
        "42/nowhere,[\"a\"]",
        "bAQID",
        "42[\"message\"",
        "451-[\"a\"]\u{1e}42[\"b\"]",
    ] {
        let poller = Poller::join(fixture.addr).await;
        assert_eq!(poller.post(payload).await.body, "ok", "{payload}");
        fixture.log.wait_for("disconnected: parse error").await;
        fixture.log.clear();
        assert_eq!(poller.post("42[\"message\"]").await.body, UNKNOWN_SID);
        let answer = poller.poll().await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "1"),
            "{payload}"
        );
        assert_eq!(poller.poll().await.body, UNKNOWN_SID, "{payload}");
    }
    for payload in ["abc", "2", "b!!!!"] {
        let poller = Poller::join(fixture.addr).await;
        poller.post(payload).await;
        fixture.log.wait_for("disconnected: parse error").await;
        fixture.log.clear();
        assert_eq!(poller.poll().await.body, UNKNOWN_SID, "{payload}");
    }
    // If a poll is open, it reports the violation.
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    poller.post("47").await;
    assert_eq!(read_answer(&mut poll).await.body, "1");
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
    expect_no_connections(&fixture).await;
    expect_served(&fixture).await;
}

#[tokio::test]
async fn s8_an_incomplete_post_is_aborted_when_its_session_ends() {
    let fixture = start(config()).await;
    type End = fn(&SocketIo, &common::Echo);
    let by_server: End = |_, echo| echo.sockets.lock().pop().unwrap().close_transport();
    let by_stop: End = |io, _| io.close_all();
    for end in [by_server, by_stop] {
        let poller = Poller::join(fixture.addr).await;
        let head = format!("POST {}\r\nContent-Length: 100\r\n", poller.url());
        let mut post = send_request(fixture.addr, &head, b"42[\"mess").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        end(&fixture.io, &fixture.echo);
        let Answer { status, body, .. } = read_answer(&mut post).await;
        assert_eq!((status, body.as_str()), (400, UNKNOWN_SID));
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
    }
    // A second POST closes the session, which aborts the first.
    let poller = Poller::join(fixture.addr).await;
    let head = format!("POST {}\r\nContent-Length: 100\r\n", poller.url());
    let mut first = send_request(fixture.addr, &head, b"42[\"mess").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(poller.post("42[\"message\"]").await.status, 400);
    assert_eq!(read_answer(&mut first).await.body, UNKNOWN_SID);
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.starts_with("event"))
    );
}

#[tokio::test]
async fn s8_a_session_with_a_violation_is_removed_without_another_poll() {
    let fixture = start(Config {
        ping_timeout: Duration::from_millis(200),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    poller.post("47").await;
    fixture.log.wait_for("disconnected: parse error").await;
    fixture.io.drain();
    timeout(common::PATIENCE, fixture.io.closed())
        .await
        .expect("a stop waits no longer than for any poll");
    assert_eq!(
        request(fixture.addr, &format!("GET {}", poller.url()), b"")
            .await
            .body,
        UNKNOWN_SID
    );
}

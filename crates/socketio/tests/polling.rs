//! HTTP long-polling (Engine.IO protocol 4), and the upgrade to WebSocket.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{
    Got, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections, expect_served, read_answer,
    request, send_request, start,
};
use socketio::{Config, Packet};
use tokio::io::AsyncWriteExt;

const UNKNOWN_SID: &str = "{\"code\":1,\"message\":\"Session ID unknown\"}";

#[tokio::test]
async fn the_handshake_has_every_field_that_a_client_needs() {
    let fixture = start(Config {
        max_payload: 1234,
        ..config()
    })
    .await;
    let answer = request(fixture.addr, &format!("GET {POLLING}"), b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let open: serde_json::Value = serde_json::from_str(&answer.body[1..]).unwrap();
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(
        (&open["pingInterval"], &open["pingTimeout"]),
        (&10_000.into(), &10_000.into())
    );
    assert_eq!(open["maxPayload"], 1234);
    assert_eq!(fixture.io.connections().polling, 1);
}

#[tokio::test]
async fn the_path_matches_with_and_without_its_slash() {
    let fixture = start(config()).await;
    for path in ["/socket.io", "/socket.io/"] {
        let answer = request(
            fixture.addr,
            &format!("GET {path}?EIO=4&transport=polling"),
            b"",
        )
        .await;
        assert_eq!(answer.status, 200, "{path}");
    }
    for path in ["/socket.io//", "/socket.iox", "/", "/socket.io/x"] {
        let answer = request(
            fixture.addr,
            &format!("GET {path}?EIO=4&transport=polling"),
            b"",
        )
        .await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let mut ws = Ws::connect(fixture.addr, "/socket.io?EIO=4&transport=websocket").await;
    assert!(ws.text().await.starts_with('0'));
}

#[tokio::test]
async fn several_packets_in_one_payload_both_ways() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let payload = "42[\"message\",1]\u{1e}451-[\"message\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID\u{1e}427[\"message-with-ack\",\"é\"]";
    assert_eq!(poller.post(payload).await.body, "ok");
    let mut got = Vec::new();
    while got.len() < 4 {
        let body = poller.poll().await.body;
        got.extend(body.split('\u{1e}').map(str::to_owned));
    }
    assert_eq!(
        got,
        [
            "42[\"message-back\",1]",
            "451-[\"message-back\",{\"_placeholder\":true,\"num\":0}]",
            "bAQID",
            "437[\"é\"]"
        ]
    );
}

/// The packets of the responses to polls, per response, until the transport closes or `count` have
/// arrived.
async fn polled(poller: &Poller, wanted: usize) -> Vec<Vec<String>> {
    let mut answers: Vec<Vec<String>> = Vec::new();
    while answers.iter().map(Vec::len).sum::<usize>() < wanted {
        answers.push(
            poller
                .poll()
                .await
                .body
                .split('\u{1e}')
                .map(str::to_owned)
                .collect(),
        );
    }
    answers
}

/// python-engineio accepts at most 16 packets in one payload.
#[tokio::test]
async fn a_poll_response_holds_a_limited_number_of_packets() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let event = |number: usize| Packet::event("/", "n", &number.to_string());
    // One by one, and as a batch, with an attachment at the start of a response.
    (0..10).for_each(|number| socket.emit_packet(&event(number)).unwrap());
    let log = fixture.log.clone();
    socket
        .emit_then(&Packet::batch((10..30).map(event)), move || {
            log.add("taken")
        })
        .unwrap();
    let bytes = Bytes::from_static(&[1]);
    socket
        .emit_packet(&Packet::batch([
            event(30),
            Packet::binary_event("/", "b", "{\"_placeholder\":true,\"num\":0}", &[bytes]),
        ]))
        .unwrap();
    let answers = polled(&poller, 33).await;
    assert_eq!(
        answers.iter().map(Vec::len).collect::<Vec<_>>(),
        [16, 16, 1]
    );
    let mut wanted: Vec<_> = (0..31)
        .map(|number| format!("42[\"n\",{number}]"))
        .collect();
    wanted.extend([
        "451-[\"b\",{\"_placeholder\":true,\"num\":0}]".to_owned(),
        "bAQ==".to_owned(),
    ]);
    assert_eq!(answers.concat(), wanted);
    fixture.log.wait_for("taken").await;
    assert_eq!(socket.queued_bytes(), 0);
}

#[tokio::test]
async fn packets_queued_at_a_close_are_delivered_over_several_polls() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let mut open = poller.start_poll().await;
    socket
        .emit_packet(&Packet::batch(
            (0..40).map(|number| Packet::event("/", "n", &number.to_string())),
        ))
        .unwrap();
    socket.close_transport();
    fixture.log.wait_for("disconnected: forced close").await;
    let mut answers = vec![
        read_answer(&mut open)
            .await
            .body
            .split('\u{1e}')
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    answers.extend(polled(&poller, 25).await);
    assert_eq!(
        answers.iter().map(Vec::len).collect::<Vec<_>>(),
        [16, 16, 8, 1]
    );
    assert_eq!(answers[3][0], "1", "closed");
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn a_poll_waits_for_a_packet() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    poller.post("42[\"message\",1]").await;
    assert_eq!(read_answer(&mut poll).await.body, "42[\"message-back\",1]");
}

#[tokio::test]
async fn on_written_is_called_when_a_poll_takes_the_bytes() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let log = fixture.log.clone();
    socket
        .emit_then(&socketio::Packet::event("/", "x", ""), move || {
            log.add("taken")
        })
        .unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!fixture.log.lines().contains(&"taken".to_owned()));
    assert_eq!(poller.poll().await.body, "42[\"x\"]");
    fixture.log.wait_for("taken").await;
}

#[tokio::test]
async fn a_second_poll_ends_the_session_on_both_sides() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut first = poller.start_poll().await;
    let second = poller.poll().await;
    assert_eq!(
        (second.status, second.body.as_str()),
        (400, "{\"code\":3,\"message\":\"Bad request\"}")
    );
    assert_eq!(read_answer(&mut first).await.body, "1");
    fixture.log.wait_for("disconnected: transport error").await;
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
    expect_served(&fixture).await;
}

#[tokio::test]
async fn a_poll_cut_off_ends_the_session() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    drop(poller.start_poll().await);
    fixture.log.wait_for("disconnected: transport error").await;
    assert_eq!(poller.post("42[\"message\"]").await.body, UNKNOWN_SID);
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn a_second_post_ends_the_session() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let head = format!("POST {}\r\nContent-Length: 100\r\n", poller.url());
    let _first = send_request(fixture.addr, &head, b"4").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(poller.post("42[\"message\"]").await.status, 400);
    fixture.log.wait_for("disconnected: transport error").await;
}

#[tokio::test]
async fn a_post_cut_off_ends_the_session() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let head = format!("POST {}\r\nContent-Length: 100\r\n", poller.url());
    let mut post = send_request(fixture.addr, &head, b"42[\"mess").await;
    post.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(post);
    fixture.log.wait_for("disconnected: transport error").await;
}

#[tokio::test]
async fn a_close_packet_closes() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    assert_eq!(poller.post("1").await.body, "ok");
    assert_eq!(read_answer(&mut poll).await.body, "6", "it knows already");
    fixture.log.wait_for("disconnected: transport close").await;
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn a_close_packet_answers_a_poll_that_was_sent_with_it() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(poller.post("1").await.body, "ok");
    fixture.log.wait_for("disconnected: transport close").await;
    // A server that stops does not wait for a poll that may never arrive.
    fixture.io.drain();
    fixture.io.closed().await;
    assert_eq!(poller.post("42[\"message\"]").await.body, UNKNOWN_SID);
    let poll = poller.poll().await;
    assert_eq!((poll.status, poll.body.as_str()), (200, "6"));
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
}

#[tokio::test]
async fn a_noop_or_an_upgrade_packet_from_the_client_is_ignored() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(
        poller
            .post("6\u{1e}5\u{1e}42[\"message\",1]\u{1e}6")
            .await
            .body,
        "ok"
    );
    assert_eq!(poller.poll().await.body, "42[\"message-back\",1]");
    assert_eq!(fixture.log.lines().last().unwrap(), "event message 1");
}

#[tokio::test]
async fn binary_is_base64_in_payloads_both_ways() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    // Some bytes, no bytes, and the last two characters of the alphabet.
    let placeholders = "{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":2}";
    let attachments = "bAQIDBA==\u{1e}b\u{1e}b+/8=";
    poller
        .post(&format!(
            "453-9[\"message-with-ack\",{placeholders}]\u{1e}{attachments}"
        ))
        .await;
    assert_eq!(
        poller.poll().await.body,
        format!("463-9[{placeholders}]\u{1e}{attachments}")
    );
}

#[tokio::test]
async fn the_first_ping_by_polling_waits_for_its_interval() {
    let fixture = start(Config {
        ping_interval: Duration::from_millis(120),
        ..config()
    })
    .await;
    let opened = tokio::time::Instant::now();
    let poller = Poller::open(fixture.addr).await;
    for pings in 1..3 {
        assert_eq!(poller.poll().await.body, "2");
        assert!(
            opened.elapsed() >= Duration::from_millis(120) * pings,
            "{:?}",
            opened.elapsed()
        );
        poller.post("3").await;
    }
}

#[tokio::test]
async fn a_post_after_the_ping_timeout_is_refused() {
    let fixture = start(Config {
        ping_interval: Duration::from_millis(400),
        ping_timeout: Duration::from_millis(60),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    fixture.log.wait_for("disconnected: ping timeout").await;
    let late = poller.post("42[\"message\"]").await;
    assert_eq!((late.status, late.body.as_str()), (400, UNKNOWN_SID));
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.starts_with("event"))
    );
}

#[tokio::test]
async fn a_poll_after_the_ping_timeout_is_refused() {
    let fixture = start(Config {
        ping_interval: Duration::from_millis(400),
        ping_timeout: Duration::from_millis(60),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(poller.poll().await.body, "2");
    tokio::time::sleep(Duration::from_millis(60)).await;
    // Independent of how late the timers run.
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn a_payload_of_no_packets_is_refused_and_ends_the_session() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(poller.post("abc").await.status, 400);
    fixture.log.wait_for("disconnected: parse error").await;
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
}

#[tokio::test]
async fn s2_the_poll_after_the_last_events_reports_a_close_by_the_server() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    poller.post("42[\"message\",1]\u{1e}42[\"drop\"]").await;
    fixture.log.wait_for("disconnected: forced close").await;
    // Node's client drops events that it has not dispatched when it reads a close packet.
    assert_eq!(poller.poll().await.body, "42[\"message-back\",1]");
    assert_eq!(poller.poll().await.body, "1");
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
    // The same with an open poll, and with a DISCONNECT before the close.
    let poller = Poller::join(fixture.addr).await;
    let mut open = poller.start_poll().await;
    let socket = fixture.echo.sockets.lock()[1].clone();
    socket.emit("last", &1).unwrap();
    socket.disconnect_and_close();
    assert_eq!(read_answer(&mut open).await.body, "42[\"last\",1]\u{1e}41");
    assert_eq!(poller.poll().await.body, "1");
    expect_no_connections(&fixture).await;
    // If nothing is queued, the open poll receives the close at once.
    let poller = Poller::join(fixture.addr).await;
    let mut open = poller.start_poll().await;
    fixture.echo.sockets.lock()[2].close_transport();
    assert_eq!(read_answer(&mut open).await.body, "1");
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
}

#[tokio::test]
async fn held_events_let_pongs_through_and_posts_wait() {
    let fixture = start(Config {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(300),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    poller.post("42[\"hold\",800]\u{1e}42[\"message\",1]").await;
    let mut got = String::new();
    while !got.contains("message-back") {
        let body = poller.poll().await.body;
        if body.contains('2') && !body.contains('[') {
            assert_eq!(poller.post("3").await.body, "ok");
        }
        got.push_str(&body);
    }
    assert!(
        got.find("held").unwrap() < got.find("message-back").unwrap(),
        "{got}"
    );
}

async fn probe(poller: &Poller) -> Ws {
    let mut ws = Ws::connect(poller.addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws
}

#[tokio::test]
async fn an_upgrade_answers_the_open_poll_with_a_noop() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    let mut ws = probe(&poller).await;
    assert_eq!(read_answer(&mut poll).await.body, "6");
    // A poll that arrives anyway is answered too.
    assert_eq!(poller.poll().await.body, "6");
    let socket = fixture.echo.sockets.lock()[0].clone();
    assert_eq!(socket.transport(), socketio::TransportKind::Polling);
    socket.emit("between", &1).unwrap();
    ws.send("5").await;
    assert_eq!(
        ws.text().await,
        "42[\"between\",1]",
        "what came up meanwhile follows"
    );
    ws.send("42[\"message\",2]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",2]");
    assert_eq!(socket.transport(), socketio::TransportKind::WebSocket);
    assert_eq!(
        fixture.io.connections(),
        socketio::Connections {
            polling: 0,
            websocket: 1
        }
    );
    let late = poller.poll().await;
    assert_eq!(
        (late.status, late.body.as_str()),
        (400, "{\"code\":3,\"message\":\"Bad request\"}")
    );
    assert_eq!(poller.post("42[\"message\"]").await.status, 400);
    drop(ws);
    fixture.log.wait_for("disconnected: transport close").await;
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn polls_are_refused_while_an_upgrade_awaits_no_reply() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    let mut ws = Ws::connect(fixture.addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
    let mut both = bytes::BytesMut::new();
    for text in ["2probe", "5"] {
        socketio::codec::frame::encode_client(
            &mut both,
            true,
            socketio::codec::frame::OpCode::Text,
            text.as_bytes(),
            [1, 2, 3, 4],
        );
    }
    ws.raw(&both).await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(
        read_answer(&mut poll).await.status,
        400,
        "a client that sent a close has no poll open"
    );
    assert_eq!(poller.poll().await.status, 400);
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\"]");
}

#[tokio::test]
async fn events_keep_their_order_over_an_upgrade() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    poller.post("42[\"hold\"]\u{1e}42[\"message\",1]").await;
    let mut ws = probe(&poller).await;
    ws.send("5").await;
    ws.send("42[\"message\",2]").await;
    for expected in [
        "42[\"held\",\"\"]",
        "42[\"message-back\",1]",
        "42[\"message-back\",2]",
    ] {
        assert_eq!(ws.text().await, expected);
    }
}

#[tokio::test]
async fn an_invalid_probe_leaves_the_session_on_polling() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    for wrong in ["2", "2prob", "5", "42[\"message\"]", "3probe"] {
        let mut ws = Ws::connect(fixture.addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
        ws.send(wrong).await;
        assert_eq!(ws.end().await, Some(1002), "{wrong}");
    }
    let mut ws = probe(&poller).await;
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.end().await, Some(1002), "only the upgrade may follow");
    let ws = probe(&poller).await;
    drop(ws);
    tokio::time::sleep(Duration::from_millis(20)).await;
    poller.post("42[\"message\",1]").await;
    assert_eq!(poller.poll().await.body, "42[\"message-back\",1]");
}

#[tokio::test]
async fn an_upgrade_that_stalls_leaves_the_session_on_polling() {
    let fixture = start(Config {
        upgrade_timeout: Duration::from_millis(300),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let mut ws = probe(&poller).await;
    assert_eq!(
        (ws.next().await, ws.next().await),
        (Got::Close(1000), Got::Eof)
    );
    let mut poll = poller.start_poll().await;
    poller.post("42[\"message\",1]").await;
    assert_eq!(read_answer(&mut poll).await.body, "42[\"message-back\",1]");
    let mut again = probe(&poller).await;
    again.send("5").await;
    again.send("42[\"message\",2]").await;
    assert_eq!(
        again.text().await,
        "42[\"message-back\",2]",
        "another try may succeed"
    );
}

#[tokio::test]
async fn one_upgrade_at_a_time_and_only_once() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let url = format!("{WEBSOCKET}&sid={}", poller.sid);
    let mut ws = probe(&poller).await;
    assert_eq!(
        Ws::connect(fixture.addr, &url).await.end().await,
        Some(1000)
    );
    ws.send("5").await;
    ws.send("42[\"message\"]").await;
    ws.text().await;
    assert_eq!(
        Ws::connect(fixture.addr, &url).await.end().await,
        Some(1000)
    );
    let refused = Ws::try_connect(fixture.addr, &format!("{WEBSOCKET}&sid=nobody"), "")
        .await
        .err()
        .unwrap();
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
}

#[tokio::test]
async fn a_poll_response_that_is_not_read_ends_the_session() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    poller.post("42[\"message\",1]").await;
    let poll = http::Request::get(poller.url())
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let answer = fixture.io.handle(poll, fixture.addr).await;
    assert_eq!(answer.status(), 200);
    drop(answer);
    fixture.log.wait_for("disconnected: transport error").await;
}

#[tokio::test]
async fn a_closed_session_is_removed_without_another_poll() {
    let fixture = start(Config {
        ping_timeout: Duration::from_millis(200),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    poller.post("42[\"drop\"]").await;
    fixture.log.wait_for("disconnected: forced close").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(poller.poll().await.body, UNKNOWN_SID);
}

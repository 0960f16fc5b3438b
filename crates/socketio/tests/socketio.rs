//! Socket.IO protocol 5 over WebSocket.

mod common;

use std::time::Duration;

use common::{Got, Ws, config, expect_no_connections, expect_served, start};
use socketio::codec::frame::{self, OpCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn events_and_acknowledgements_both_ways() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"message\",1,\"2\",{\"3\":[true]}]").await;
    assert_eq!(
        ws.text().await,
        "42[\"message-back\",1,\"2\",{\"3\":[true]}]"
    );
    ws.send("42456[\"message-with-ack\",1,\"2\"]").await;
    assert_eq!(ws.text().await, "43456[1,\"2\"]");
    ws.send("420[\"message-with-ack\"]").await;
    assert_eq!(ws.text().await, "430[]");
    ws.send("42[\"m\\u0065ssage\",1]").await;
    assert_eq!(
        ws.text().await,
        "42[\"message-back\",1]",
        "an escaped name is the same name"
    );
}

#[tokio::test]
async fn binary_events_and_acknowledgements_both_ways() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send(
        "452-[\"message\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
    )
    .await;
    ws.send_binary(&[1, 2, 3]).await;
    ws.send_binary(&[]).await;
    assert_eq!(
        ws.text().await,
        "452-[\"message-back\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]"
    );
    assert_eq!(ws.next().await, Got::Binary(vec![1, 2, 3]));
    assert_eq!(ws.next().await, Got::Binary(vec![]));

    ws.send("451-789[\"message-with-ack\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    ws.send_binary(&[4]).await;
    assert_eq!(
        ws.text().await,
        "461-789[{\"_placeholder\":true,\"num\":0}]"
    );
    assert_eq!(ws.next().await, Got::Binary(vec![4]));

    ws.send("42[\"ask\"]").await;
    assert_eq!(
        ws.text().await,
        "451-0[\"question\",{\"_placeholder\":true,\"num\":0}]"
    );
    assert_eq!(ws.next().await, Got::Binary(vec![9, 8]));
    ws.send("461-0[7,{\"_placeholder\":true,\"num\":0}]").await;
    ws.send_binary(&[5]).await;
    fixture
        .log
        .wait_for("answer 7,{\"_placeholder\":true,\"num\":0} [b\"\\x05\"]")
        .await;
}

#[tokio::test]
async fn an_acknowledgement_that_never_comes_times_out_or_ends_with_the_socket() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"ask\",20]").await;
    fixture
        .log
        .wait_for("no answer: the client did not acknowledge in time")
        .await;
    ws.send("42[\"ask\"]").await;
    assert!(ws.text().await.starts_with("451-0"));
    assert_eq!(ws.next().await, Got::Binary(vec![9, 8]));
    assert!(ws.text().await.starts_with("451-1"));
    drop(ws);
    fixture
        .log
        .wait_for("no answer: the socket is closed")
        .await;
}

#[tokio::test]
async fn an_unexpected_acknowledgement_is_ignored() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("4399[1]").await;
    ws.send("420[\"message-with-ack\"]").await;
    assert_eq!(ws.text().await, "430[]");
}

#[tokio::test]
async fn namespaces_are_separate() {
    let fixture = start(config()).await;
    let mut ws = Ws::open(fixture.addr).await;
    ws.send("40/custom,{\"token\":\"x\"}").await;
    let connected = ws.text().await;
    assert!(
        connected.starts_with("40/custom,{\"sid\":\""),
        "{connected}"
    );
    assert_eq!(ws.text().await, "42/custom,[\"auth\",{\"token\":\"x\"}]");
    ws.send("40").await;
    let connected_main = ws.text().await;
    assert_ne!(
        connected_main[2..],
        connected[10..],
        "each socket has an id of its own"
    );
    ws.send("42/custom,1[\"message-with-ack\",5]").await;
    assert_eq!(ws.text().await, "43/custom,1[5]");
    ws.send("41/custom,").await;
    fixture
        .log
        .wait_for("disconnected: client namespace disconnect")
        .await;
    ws.send("42[\"message\"]").await;
    assert_eq!(
        ws.text().await,
        "42[\"message-back\"]",
        "the other namespace continues"
    );
}

#[tokio::test]
async fn the_public_id_is_not_the_transports() {
    let fixture = start(config()).await;
    let mut ws = Ws::connect(fixture.addr, common::WEBSOCKET).await;
    let open = ws.text().await;
    ws.send("40").await;
    let connected = ws.text().await;
    let id = |text: &str| text.split('"').nth(3).unwrap().to_owned();
    assert_ne!(id(&open), id(&connected));
    assert_eq!(fixture.echo.sockets.lock()[0].id(), id(&connected));
    assert_eq!(id(&open).len(), 20);
}

#[tokio::test]
async fn a_refused_connect_carries_its_reason() {
    let fixture = start(config()).await;
    let mut ws = Ws::open(fixture.addr).await;
    ws.send("40{\"refuse\":true}").await;
    assert_eq!(
        ws.text().await,
        "44{\"message\":\"not you\",\"data\":{\"code\":7}}"
    );
    ws.send("40/nowhere,").await;
    assert_eq!(
        ws.text().await,
        "44/nowhere,{\"message\":\"Invalid namespace\"}"
    );
    ws.send("40").await;
    assert!(
        ws.text().await.starts_with("40{\"sid\":"),
        "it may ask again"
    );
    assert_eq!(fixture.log.lines(), ["connect ", "connected"]);
}

#[tokio::test]
async fn a_namespace_can_be_left_and_joined_again() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("41").await;
    fixture
        .log
        .wait_for("disconnected: client namespace disconnect")
        .await;
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{\"sid\":"));
    ws.send("42[\"leave\"]").await;
    assert_eq!(ws.text().await, "41");
    fixture
        .log
        .wait_for("disconnected: server namespace disconnect")
        .await;
    // Packets that the client had sent before it knew are ignored, and it may join again.
    ws.send("42[\"message\"]").await;
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{\"sid\":"));
    let old = fixture.echo.sockets.lock()[1].clone();
    assert!(!old.is_connected());
    assert_eq!(
        old.emit("x", &1),
        Err(socketio::EmitError::Closed),
        "the old socket stays closed"
    );
    ws.expect_silence().await;
}

#[tokio::test]
async fn a_repeated_connect_gets_the_same_reply() {
    let fixture = start(config()).await;
    let mut ws = Ws::open(fixture.addr).await;
    // Node's client sends CONNECT twice if `connect()` is called twice, and may send events after
    // the first reply. It also sends CONNECT again after it gave up before the first reply, and
    // then reads only the second one.
    ws.send("40").await;
    let answer = ws.text().await;
    ws.send("40").await;
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.text().await, answer);
    assert_eq!(ws.text().await, "42[\"message-back\"]");
    assert_eq!(fixture.echo.sockets.lock().len(), 1);
}

#[tokio::test]
async fn a_connect_with_another_auth_replaces_the_first() {
    let fixture = start(config()).await;
    let mut ws = Ws::open(fixture.addr).await;
    // Node's client does not announce that it gave up before the reply: the next CONNECT may come
    // from another user with another `auth`.
    ws.send("40{\"user\":\"a\"}").await;
    let first = ws.text().await;
    assert_eq!(ws.text().await, "42[\"auth\",{\"user\":\"a\"}]");
    ws.send("40{\"user\":\"b\"}").await;
    let second = ws.text().await;
    assert_eq!(ws.text().await, "42[\"auth\",{\"user\":\"b\"}]");
    assert!(
        second.starts_with("40{\"sid\":") && second != first,
        "{second}"
    );
    fixture
        .log
        .wait_for("disconnected: client namespace disconnect")
        .await;
    let sockets = fixture.echo.sockets.lock().clone();
    assert_eq!(
        sockets
            .iter()
            .map(|socket| (socket.is_connected(), &socket.data()["user"]))
            .collect::<Vec<_>>(),
        [(false, &"a".into()), (true, &"b".into())]
    );
    assert_eq!(fixture.io.of("/").unwrap().count(), 1);
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\"]");
}

#[tokio::test]
async fn events_are_admitted_in_order_and_held_back_on_request() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"hold\",1000]").await;
    for number in 0..200 {
        ws.send(&format!("42[\"message\",{number}]")).await;
    }
    ws.frame(true, OpCode::Ping, b"still there?").await;
    assert_eq!(
        ws.next().await,
        Got::Pong(b"still there?".to_vec()),
        "held events hold nothing else back"
    );
    assert_eq!(ws.text().await, "42[\"held\",\"\"]");
    for number in 0..200 {
        assert_eq!(ws.text().await, format!("42[\"message-back\",{number}]"));
    }
    let lines = fixture.log.lines();
    let let_go = lines.iter().position(|line| line == "let go").unwrap();
    assert_eq!(lines[let_go + 1], "event message 0");
}

#[tokio::test]
async fn closing_is_noticed_while_events_are_held_back() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"hold for ever\"]").await;
    ws.send("42[\"message\"]").await;
    fixture.log.wait_for("event hold for ever ").await;
    drop(ws);
    fixture.log.wait_for("disconnected: transport close").await;
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn held_back_events_are_limited_and_read_later() {
    let fixture = start(socketio::Config {
        max_payload: 10_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"hold\"]").await;
    let filler = "x".repeat(5_000);
    for number in 0..100 {
        ws.send(&format!("42[\"other\",{number},\"{filler}\"]"))
            .await;
    }
    ws.send("42[\"message\",\"end\"]").await;
    assert_eq!(ws.text().await, "42[\"held\",\"\"]");
    assert_eq!(ws.text().await, "42[\"message-back\",\"end\"]");
    let others = fixture
        .log
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("event other"));
    for (at, line) in others.enumerate() {
        assert!(
            line.starts_with(&format!("event other {at},")),
            "{line:.40}"
        );
    }
}

#[tokio::test]
async fn a_transport_closed_by_the_server_has_sent_what_was_queued() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"message\",1]").await;
    ws.send("42[\"drop\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
    assert_eq!(
        ws.next().await,
        Got::Close(1000),
        "no DISCONNECT is sent, so that the client reconnects"
    );
    fixture.log.wait_for("disconnected: forced close").await;
}

#[tokio::test]
async fn a_slow_connect_is_refused() {
    let fixture = start(socketio::Config {
        connect_timeout: Duration::from_millis(400),
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("40/custom,{\"slow\":true}").await;
    assert_eq!(
        ws.text().await,
        "44/custom,{\"message\":\"the server took too long\"}"
    );
}

#[tokio::test]
async fn a_panicking_handler_closes_only_its_own_connection() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let mut other = Ws::join(fixture.addr).await;
    ws.send("42[\"panic\"]").await;
    ws.end().await;
    fixture.log.wait_for("disconnected: transport close").await;
    other.send("42[\"message\"]").await;
    assert_eq!(other.text().await, "42[\"message-back\"]");
    assert_eq!(fixture.io.connections().websocket, 1);
    expect_served(&fixture).await;
}

#[tokio::test]
async fn on_written_is_called_once_the_bytes_are_out_and_never_after_a_close() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let packet = socketio::Packet::event("/", "x", "1");
    let log = fixture.log.clone();
    socket
        .emit_then(&packet, move || log.add("written"))
        .unwrap();
    fixture.log.wait_for("written").await;
    assert_eq!(ws.text().await, "42[\"x\",1]");
    drop(ws);
    fixture.log.wait_for("disconnected: transport close").await;
    let log = fixture.log.clone();
    assert_eq!(
        socket.emit_then(&packet, move || log.add("never")),
        Err(socketio::EmitError::Closed)
    );
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!fixture.log.lines().contains(&"never".to_owned()));
}

#[tokio::test]
async fn a_batch_arrives_as_its_packets() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let packets = (0..3).map(|number| socketio::Packet::event("/", "n", &number.to_string()));
    socket
        .emit_packet(&socketio::Packet::batch(packets))
        .unwrap();
    for number in 0..3 {
        assert_eq!(ws.text().await, format!("42[\"n\",{number}]"));
    }
    // An empty batch sends nothing, but runs its callback.
    let nothing = socketio::Packet::batch([]);
    socket.emit_packet(&nothing).unwrap();
    let log = fixture.log.clone();
    socket
        .emit_then(&nothing, move || log.add("nothing written"))
        .unwrap();
    fixture.log.wait_for("nothing written").await;
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\"]");
}

#[tokio::test]
async fn frames_that_come_along_with_the_handshake_are_not_lost() {
    let fixture = start(config()).await;
    let mut stream = tokio::net::TcpStream::connect(fixture.addr).await.unwrap();
    let mut all = bytes::BytesMut::from(
        format!(
            "GET {} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            common::WEBSOCKET
        )
        .as_bytes(),
    );
    frame::encode_client(&mut all, true, OpCode::Text, b"40", [1, 2, 3, 4]);
    stream.write_all(&all).await.unwrap();
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains("40{\"sid\":") {
        let read = tokio::time::timeout(common::PATIENCE, stream.read_buf(&mut got))
            .await
            .expect("an answer in time")
            .unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&got));
    }
}

#[tokio::test]
async fn any_hyper_stream_works() {
    let fixture = start(config()).await;
    let (mut client, server) = tokio::io::duplex(4096);
    let io = fixture.io.clone();
    let service = hyper::service::service_fn(move |request| {
        let io = io.clone();
        async move {
            Ok::<_, std::convert::Infallible>(io.handle(request, ([127, 0, 0, 1], 1).into()).await)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(server), service)
        .with_upgrades();
    tokio::spawn(connection);
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        common::WEBSOCKET
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut all = bytes::BytesMut::new();
    frame::encode_client(&mut all, true, OpCode::Text, b"40", [1, 2, 3, 4]);
    client.write_all(&all).await.unwrap();
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains("40{\"sid\":") {
        let read = tokio::time::timeout(common::PATIENCE, client.read_buf(&mut got))
            .await
            .expect("an answer in time")
            .unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&got));
    }
    drop(client);
    fixture.log.wait_for("disconnected: transport close").await;
}

#[tokio::test]
async fn a_guard_lives_as_long_as_its_connection() {
    let fixture = start(config()).await;
    let guard = std::sync::Arc::new(());
    let request = |headers: &[(&str, &str)], url: &str, guard: &std::sync::Arc<()>| {
        let mut request = http::Request::get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .extension(socketio::ConnectionGuard(guard.clone()))
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap()
    };
    let peer = ([127, 0, 0, 1], 1).into();
    let answer = fixture
        .io
        .handle(request(&[], common::POLLING, &guard), peer)
        .await;
    assert_eq!(
        (answer.status(), std::sync::Arc::strong_count(&guard) > 1),
        (http::StatusCode::OK, true)
    );
    fixture.io.close_all();
    expect_no_connections(&fixture).await;
    assert_eq!(std::sync::Arc::strong_count(&guard), 1);
}

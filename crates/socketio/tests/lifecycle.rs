//! The life of a connection: heartbeats, timeouts, slow readers, draining.

mod common;

use std::time::Duration;

use common::{
    Got, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections, expect_served, read_answer,
    request, start,
};
use socketio::{Config, Connections, EmitError, Packet};
use tokio::time::Instant;

fn short() -> Config {
    Config {
        ping_interval: Duration::from_millis(120),
        ping_timeout: Duration::from_millis(400),
        ..config()
    }
}

#[tokio::test]
async fn the_first_ping_comes_after_one_interval_and_the_next_after_the_pong() {
    let fixture = start(short()).await;
    let mut ws = Ws::join(fixture.addr).await;
    for _ in 0..3 {
        let asked = Instant::now();
        assert_eq!(ws.text().await, "2");
        let waited = asked.elapsed();
        // How late it may be depends on the machine; the test checks that it is not early.
        assert!(
            waited > Duration::from_millis(90) && waited < Duration::from_secs(3),
            "{waited:?}"
        );
        ws.send("3").await;
        // An unsolicited PONG changes nothing.
        ws.send("3").await;
    }
}

#[tokio::test]
async fn no_pong_ends_the_connection_on_either_transport() {
    let fixture = start(short()).await;
    let mut ws = Ws::join(fixture.addr).await;
    assert_eq!(ws.text().await, "2");
    ws.end().await;
    fixture.log.wait_for("disconnected: ping timeout").await;

    let fixture = start(short()).await;
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(poller.poll().await.body, "2");
    fixture.log.wait_for("disconnected: ping timeout").await;
    let late = poller.post("42[\"message\"]").await;
    assert_eq!(
        (late.status, late.body.as_str()),
        (400, "{\"code\":1,\"message\":\"Session ID unknown\"}")
    );
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn each_ping_is_judged_by_its_own_pong() {
    // With an interval shorter than the timeout, several PINGs are outstanding at a time.
    let fixture = start(Config {
        ping_interval: Duration::from_millis(40),
        ping_timeout: Duration::from_millis(400),
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    for _ in 0..6 {
        assert_eq!(ws.text().await, "2");
        tokio::time::sleep(Duration::from_millis(100)).await;
        ws.send("3").await;
    }
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.starts_with("disconnected"))
    );
}

#[tokio::test]
async fn a_connect_that_never_comes_ends_the_connection() {
    let fixture = start(Config {
        connect_timeout: Duration::from_millis(300),
        ..config()
    })
    .await;
    let mut ws = Ws::open(fixture.addr).await;
    let mut refused = Ws::open(fixture.addr).await;
    refused.send("40{\"refuse\":true}").await;
    let mut joined = Ws::join(fixture.addr).await;
    let poller = Poller::open(fixture.addr).await;
    assert_eq!(ws.end().await, Some(1000));
    refused.end().await;
    assert_eq!(poller.poll().await.body, "1");
    joined.send("42[\"message\"]").await;
    assert_eq!(joined.text().await, "42[\"message-back\"]");
    assert_eq!(
        fixture.io.connections(),
        Connections {
            polling: 0,
            websocket: 1
        }
    );
}

#[tokio::test]
async fn a_slow_reader_is_disconnected_with_its_own_reason() {
    let fixture = start(Config {
        max_queue_bytes: 50_000,
        ..config()
    })
    .await;
    let mut other = Ws::join(fixture.addr).await;
    let mut slow = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[1].clone();
    let packet = Packet::event("/", "x", &format!("\"{}\"", "y".repeat(10_000)));
    let mut sent = 0;
    let full = loop {
        match socket.emit_packet(&packet) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(fixture.io.queued_bytes() <= 60_000);
        // The kernel buffers some megabytes before writes block.
        tokio::task::yield_now().await;
    };
    assert_eq!(full, EmitError::Full);
    assert_eq!(socket.emit_packet(&packet), Err(EmitError::Closed));
    fixture.log.wait_for("disconnected: slow reader").await;
    let mut received = 0;
    while let Got::Text(_) = slow.next().await {
        received += 1;
    }
    assert!(received <= sent, "what arrives is a beginning without gaps");
    let mut frame = bytes::BytesMut::new();
    let text = format!("42[\"x\",\"{}\"]", "y".repeat(10_000));
    socketio::codec::frame::encode(
        &mut frame,
        socketio::codec::frame::OpCode::Text,
        text.as_bytes(),
    );
    assert!(
        frame.starts_with(&slow.buffer),
        "and ends within a packet, with nothing put behind it"
    );
    other.send("42[\"message\"]").await;
    assert_eq!(other.text().await, "42[\"message-back\"]");
}

#[tokio::test]
async fn a_client_that_does_not_poll_is_disconnected_too() {
    let fixture = start(Config {
        max_queue_bytes: 1_000,
        ..config()
    })
    .await;
    let _poller = Poller::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let packet = Packet::event("/", "x", &format!("\"{}\"", "y".repeat(400)));
    assert_eq!(
        [(); 3].map(|()| socket.emit_packet(&packet)),
        [Ok(()), Ok(()), Err(EmitError::Full)]
    );
    fixture.log.wait_for("disconnected: slow reader").await;
    expect_no_connections(&fixture).await;
    assert_eq!(fixture.io.queued_bytes(), 0);
}

#[tokio::test]
async fn one_packet_larger_than_the_queue_is_sent() {
    let fixture = start(Config {
        max_queue_bytes: 1_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    socket.emit("big", &"y".repeat(5_000)).unwrap();
    // The space behind it is as usual.
    socket.emit("small", &1).unwrap();
    assert_eq!(ws.text().await.len(), 5_000 + 12);
    assert_eq!(ws.text().await, "42[\"small\",1]");
}

#[tokio::test]
async fn a_client_that_reads_large_packets_is_never_disconnected() {
    let fixture = start(Config {
        max_queue_bytes: 50_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    for number in 0..20 {
        // More than the network accepts at once, followed by a small update.
        socket.emit("snapshot", &"y".repeat(4_000_000)).unwrap();
        socket.emit("update", &number).unwrap();
        tokio::task::yield_now().await;
        socket.emit("update", &"z".repeat(40_000)).unwrap();
        assert!(ws.text().await.starts_with("42[\"snapshot\""));
        assert_eq!(ws.text().await, format!("42[\"update\",{number}]"));
        assert_eq!(ws.text().await.len(), 40_000 + 15);
    }
    // A client that does not read is disconnected, with the oversized packet and a full queue at
    // most.
    socket.emit("snapshot", &"y".repeat(4_000_000)).unwrap();
    let mut most = 0;
    while socket.emit("update", &"z".repeat(10_000)).is_ok() {
        most = most.max(fixture.io.queued_bytes());
        tokio::task::yield_now().await;
    }
    assert!(most <= 4_060_000, "{most}");
    fixture.log.wait_for("disconnected: slow reader").await;
}

#[tokio::test]
async fn a_drain_closes_transports_and_opens_no_session() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    let late = Poller::join(fixture.addr).await;
    let sockets = fixture.echo.sockets.lock().clone();
    for socket in &sockets {
        socket.emit("last", &1).unwrap();
    }
    fixture.io.drain();
    assert_eq!(ws.text().await, "42[\"last\",1]");
    assert_eq!(ws.next().await, Got::Close(1000));
    // No close packet: python-socketio would not reconnect after it.
    assert_eq!(read_answer(&mut poll).await.body, "42[\"last\",1]");
    assert_eq!(late.poll().await.body, "42[\"last\",1]");
    assert_ne!(late.poll().await.status, 200);
    expect_no_connections(&fixture).await;
    let closed = fixture
        .log
        .lines()
        .iter()
        .filter(|line| *line == "disconnected: server shutting down")
        .count();
    assert_eq!(closed, 3);
    assert_eq!(
        request(fixture.addr, &format!("GET {POLLING}"), b"")
            .await
            .status,
        503
    );
    let refused = Ws::try_connect(fixture.addr, WEBSOCKET, "")
        .await
        .err()
        .unwrap();
    assert!(refused.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn a_closed_websocket_is_detected_with_and_without_a_close_frame() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.frame(
        true,
        socketio::codec::frame::OpCode::Close,
        &4000u16.to_be_bytes(),
    )
    .await;
    assert_eq!(ws.next().await, Got::Close(4000));
    assert_eq!(ws.next().await, Got::Eof);
    fixture.log.wait_for("disconnected: transport close").await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("1").await;
    assert_eq!(ws.end().await, Some(1000));
    expect_no_connections(&fixture).await;
    expect_served(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_leak_no_memory_or_state() {
    let fixture = start(config()).await;
    let addr = fixture.addr;
    let clients = (0..100).map(|number| {
        tokio::spawn(async move {
            if number % 2 == 0 {
                let mut ws = Ws::join(addr).await;
                ws.send("42[\"message\",1]").await;
                ws.text().await;
            } else {
                let poller = Poller::join(addr).await;
                poller.post("42[\"message\",1]").await;
                poller.poll().await;
                poller.post("1").await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    expect_no_connections(&fixture).await;
    let lines = fixture.log.lines();
    let count = |wanted: &str| lines.iter().filter(|line| *line == wanted).count();
    assert_eq!(
        (count("connected"), count("disconnected: transport close")),
        (100, 100)
    );
}

#[tokio::test]
async fn held_back_events_stop_the_reading() {
    let fixture = start(Config {
        max_payload: 10_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"hold for ever\"]").await;
    let filler = format!("42[\"other\",\"{}\"]", "x".repeat(9_000));
    let flood = async {
        for _ in 0..5_000 {
            ws.send(&filler).await;
        }
    };
    // 45 MB exceed the system's buffers, so the server has stopped reading.
    assert!(
        tokio::time::timeout(Duration::from_secs(1), flood)
            .await
            .is_err()
    );
    expect_served(&fixture).await;
}

#[tokio::test]
async fn a_pong_that_the_server_itself_does_not_read_is_not_missed() {
    let fixture = start(Config {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(200),
        max_payload: 10_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"hold\",800]").await;
    let filler = "x".repeat(5_000);
    for _ in 0..10 {
        ws.send(&format!("42[\"other\",\"{filler}\"]")).await;
    }
    ws.send("42[\"message\"]").await;
    loop {
        match ws.text().await.as_str() {
            "2" => ws.send("3").await,
            "42[\"message-back\"]" => break,
            other => assert_eq!(other, "42[\"held\",\"\"]"),
        }
    }
}

#[tokio::test]
async fn partial_writes_arrive_complete_and_in_order() {
    let fixture = start(Config {
        max_queue_bytes: 100_000_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let filler = "z".repeat(7_919);
    for number in 0..3_000 {
        socket
            .emit_packet(&Packet::event("/", "n", &format!("{number},\"{filler}\"")))
            .unwrap();
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(
        fixture.io.queued_bytes() > 1_000_000,
        "the network has not taken it all"
    );
    for number in 0..3_000 {
        assert_eq!(ws.text().await, format!("42[\"n\",{number},\"{filler}\"]"));
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.io.queued_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_emit_from_another_thread_is_never_delayed() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let (asked, mut ask) = tokio::sync::mpsc::unbounded_channel::<u32>();
    let emitter = std::thread::spawn(move || {
        while let Some(number) = ask.blocking_recv() {
            socket.emit("n", &number).unwrap();
        }
    });
    for number in 0..3_000 {
        // What the client sends keeps the connection's task running, so that the emit happens
        // during a run.
        asked.send(number).unwrap();
        ws.send("42[\"other\"]").await;
        assert_eq!(ws.text().await, format!("42[\"n\",{number}]"));
    }
    drop(asked);
    emitter.join().unwrap();
}

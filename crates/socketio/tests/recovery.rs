//! Connection state recovery: what a returning client receives.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::BytesMut;
use common::{
    Fixture, Got, Poller, Ws, config, expect_no_connections, expect_served, memory::Memory, start,
};
use serde_json::Value;
use socketio::{
    Config, EmitError, Packet, Placeholder, Recovery, Socket,
    codec::frame::{self, OpCode},
};

const ASKS: &str = "/socket.io/?EIO=4&transport=websocket&recovery=1";

async fn server(recovery: Recovery) -> Fixture {
    start(Config {
        recovery: Some(recovery),
        ..config()
    })
    .await
}

async fn open(fixture: &Fixture) -> Ws {
    let mut ws = Ws::connect(fixture.addr, ASKS).await;
    assert!(ws.text().await.starts_with("0{"));
    ws
}

async fn join(fixture: &Fixture) -> (Ws, Memory, Socket<Value>) {
    let mut ws = open(fixture).await;
    ws.send("40").await;
    let memory = Memory::of(&ws.text().await);
    let socket = fixture.echo.sockets.lock().last().unwrap().clone();
    assert_eq!(socket.id(), memory.sid);
    (ws, memory, socket)
}

async fn lose_connection(fixture: &Fixture, ws: Ws) {
    drop(ws);
    fixture.log.wait_for("suspended: transport close").await;
    fixture.log.clear();
}

/// Resumes the socket. Returns the missed events; the CONNECT reply has been read.
async fn resume(fixture: &Fixture, memory: &mut Memory) -> (Ws, Vec<String>) {
    let mut ws = open(fixture).await;
    ws.send(&format!("40{}", memory.auth())).await;
    let mut missed = Vec::new();
    loop {
        let text = ws.text().await;
        if text.starts_with("40") {
            let again = Memory::of(&text);
            assert_eq!(
                (&again.sid, &again.pid),
                (&memory.sid, &memory.pid),
                "the same socket"
            );
            break;
        }
        missed.push(memory.receive_event(&text));
    }
    assert_eq!(
        memory.receive_event(&ws.text().await),
        "[\"welcome back\",1]"
    );
    (ws, missed)
}

/// Fails to resume: the client gets a new socket.
async fn connect_as_new(fixture: &Fixture, memory: &Memory) -> (Ws, Memory) {
    let mut ws = open(fixture).await;
    ws.send(&format!("40{}", memory.auth())).await;
    let fresh = Memory::of(&ws.text().await);
    assert_ne!(fresh.sid, memory.sid);
    assert_ne!(fresh.pid, memory.pid);
    assert!(
        ws.text().await.starts_with("42[\"auth\","),
        "connected as a new socket"
    );
    (ws, fresh)
}

#[tokio::test]
async fn only_clients_that_request_recovery_get_offsets() {
    let fixture = server(Recovery::default()).await;
    let mut ws = Ws::open(fixture.addr).await;
    ws.send("40").await;
    assert!(!ws.text().await.contains("pid"));
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
    drop(ws);
    fixture.log.wait_for("disconnected: transport close").await;
    // Nor does any client on a server without recovery.
    let fixture = start(config()).await;
    let mut ws = open(&fixture).await;
    ws.send("40").await;
    assert!(!ws.text().await.contains("pid"));
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
}

#[tokio::test]
async fn a_client_that_has_received_nothing_can_resume() {
    let fixture = server(Recovery::default()).await;
    let (ws, mut memory, socket) = join(&fixture).await;
    lose_connection(&fixture, ws).await;
    assert!(!socket.is_connected());
    for number in 0..3 {
        socket.emit("n", &number).unwrap();
    }
    let (mut ws, missed) = resume(&fixture, &mut memory).await;
    assert_eq!(missed, ["[\"n\",0]", "[\"n\",1]", "[\"n\",2]"]);
    assert!(socket.is_connected());
    assert_eq!(
        fixture.log.lines(),
        ["connect ".to_owned(), format!("recovered {}", memory.sid)]
    );
    ws.send("42[\"message\",7]").await;
    assert_eq!(
        memory.receive_event(&ws.text().await),
        "[\"message-back\",7]"
    );
    ws.send("420[\"message-with-ack\",8]").await;
    assert_eq!(ws.text().await, "430[8]", "an acknowledgement is no event");
    ws.expect_silence().await;
}

#[tokio::test]
async fn events_in_transit_arrive_once_and_in_order_over_many_connections() {
    let fixture = server(Recovery::default()).await;
    let (mut ws, mut memory, socket) = join(&fixture).await;
    let mut seen = Vec::new();
    let mut number = 0;
    let mut emit = |count: u32| {
        let batch: Vec<_> = (0..count)
            .map(|more| Packet::event("/", "n", &(number + more).to_string()))
            .collect();
        number += count;
        socket.emit_packet(&Packet::batch(batch)).unwrap();
    };
    for round in 0..6 {
        emit(4);
        // The client receives some of the events, and loses the others with the connection.
        for _ in 0..round % 4 {
            seen.push(memory.receive_event(&ws.text().await));
        }
        lose_connection(&fixture, ws).await;
        emit(round);
        let missed;
        (ws, missed) = resume(&fixture, &mut memory).await;
        seen.extend(missed);
    }
    seen.retain(|event| event.starts_with("[\"n\""));
    assert_eq!(
        seen,
        (0..number)
            .map(|number| format!("[\"n\",{number}]"))
            .collect::<Vec<_>>()
    );
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.starts_with("disconnected"))
    );
}

#[tokio::test]
async fn attachments_are_recovered() {
    let fixture = server(Recovery::default()).await;
    let (ws, memory, socket) = join(&fixture).await;
    lose_connection(&fixture, ws).await;
    let args = serde_json::to_string(&Placeholder(0)).unwrap();
    socket
        .emit_packet(&Packet::binary_event(
            "/",
            "b",
            &args,
            &[bytes::Bytes::from_static(&[1, 2])],
        ))
        .unwrap();
    socket.emit("after", &1).unwrap();
    let mut ws = open(&fixture).await;
    ws.send(&format!("40{}", memory.auth())).await;
    assert!(
        ws.text()
            .await
            .starts_with("451-[\"b\",{\"_placeholder\":true,\"num\":0},\"1.")
    );
    assert_eq!(ws.next().await, Got::Binary(vec![1, 2]));
    assert!(ws.text().await.starts_with("42[\"after\",1,\"2."));
    assert_eq!(Memory::of(&ws.text().await).sid, memory.sid);
}

#[tokio::test]
async fn a_long_idle_connection_stores_nothing_and_is_recovered() {
    let timings = Config {
        ping_interval: Duration::from_millis(60),
        ping_timeout: Duration::from_millis(100),
        ..config()
    };
    let window = Duration::from_millis(300);
    let fixture = start(Config {
        recovery: Some(Recovery {
            window,
            ..Recovery::default()
        }),
        ..timings
    })
    .await;
    let (mut ws, mut memory, socket) = join(&fixture).await;
    socket.emit("once", &"x".repeat(1_000)).unwrap();
    memory.receive_event(&ws.text().await);
    assert!(fixture.io.recovery_bytes() > 1_000);
    // Longer than the window: events that the client has are not stored, and not needed.
    for _ in 0..8 {
        assert_eq!(ws.text().await, "2");
        ws.send("3").await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(fixture.io.recovery_bytes(), 0);
    lose_connection(&fixture, ws).await;
    socket.emit("missed", &1).unwrap();
    assert_eq!(resume(&fixture, &mut memory).await.1, ["[\"missed\",1]"]);
}

#[tokio::test]
async fn a_client_that_returns_too_late_gets_a_new_socket() {
    let fixture = server(Recovery {
        window: Duration::from_millis(100),
        ..Recovery::default()
    })
    .await;
    let (ws, memory, socket) = join(&fixture).await;
    lose_connection(&fixture, ws).await;
    socket.emit("x", &1).unwrap();
    fixture.log.wait_for("disconnected: transport close").await;
    assert_eq!(socket.emit("x", &1), Err(EmitError::Closed));
    assert_eq!(fixture.io.recovery_bytes(), 0);
    connect_as_new(&fixture, &memory).await;
    assert_eq!(
        fixture.log.lines()[..2],
        ["disconnected: transport close", "connect "]
    );
}

#[tokio::test]
async fn stored_events_are_limited_per_socket_and_in_total() {
    for (max_bytes, max_total_bytes) in [(3_000, 1 << 20), (1 << 20, 3_000)] {
        let fixture = server(Recovery {
            max_bytes,
            max_total_bytes,
            ..Recovery::default()
        })
        .await;
        let (mut ws, mut memory, socket) = join(&fixture).await;
        // More than the limit, to a client that reads it.
        for _ in 0..20 {
            socket.emit("x", &"y".repeat(500)).unwrap();
            memory.receive_event(&ws.text().await);
            assert!(fixture.io.recovery_bytes() <= 3_000);
        }
        lose_connection(&fixture, ws).await;
        let (ws, missed) = resume(&fixture, &mut memory).await;
        assert_eq!(missed, [""; 0], "it has everything");
        lose_connection(&fixture, ws).await;
        let full = (0..20).find_map(|_| {
            assert!(fixture.io.recovery_bytes() <= 3_000);
            socket.emit("x", &"y".repeat(500)).err()
        });
        assert_eq!(full, Some(EmitError::Full), "nothing is skipped in silence");
        assert_eq!(socket.emit("x", &1), Err(EmitError::Closed));
        assert_eq!(fixture.io.recovery_bytes(), 0);
        connect_as_new(&fixture, &memory).await;
        assert!(
            fixture
                .log
                .lines()
                .contains(&"disconnected: transport close".to_owned()),
            "the old one is over at once"
        );
    }
}

#[tokio::test]
async fn suspended_sockets_are_limited() {
    let fixture = server(Recovery {
        max_waiting: 2,
        ..Recovery::default()
    })
    .await;
    let (first, mut memory, _) = join(&fixture).await;
    lose_connection(&fixture, first).await;
    let (second, ..) = join(&fixture).await;
    lose_connection(&fixture, second).await;
    let (third, ..) = join(&fixture).await;
    drop(third);
    fixture.log.wait_for("disconnected: transport close").await;
    // Once one has returned, there is space again.
    let (first, _) = resume(&fixture, &mut memory).await;
    lose_connection(&fixture, first).await;
    resume(&fixture, &mut memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_seems_alive_is_closed_first() {
    let fixture = server(Recovery::default()).await;
    let (mut old, mut memory, socket) = join(&fixture).await;
    old.send("42[\"hold for ever\"]").await;
    fixture.log.wait_for("event hold for ever ").await;
    socket.emit("on the old one", &1).unwrap();
    let (mut ws, missed) = resume(&fixture, &mut memory).await;
    assert_eq!(missed, ["[\"on the old one\",1]"]);
    old.end().await;
    let lines = fixture.log.lines();
    assert_eq!(
        lines[lines.len() - 2..],
        [
            "suspended: transport close".to_owned(),
            format!("recovered {}", memory.sid)
        ]
    );
    ws.send("42[\"message\",7]").await;
    assert_eq!(
        memory.receive_event(&ws.text().await),
        "[\"message-back\",7]"
    );
    assert_eq!(fixture.io.connections().websocket, 1);
}

#[tokio::test]
async fn acknowledged_events_cannot_be_requested_again() {
    let fixture = server(Recovery::default()).await;
    let (mut ws, mut memory, socket) = join(&fixture).await;
    let first = memory.clone();
    socket.emit("x", &1).unwrap();
    memory.receive_event(&ws.text().await);
    lose_connection(&fixture, ws).await;
    let (ws, _) = resume(&fixture, &mut memory).await;
    drop(ws);
    fixture.log.wait_for("suspended: transport close").await;
    // The same CONNECT again: this connection has not received what the client has.
    connect_as_new(&fixture, &first).await;
    // After that, no connection can resume the socket.
    connect_as_new(&fixture, &memory).await;
    for offset in [
        "99.1",
        "-1.1",
        "1e9.1",
        "18446744073709551616.1",
        "18446744073709551615.1",
    ] {
        let (ws, memory, _) = join(&fixture).await;
        let suffix = format!(".{}", fixture.echo.sockets.lock().last().unwrap().key());
        fixture.log.clear();
        lose_connection(&fixture, ws).await;
        connect_as_new(
            &fixture,
            &Memory {
                offset: Some(offset.replace(".1", &suffix)),
                ..memory
            },
        )
        .await;
    }
    expect_served(&fixture).await;
}

#[tokio::test]
async fn the_offset_of_another_socket_means_that_nothing_was_received() {
    let fixture = server(Recovery::default()).await;
    let (mut ws, mut memory, socket) = join(&fixture).await;
    socket.emit("x", &1).unwrap();
    memory.receive_event(&ws.text().await);
    drop(ws);
    // A client keeps its last offset when it gets a new socket.
    let (ws, mut fresh, socket) = join(&fixture).await;
    fresh.offset = memory.offset;
    lose_connection(&fixture, ws).await;
    socket.emit("first", &1).unwrap();
    assert_eq!(resume(&fixture, &mut fresh).await.1, ["[\"first\",1]"]);
}

#[tokio::test]
async fn a_client_that_left_cannot_resume() {
    let fixture = server(Recovery::default()).await;
    let (mut ws, memory, _) = join(&fixture).await;
    ws.send("41").await;
    fixture
        .log
        .wait_for("disconnected: client namespace disconnect")
        .await;
    let _other = connect_as_new(&fixture, &memory).await;
    let (mut ws, memory, socket) = join(&fixture).await;
    socket.disconnect();
    assert_eq!(ws.text().await, "41");
    let _another = connect_as_new(&fixture, &memory).await;
    drop(ws);
    // Disconnected while suspended.
    let (ws, memory, socket) = join(&fixture).await;
    lose_connection(&fixture, ws).await;
    let others = fixture.io.recovery_bytes();
    socket.emit("x", &"x".repeat(1_000)).unwrap();
    assert!(fixture.io.recovery_bytes() > others + 1_000);
    socket.disconnect();
    // At once, not at the end of the window: nothing is stored for it from now on.
    assert_eq!(
        fixture.log.lines(),
        ["disconnected: server namespace disconnect"]
    );
    assert!(fixture.io.recovery_bytes() <= others);
    assert_eq!(socket.emit("x", &1), Err(EmitError::Closed));
    connect_as_new(&fixture, &memory).await;
    assert_eq!(
        fixture
            .log
            .lines()
            .iter()
            .filter(|line| line.starts_with("disconnected"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_private_id_is_valid_for_its_namespace_and_user_only() {
    let fixture = server(Recovery::default()).await;
    let (ws, memory, socket) = join(&fixture).await;
    lose_connection(&fixture, ws).await;
    let mut ws = open(&fixture).await;
    ws.send(&format!("40/custom,{}", memory.auth())).await;
    assert_ne!(Memory::of(&ws.text().await).pid, memory.pid);
    let mut ws = open(&fixture).await;
    ws.send(&format!(
        "40{{\"pid\":\"{}\",\"user\":\"somebody else\"}}",
        memory.pid
    ))
    .await;
    assert_ne!(Memory::of(&ws.text().await).pid, memory.pid);
    let mut ws = open(&fixture).await;
    ws.send(&format!("40{{\"pid\":\"{}\",\"refuse\":true}}", memory.pid))
        .await;
    assert!(
        ws.text().await.starts_with("44"),
        "a refused client is not recovered either"
    );
    for auth in [
        "{\"pid\":7}",
        "{\"pid\":\"\"}",
        "{\"pid\":\"x\",\"offset\":{}}",
        "{\"pid\":\"AAAAAAAAAAAAAAAAAAAA\"}",
    ] {
        let mut ws = open(&fixture).await;
        ws.send(&format!("40{auth}")).await;
        assert_ne!(Memory::of(&ws.text().await).pid, memory.pid);
    }
    // None of that affected the rightful owner.
    socket.emit("still", &1).unwrap();
    let mut memory = memory;
    assert_eq!(resume(&fixture, &mut memory).await.1, ["[\"still\",1]"]);
}

#[tokio::test]
async fn recovery_works_on_polling() {
    let fixture = server(Recovery::default()).await;
    let (ws, memory, socket) = join(&fixture).await;
    lose_connection(&fixture, ws).await;
    socket.emit("missed", &1).unwrap();
    let mut poller = Poller::open(fixture.addr).await;
    let answer = common::request(
        fixture.addr,
        &format!("GET {}&recovery=1", common::POLLING),
        b"",
    )
    .await;
    let sid: Value = serde_json::from_str(&answer.body[1..]).unwrap();
    sid["sid"].as_str().unwrap().clone_into(&mut poller.sid);
    poller.post(&format!("40{}", memory.auth())).await;
    let body = poller.poll().await.body;
    let packets: Vec<_> = body.split('\u{1e}').collect();
    assert!(packets[0].starts_with("42[\"missed\",1,\"1."), "{body}");
    assert_eq!(Memory::of(packets[1]).pid, memory.pid);
    assert!(
        packets[2].starts_with("42[\"welcome back\",1,\"2."),
        "{body}"
    );
}

#[tokio::test]
async fn missed_events_of_several_namespaces_do_not_overflow_the_queue() {
    let recovery = Recovery {
        max_bytes: 3_000,
        ..Recovery::default()
    };
    let fixture = start(Config {
        recovery: Some(recovery),
        max_queue_bytes: 2_000,
        ..config()
    })
    .await;
    let mut ws = open(&fixture).await;
    let names = ["", "/custom,"];
    let mut memories = Vec::new();
    for name in names {
        ws.send(&format!("40{name}")).await;
        memories.push(Memory::of(&ws.text().await));
    }
    let sockets = fixture.echo.sockets.lock().clone();
    lose_connection(&fixture, ws).await;
    fixture.log.clear();
    for socket in &sockets {
        socket.emit("missed", &"x".repeat(1_800)).unwrap();
    }
    let mut ws = open(&fixture).await;
    // In one piece, so that all of it is read in one run.
    let both: Vec<_> = names
        .iter()
        .zip(&memories)
        .map(|(name, memory)| format!("40{name}{}", memory.auth()))
        .collect();
    let mut frames = BytesMut::new();
    for text in &both {
        frame::encode_client(
            &mut frames,
            true,
            OpCode::Text,
            text.as_bytes(),
            [5, 6, 7, 8],
        );
    }
    ws.raw(&frames).await;
    let mut got = Vec::new();
    while got
        .iter()
        .filter(|text: &&String| text.starts_with("40"))
        .count()
        < 2
    {
        got.push(ws.text().await);
    }
    assert_eq!(
        got.iter().filter(|text| text.contains("missed")).count(),
        2,
        "{got:?}"
    );
    expect_served(&fixture).await;
}

#[tokio::test]
async fn on_polling_missed_events_arrive_with_the_reply() {
    let fixture = server(Recovery::default()).await;
    let (ws, memory, socket) = join(&fixture).await;
    lose_connection(&fixture, ws).await;
    for number in 0..40 {
        socket.emit("missed", &number).unwrap();
    }
    let answer = common::request(
        fixture.addr,
        &format!("GET {}&recovery=1", common::POLLING),
        b"",
    )
    .await;
    let opened: Value = serde_json::from_str(&answer.body[1..]).unwrap();
    let mut poller = Poller::open(fixture.addr).await;
    opened["sid"].as_str().unwrap().clone_into(&mut poller.sid);
    poller.post(&format!("40{}", memory.auth())).await;
    // Node's client reports its offset only after it has the reply: if the connection is lost
    // before, it would receive the first of them twice.
    let body = poller.poll().await.body;
    assert!(
        body.split('\u{1e}')
            .nth(40)
            .is_some_and(|packet| packet.starts_with("40{")),
        "{body}"
    );
}

#[tokio::test]
async fn a_stopping_server_suspends_no_socket() {
    let fixture = server(Recovery::default()).await;
    let (mut ws, ..) = join(&fixture).await;
    fixture.io.drain();
    assert_eq!(ws.end().await, Some(1000));
    fixture
        .log
        .wait_for("disconnected: server shutting down")
        .await;
    expect_no_connections(&fixture).await;
}

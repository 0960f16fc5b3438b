//! Rooms and broadcasts.

#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Fixture, Got, Ws, config, expect_no_connections, serve, start};
use parking_lot::Mutex;
use serde_json::Value;
use socketio::{
    AckError, Adapter, Broadcast, Config, EmitError, Packet, Recovery, Socket, SocketIo, Target,
};

/// Clients in the main namespace, with their sockets.
async fn join(fixture: &Fixture, count: usize) -> Vec<(Ws, Socket<Value>)> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let ws = Ws::join(fixture.addr).await;
        clients.push((ws, fixture.echo.sockets.lock().last().unwrap().clone()));
    }
    clients
}

/// The clients that receive a broadcast.
async fn receivers_of(clients: &mut [(Ws, Socket<Value>)], say: &Broadcast) -> Vec<usize> {
    say.emit("said", &1);
    for (_, socket) in &*clients {
        socket.emit("end", &1).unwrap();
    }
    let mut heard = Vec::new();
    for (number, (ws, _)) in clients.iter_mut().enumerate() {
        loop {
            match ws.text().await.as_str() {
                "42[\"said\",1]" => heard.push(number),
                "42[\"end\",1]" => break,
                other => panic!("{other}"),
            }
        }
    }
    heard
}

#[tokio::test]
async fn a_room_named_like_a_socket_receives_none_of_its_events() {
    let fixture = start(config()).await;
    let mut clients = join(&fixture, 3).await;
    let sockets: Vec<_> = clients.iter().map(|(_, socket)| socket.clone()).collect();
    sockets[1].join(sockets[0].id());
    let all = fixture.io.of("/").unwrap();
    assert_eq!(
        receivers_of(&mut clients, &all.clone().to(sockets[0].id())).await,
        [0, 1]
    );
    assert_eq!(
        receivers_of(&mut clients, &sockets[0].broadcast()).await,
        [2]
    );
    sockets[0].join(sockets[0].id());
    assert_eq!(
        receivers_of(&mut clients, &all.to(sockets[0].id())).await,
        [0, 1],
        "each once"
    );
}

#[tokio::test]
async fn every_selected_socket_receives_it_once() {
    let fixture = start(config()).await;
    let mut clients = join(&fixture, 5).await;
    let all = fixture.io.of("/").unwrap();
    assert!(fixture.io.of("/nowhere").is_none());
    let sockets: Vec<_> = clients.iter().map(|(_, socket)| socket.clone()).collect();
    for (number, rooms) in [(0, "a"), (1, "ab"), (2, "b"), (3, "bc")] {
        for room in rooms.chars() {
            sockets[number].join(&room.to_string());
            sockets[number].join(&room.to_string());
        }
    }
    let clients = &mut clients;
    assert_eq!(receivers_of(clients, &all).await, [0, 1, 2, 3, 4]);
    assert_eq!(receivers_of(clients, &all.clone().to("a")).await, [0, 1]);
    assert_eq!(
        receivers_of(clients, &all.clone().to("a").to("b")).await,
        [0, 1, 2, 3],
        "once, though in both"
    );
    assert_eq!(
        receivers_of(clients, &all.clone().to("b").except("c")).await,
        [1, 2]
    );
    assert_eq!(
        receivers_of(clients, &all.clone().except("a").except("c")).await,
        [2, 4]
    );
    assert_eq!(
        receivers_of(clients, &all.clone().to("nobody")).await,
        [0; 0]
    );
    assert_eq!(
        receivers_of(clients, &sockets[1].to("b")).await,
        [2, 3],
        "not who says it"
    );
    assert_eq!(
        receivers_of(clients, &sockets[1].broadcast()).await,
        [0, 2, 3, 4]
    );
    assert_eq!(
        receivers_of(clients, &all.clone().to(sockets[4].id())).await,
        [4],
        "an id is a room"
    );
    assert_eq!(
        receivers_of(
            clients,
            &all.clone()
                .to("a")
                .to(sockets[1].id())
                .except(sockets[0].id())
        )
        .await,
        [1]
    );
    sockets[3].leave("b");
    sockets[3].leave("b");
    assert_eq!(receivers_of(clients, &all.clone().to("b")).await, [1, 2]);
    assert_eq!(
        sockets[1]
            .rooms()
            .iter()
            .map(|room| &**room)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    all.clone().to("a").join("d");
    all.clone().to("b").leave("d");
    assert_eq!(receivers_of(clients, &all.clone().to("d")).await, [0]);
    assert_eq!(all.clone().to("b").count(), 2);
    assert_eq!(all.clone().to("c").sockets::<Value>(), [sockets[3].clone()]);
    assert_eq!(all.sockets::<u8>().len(), 0);
    // Rooms of other namespaces are separate.
    assert_eq!(fixture.io.of("/custom").unwrap().count(), 0);
    all.clone().to("a").disconnect();
    for (ws, _) in clients.iter_mut().take(2) {
        assert_eq!(ws.text().await, "41");
    }
    clients.drain(..2);
    assert_eq!(receivers_of(clients, &all).await, [0, 1, 2]);
}

#[tokio::test]
async fn an_ended_socket_is_in_no_room() {
    let fixture = start(config()).await;
    let mut clients = join(&fixture, 3).await;
    let all = fixture.io.of("/").unwrap();
    for (_, socket) in &clients {
        socket.join("a");
    }
    let (ws, gone) = clients.remove(0);
    drop(ws);
    fixture.log.wait_for("disconnected: transport close").await;
    let put_out = clients.remove(0).1;
    put_out.disconnect();
    put_out.join("b");
    gone.join("b");
    assert!(gone.rooms().is_empty());
    fixture
        .log
        .wait_for("disconnected: server namespace disconnect")
        .await;
    assert_eq!(
        receivers_of(&mut clients, &all.clone().to("a").to("b")).await,
        [0]
    );
    assert_eq!(all.rooms(), [("a".into(), 1)]);
    drop(clients);
    expect_no_connections(&fixture).await;
    assert!(all.rooms().is_empty());
    assert_eq!(all.count(), 0);
}

#[tokio::test]
async fn volatile_packets_skip_slow_readers_and_disconnect_no_socket() {
    let fixture = start(Config {
        max_queue_bytes: 100_000,
        ..config()
    })
    .await;
    let mut clients = join(&fixture, 2).await;
    let volatile = fixture.io.of("/").unwrap().volatile();
    let args = format!("\"{}\"", "x".repeat(10_000));
    let packet = Packet::event("/", "at", &args);
    let (slow, socket) = clients.remove(0);
    // The kernel buffers some megabytes before writes block.
    for _ in 0..3_000 {
        volatile.emit_packet(&packet);
        let (ws, _) = &mut clients[0];
        assert_eq!(
            ws.text().await.len(),
            args.len() + 9,
            "who reads gets all of it"
        );
    }
    assert_eq!(socket.emit_volatile(&packet), Err(EmitError::Full));
    assert!(socket.is_connected() && socket.queued_bytes() < 40_000);
    socket.emit("but this", &1).unwrap();
    let mut slow = slow;
    let mut got = 0;
    while slow.text().await != "42[\"but this\",1]" {
        got += 1;
    }
    assert!(got < 3_000, "{got}");
    drop(slow);
    fixture.log.wait_for("disconnected: transport close").await;
    assert_eq!(socket.emit_volatile(&packet), Err(EmitError::Closed));
}

#[tokio::test]
async fn broadcasts_with_acknowledgements_report_each_socket() {
    let fixture = start(config()).await;
    let mut clients = join(&fixture, 3).await;
    // Acknowledgement ids that a socket counts itself do not interfere.
    clients[0].0.send("42[\"ask\",5000]").await;
    assert!(clients[0].0.text().await.starts_with("451-0[\"question\""));
    assert_eq!(clients[0].0.next().await, Got::Binary(vec![9, 8]));
    let asking =
        fixture
            .io
            .of("/")
            .unwrap()
            .emit_with_ack("well?", "7", &[], Duration::from_millis(300));
    let mut ids = Vec::new();
    for (ws, _) in &mut clients {
        let text = ws.text().await;
        let id = text
            .strip_prefix("42")
            .unwrap()
            .strip_suffix("[\"well?\",7]")
            .unwrap_or_else(|| panic!("{text}"))
            .to_owned();
        assert!(
            id.parse::<u64>().unwrap() < 1 << 53,
            "JavaScript can count so far"
        );
        ids.push(id);
    }
    assert!(
        ids.iter().all(|id| *id == ids[0]),
        "one encoding for all of them"
    );
    clients[0].0.send(&format!("43{}[\"fine\"]", ids[0])).await;
    clients[0].0.send("430[\"the other one\"]").await;
    drop(clients.remove(1).0);
    let answers = asking.await;
    let answer = |socket: &Socket<Value>| {
        answers
            .iter()
            .find(|(id, _)| id == socket.id())
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(answer(&clients[0].1).unwrap().args(), "\"fine\"");
    assert_eq!(answer(&clients[1].1).unwrap_err(), AckError::Timeout);
    assert_eq!(
        answers
            .iter()
            .filter(|(_, answer)| matches!(answer, Err(AckError::Closed)))
            .count(),
        1
    );
    fixture.log.wait_for("answer \"the other one\" []").await;
}

#[tokio::test]
async fn a_suspended_socket_receives_it_after_its_return() {
    let fixture = start(Config {
        recovery: Some(Recovery::default()),
        ..config()
    })
    .await;
    let mut ws = Ws::connect(fixture.addr, &format!("{}&recovery=1", common::WEBSOCKET)).await;
    ws.text().await;
    ws.send("40").await;
    let answer = ws.text().await;
    let pid = answer.split('"').nth(7).unwrap();
    let socket = fixture.echo.sockets.lock()[0].clone();
    socket.join("a");
    fixture
        .io
        .of("/")
        .unwrap()
        .to("a")
        .volatile()
        .emit("now", "1.1");
    assert_eq!(
        ws.text().await,
        format!("42[\"now\",\"1.1\",\"0.{}\"]", socket.key()),
        "what is not kept has an offset too"
    );
    drop(ws);
    fixture.log.wait_for("suspended: transport close").await;
    fixture
        .io
        .of("/")
        .unwrap()
        .to("a")
        .volatile()
        .emit("lost", &1);
    fixture.io.of("/").unwrap().to("a").emit("said", &1);
    let mut ws = Ws::connect(fixture.addr, &format!("{}&recovery=1", common::WEBSOCKET)).await;
    ws.text().await;
    ws.send(&format!(
        "40{{\"pid\":\"{pid}\",\"offset\":\"0.{}\"}}",
        socket.key()
    ))
    .await;
    assert_eq!(
        ws.text().await,
        format!("42[\"said\",1,\"1.{}\"]", socket.key())
    );
    assert_eq!(ws.text().await, answer);
    assert_eq!(socket.rooms().len(), 1);
}

/// Sends to the other node what a network would.
#[derive(Clone, Default)]
struct Bus(Arc<Mutex<Option<SocketIo>>>);

impl Adapter for Bus {
    fn publish(&self, target: &Target, packet: &Packet) {
        let (target, packet) = (serde_json::to_string(target).unwrap(), packet.to_bytes());
        let target: Target = serde_json::from_str(&target).unwrap();
        self.0
            .lock()
            .as_ref()
            .unwrap()
            .deliver(&target, &Packet::from_bytes(packet).unwrap());
    }
}

#[tokio::test]
async fn other_nodes_receive_non_local_broadcasts() {
    let bus = Bus::default();
    let there = start(config()).await;
    *bus.0.lock() = Some(there.io.clone());
    let echo = common::Echo::default();
    let io = SocketIo::builder(config())
        .namespace("/", echo.clone())
        .adapter(bus)
        .build();
    let here = serve(io, echo).await;
    let theirs = join(&there, 2).await;
    let ours = join(&here, 2).await;
    theirs[0].1.join("a");
    ours[1].1.join("a");
    let all = here.io.of("/").unwrap();
    all.clone().local().emit("local", &1);
    ours[0].1.to("a").emit("room", &1);
    all.emit("all", &1);
    for (ws, expected) in theirs.into_iter().chain(ours).map(|(ws, _)| ws).zip([
        "room all",
        "all",
        "local all",
        "local room all",
    ]) {
        let mut ws = ws;
        for name in expected.split(' ') {
            assert_eq!(ws.text().await, format!("42[\"{name}\",1]"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn joining_leaving_sending_and_closing_concurrently() {
    let fixture = start(config()).await;
    let all = fixture.io.of("/").unwrap();
    let speaking = {
        let all = all.clone();
        tokio::spawn(async move {
            loop {
                all.clone().to("a").to("b").emit("said", &1);
                all.clone().to("a").join("c");
                tokio::task::yield_now().await;
            }
        })
    };
    let addr = fixture.addr;
    let clients = (0..60).map(|_| {
        tokio::spawn(async move {
            let mut ws = Ws::join(addr).await;
            ws.send("420[\"message-with-ack\"]").await;
            while ws.text().await != "430[]" {}
        })
    });
    let clients: Vec<_> = clients.collect();
    while !clients.iter().all(tokio::task::JoinHandle::is_finished) {
        for socket in fixture.echo.sockets.lock().iter() {
            socket.join("a");
            socket.join("b");
            socket.leave("a");
        }
        tokio::task::yield_now().await;
    }
    speaking.abort();
    let _ = speaking.await;
    expect_no_connections(&fixture).await;
    while all.count() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(all.rooms().is_empty(), "{:?}", all.rooms());
}

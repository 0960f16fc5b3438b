//! Recovery on another node than the one that has the socket.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{
    Fixture, PATIENCE, WEBSOCKET, Ws, config, expect_no_connections,
    memory::Memory,
    nodes::{Directory, node},
    request,
};
use serde_json::{Value, json};
use socketio::{Config, EmitError, Packet, Recovery, Socket};
use tokio::{net::TcpListener, time::timeout};

async fn nodes<const N: usize>() -> (Directory, [Fixture; N]) {
    let config = Config {
        recovery: Some(Recovery::default()),
        ..config()
    };
    let directory = Directory::default();
    let mut nodes = Vec::new();
    for number in 0..N {
        nodes.push(node(&directory, &format!("n{number}"), config.clone()).await);
    }
    (directory, nodes.try_into().ok().unwrap())
}

async fn open(node: &Fixture) -> Ws {
    let mut ws = Ws::connect(node.addr, &format!("{WEBSOCKET}&recovery=1")).await;
    assert!(ws.text().await.starts_with("0{"));
    ws
}

fn newest(node: &Fixture) -> Socket<Value> {
    node.echo.sockets.lock().last().unwrap().clone()
}

async fn join(node: &Fixture) -> (Ws, Memory, Socket<Value>) {
    let mut ws = open(node).await;
    ws.send("40").await;
    let memory = Memory::of(&ws.text().await);
    (ws, memory, newest(node))
}

async fn lose(node: &Fixture, ws: Ws) {
    node.log.clear();
    drop(ws);
    node.log.wait_for("suspended: transport close").await;
}

/// Connects with the client's recovery state. Returns what it missed, and whether it has its socket
/// back.
async fn back(node: &Fixture, memory: &mut Memory) -> (Ws, Vec<String>, bool) {
    let mut ws = open(node).await;
    ws.send(&format!("40{}", memory.auth())).await;
    let mut missed = Vec::new();
    loop {
        let text = ws.text().await;
        if text.starts_with("40") {
            let now = Memory::of(&text);
            let is_same = (&now.sid, &now.pid) == (&memory.sid, &memory.pid);
            let first = memory.receive_event(&ws.text().await);
            assert_eq!(is_same, first == "[\"welcome back\",1]", "{first}");
            return (ws, missed, is_same);
        }
        missed.push(memory.receive_event(&text));
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("[\"n\",{number}]")).collect()
}

#[tokio::test]
async fn c14_a_client_resumes_on_any_node_repeatedly_and_receives_each_event_once() {
    let (_, nodes) = nodes::<3>().await;
    let (mut ws, mut memory, mut socket) = join(&nodes[0]).await;
    assert!(memory.pid.starts_with("n0."));
    let (mut at, mut next) = (0, 1);
    socket.join("a room");
    // To another node, to a third one that has to ask the first, home, to the same node, and again.
    for to in [1, 2, 0, 0, 1, 0, 2, 1, 1] {
        socket.emit("n", &next).unwrap();
        assert_eq!(
            memory.receive_event(&ws.text().await),
            numbers(next..next + 1)[0]
        );
        // Received or not: the connection breaks with this on its way.
        socket.emit("n", &(next + 1)).unwrap();
        lose(&nodes[at], ws).await;
        socket.emit("n", &(next + 2)).unwrap();
        let missed;
        let recovered;
        (ws, missed, recovered) = back(&nodes[to], &mut memory).await;
        assert!(recovered, "from {at} to {to}");
        assert_eq!(missed, numbers(next + 1..next + 3), "from {at} to {to}");
        if to != at {
            nodes[at].log.wait_for("disconnected: moved").await;
            assert_eq!(socket.emit("n", &0), Err(EmitError::Closed));
            assert_eq!(nodes[at].io.recovery_bytes(), 0);
            socket = newest(&nodes[to]);
        }
        assert_eq!(socket.rooms().len(), 1);
        // Events go to the application here.
        ws.send("42[\"message\",5]").await;
        assert_eq!(
            memory.receive_event(&ws.text().await),
            "[\"message-back\",5]"
        );
        // Lost at once: a second recovery returns nothing, on any node.
        lose(&nodes[to], ws).await;
        let again = (to + 1) % 3;
        let missed;
        (ws, missed, _) = back(&nodes[again], &mut memory).await;
        assert!(missed.is_empty(), "{missed:?}");
        socket = newest(&nodes[again]);
        (at, next) = (again, next + 3);
    }
    drop(ws);
}

#[tokio::test]
async fn events_that_both_nodes_emit_during_a_move_arrive_once_and_in_order() {
    let (_, nodes) = nodes::<2>().await;
    let (ws, mut memory, socket) = join(&nodes[0]).await;
    lose(&nodes[0], ws).await;
    let old = socket.clone();
    // The new node gets 2 and 3 first; the old one is behind, and gets 1 and 2 while it settles.
    *nodes[1].echo.moves.prepare.lock() = Some(Box::new(move |new| {
        assert!(!new.is_connected());
        for number in [2, 3] {
            new.emit("n", &number).unwrap();
        }
        assert_eq!(
            new.emit_volatile(&Packet::event("/", "n", "0")),
            Err(EmitError::Closed)
        );
        old.emit("n", &1).unwrap();
        true
    }));
    *nodes[0].echo.moves.settle.lock() = Some(Box::new(|old| old.emit("n", &2).is_ok()));
    let (mut ws, missed, recovered) = back(&nodes[1], &mut memory).await;
    assert!(recovered);
    assert_eq!(missed, numbers(1..4));
    newest(&nodes[1]).emit("n", &4).unwrap();
    assert_eq!(memory.receive_event(&ws.text().await), numbers(4..5)[0]);
}

#[tokio::test]
async fn an_event_that_both_the_old_and_the_new_node_have_arrives_once() {
    let (_, nodes) = nodes::<2>().await;
    let (ws, mut memory, _) = join(&nodes[0]).await;
    lose(&nodes[0], ws).await;
    *nodes[0].echo.moves.settle.lock() = Some(Box::new(|old| old.emit("n", &1).is_ok()));
    *nodes[1].echo.moves.settle.lock() = Some(Box::new(|new| {
        (1..3).for_each(|number| new.emit("n", &number).unwrap());
        true
    }));
    let (ws, missed, recovered) = back(&nodes[1], &mut memory).await;
    assert!(recovered);
    assert_eq!(missed, numbers(1..3));
    drop(ws);
}

#[tokio::test]
async fn c14_a_late_node_does_not_repeat_events_of_earlier_nodes() {
    let (_, nodes) = nodes::<3>().await;
    let (mut ws, mut memory, socket) = join(&nodes[0]).await;
    socket.emit("n", &1).unwrap();
    assert_eq!(memory.receive_event(&ws.text().await), numbers(1..2)[0]);
    lose(&nodes[0], ws).await;
    let (mut ws, missed, _) = back(&nodes[1], &mut memory).await;
    assert_eq!(missed, numbers(0..0));
    newest(&nodes[1]).emit("n", &2).unwrap();
    assert_eq!(memory.receive_event(&ws.text().await), numbers(2..3)[0]);
    lose(&nodes[1], ws).await;
    *nodes[2].echo.moves.prepare.lock() = Some(Box::new(|new| {
        (1..4).for_each(|number| new.emit("n", &number).unwrap());
        true
    }));
    let (ws, missed, recovered) = back(&nodes[2], &mut memory).await;
    assert!(recovered);
    assert_eq!(missed, numbers(3..4));
    drop(ws);
}

#[tokio::test]
async fn a_connection_that_still_counts_as_alive_is_closed_for_the_move() {
    let (_, nodes) = nodes::<2>().await;
    let (half_open, mut memory, socket) = join(&nodes[0]).await;
    socket.emit("n", &1).unwrap();
    let (_ws, missed, recovered) = back(&nodes[1], &mut memory).await;
    assert!(recovered);
    assert_eq!(missed, numbers(1..2));
    expect_no_connections(&nodes[0]).await;
    drop(half_open);
}

#[tokio::test]
async fn c14_only_one_node_takes_over_a_socket() {
    for _ in 0..10 {
        let (_, nodes) = nodes::<3>().await;
        let (ws, memory, socket) = join(&nodes[0]).await;
        lose(&nodes[0], ws).await;
        socket.emit("n", &1).unwrap();
        let mut copies = [memory.clone(), memory.clone(), memory];
        let [one, two, three] = &mut copies;
        // Two on one node, too.
        let all = tokio::join!(
            back(&nodes[1], one),
            back(&nodes[2], two),
            back(&nodes[1], three)
        );
        let recovered = [&all.0, &all.1, &all.2].map(|(_, missed, recovered)| {
            assert_eq!(missed.len(), usize::from(*recovered));
            *recovered
        });
        assert_eq!(
            recovered.iter().filter(|yes| **yes).count(),
            1,
            "{recovered:?}"
        );
    }
}

#[tokio::test]
async fn a_socket_moves_only_with_its_secret_and_user() {
    let (directory, nodes) = nodes::<2>().await;
    let mut ws = open(&nodes[0]).await;
    ws.send("40{\"user\":\"asha\"}").await;
    let mut memory = Memory::of(&ws.text().await);
    memory.receive_event(&ws.text().await);
    lose(&nodes[0], ws).await;
    let right = memory.pid.clone();
    let random = right.split_once('.').unwrap().1.to_owned();
    let mut guess = random.clone().into_bytes();
    guess[19] = if guess[19] == b'A' { b'Q' } else { b'A' };
    let guess = String::from_utf8(guess).unwrap();
    for pid in [
        format!("n0.{guess}"),
        format!("n1.{random}"),
        format!("nobody.{random}"),
        format!("n0.{random}x"),
        format!("n0..{random}"),
        random.clone(),
        "n0.".to_owned(),
        String::new(),
    ] {
        let auth = json!({ "pid": pid, "offset": null, "user": "asha" });
        let mut ws = open(&nodes[1]).await;
        ws.send(&format!("40{auth}")).await;
        assert_ne!(Memory::of(&ws.text().await).sid, memory.sid, "{pid}");
    }
    // The right secret with another user, in another namespace, and without a proof.
    let mut ws = open(&nodes[1]).await;
    ws.send(&format!("40{}", json!({ "pid": right, "user": "ben" })))
        .await;
    assert_ne!(Memory::of(&ws.text().await).sid, memory.sid);
    let question =
        json!({ "pid": right, "offset": null, "namespace": "/", "by": "n1" }).to_string();
    for step in ["claim", "take", "written", "placed", "?"] {
        let head = format!("POST /socket.io/?move={step}");
        assert_eq!(
            request(nodes[0].addr, &head, question.as_bytes())
                .await
                .status,
            400
        );
    }
    let proof = "\r\nX-Node: what only nodes know\r\nX-Client: 127.0.0.1:1\r\n";
    for (step, body) in [
        ("claim", question.replace("\"/\"", "\"/other\"")),
        ("later", question.clone()),
    ] {
        let head = format!("POST /socket.io/?move={step}{proof}");
        assert_eq!(
            request(nodes[0].addr, &head, body.as_bytes()).await.status,
            404
        );
    }
    for body in ["", "{", "[1]"] {
        let head = format!("POST /socket.io/?move=claim{proof}");
        assert_eq!(
            request(nodes[0].addr, &head, body.as_bytes()).await.status,
            400
        );
    }
    // After all of that its client has it back. It reports no offset, so the first event comes again.
    let mut ws = open(&nodes[1]).await;
    ws.send(&format!("40{}", json!({ "pid": right, "user": "asha" })))
        .await;
    assert!(
        memory
            .receive_event(&ws.text().await)
            .starts_with("[\"auth\"")
    );
    assert_eq!(Memory::of(&ws.text().await).sid, memory.sid);
    drop(directory);
}

#[tokio::test]
async fn c14_the_client_soon_gets_a_new_socket_if_the_old_node_does_not_answer() {
    let (directory, nodes) = nodes::<2>().await;
    let (ws, memory, _) = join(&nodes[0]).await;
    lose(&nodes[0], ws).await;
    // It accepts connections and answers none, as a stopped process.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    directory.insert("n0", silent.local_addr().unwrap());
    let began = tokio::time::Instant::now();
    let (_, missed, recovered) = back(&nodes[1], &mut memory.clone()).await;
    assert!(!recovered && missed.is_empty());
    assert!(began.elapsed() >= Duration::from_millis(900));
    drop(silent);
    let (_, _, recovered) = back(&nodes[1], &mut memory.clone()).await;
    assert!(!recovered, "nobody listens");
    directory.remove("n0");
    let (_, _, recovered) = back(&nodes[1], &mut memory.clone()).await;
    assert!(!recovered, "unknown");
    // Nothing was taken: it is the same node as before.
    directory.insert("n0", nodes[0].addr);
    let (_, _, recovered) = back(&nodes[1], &mut memory.clone()).await;
    assert!(recovered);
}

#[tokio::test]
async fn an_application_that_cannot_vouch_for_its_events_hands_over_no_socket() {
    let (_, nodes) = nodes::<2>().await;
    for (step, stays) in [
        (&nodes[1].echo.moves.prepare, true),
        (&nodes[0].echo.moves.settle, true),
    ] {
        let (ws, memory, _) = join(&nodes[0]).await;
        lose(&nodes[0], ws).await;
        *step.lock() = Some(Box::new(|_| false));
        nodes[1].log.clear();
        let (ws, _, recovered) = back(&nodes[1], &mut memory.clone()).await;
        assert!(!recovered);
        nodes[1].log.wait_for("disconnected: transport close").await;
        *step.lock() = None;
        drop(ws);
        let (_, _, recovered) = back(&nodes[0], &mut memory.clone()).await;
        assert_eq!(recovered, stays);
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_a_move_finds_its_socket_on_the_old_node() {
    let (_, nodes) = nodes::<2>().await;
    let (ws, mut memory, socket) = join(&nodes[0]).await;
    lose(&nodes[0], ws).await;
    socket.emit("n", &1).unwrap();
    let never = &nodes[1].echo.moves.never_prepared;
    never.store(true, Ordering::Relaxed);
    let mut ws = open(&nodes[1]).await;
    ws.send(&format!("40{}", memory.auth())).await;
    nodes[1]
        .log
        .wait_for(&format!("prepare {}", memory.sid))
        .await;
    drop(ws);
    nodes[1].log.wait_for("disconnected: transport close").await;
    never.store(false, Ordering::Relaxed);
    let (_ws, missed, recovered) = back(&nodes[1], &mut memory).await;
    assert!(recovered);
    assert_eq!(missed, numbers(1..2));
}

#[tokio::test]
async fn callbacks_of_the_old_node_run_after_the_new_node_has_written() {
    let (_, nodes) = nodes::<2>().await;
    let (ws, mut memory, socket) = join(&nodes[0]).await;
    lose(&nodes[0], ws).await;
    let written = Arc::new(AtomicUsize::new(0));
    for number in 1..4 {
        let written = written.clone();
        let packet = Packet::event("/", "n", &number.to_string());
        let count = move || {
            written.fetch_add(1, Ordering::Relaxed);
        };
        socket.emit_then(&packet, count).unwrap();
    }
    let here = written.clone();
    *nodes[1].echo.moves.prepare.lock() = Some(Box::new(move |new| {
        let here = here.clone();
        let count = move || {
            here.fetch_add(10, Ordering::Relaxed);
        };
        new.emit_then(&Packet::event("/", "n", "4"), count).is_ok()
    }));
    let (_ws, missed, recovered) = back(&nodes[1], &mut memory).await;
    assert!(recovered);
    assert_eq!(missed, numbers(1..5));
    let all = timeout(PATIENCE, async {
        while written.load(Ordering::Relaxed) < 13 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    all.await.unwrap();
}

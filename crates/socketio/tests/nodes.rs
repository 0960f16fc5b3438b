//! Several nodes behind a balancer without sticky sessions: each request may meet any of them.

#![allow(clippy::unwrap_used)]

mod common;

use std::{net::SocketAddr, time::Duration};

use common::{
    Fixture, Got, PATIENCE, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections,
    nodes::{Directory, node},
    request, send_request,
};
use socketio::{Config, Connections, Packet};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

async fn nodes<const N: usize>(config: &Config) -> (Directory, [Fixture; N]) {
    let directory = Directory::default();
    let mut nodes = Vec::new();
    for number in 0..N {
        nodes.push(node(&directory, &format!("n{number}"), config.clone()).await);
    }
    (directory, nodes.try_into().ok().unwrap())
}

/// A client on polling, each request of which meets the next node.
struct RoundRobin {
    poller: Poller,
    all: Vec<SocketAddr>,
    next: usize,
}

impl RoundRobin {
    async fn join(nodes: &[Fixture]) -> Self {
        let all: Vec<_> = nodes.iter().map(|node| node.addr).collect();
        let poller = Poller::open(all[0]).await;
        let mut robin = Self {
            poller,
            all,
            next: 1,
        };
        assert_eq!(robin.turn().post("40").await.body, "ok");
        assert!(robin.turn().poll().await.body.starts_with("40{\"sid\":"));
        robin
    }

    fn turn(&mut self) -> &Poller {
        self.poller.addr = self.all[self.next % self.all.len()];
        self.next += 1;
        &self.poller
    }
}

/// Opens a session by polling, and joins.
async fn upgraded(first: &Fixture, second: &Fixture) -> Ws {
    let poller = Poller::join(first.addr).await;
    let mut ws = Ws::connect(second.addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws.send("5").await;
    ws
}

async fn expect_no_tunnels(node: &Fixture) {
    let gone = timeout(PATIENCE, async {
        while node.io.tunnels() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(gone.await.is_ok(), "{} tunnels", node.io.tunnels());
}

#[tokio::test]
async fn ids_carry_the_tag_of_their_node() {
    let (_, [one, _]) = nodes(&config()).await;
    let poller = Poller::open(one.addr).await;
    let random = poller.sid.strip_prefix("n0.").unwrap();
    assert_eq!(random.len(), 20);
    // Without its tag no node accepts it, and the tag cannot be guessed.
    for sid in [random, "n0.", ".", "n0", &format!("n0..{random}")] {
        let answer = request(one.addr, &format!("GET {POLLING}&sid={sid}"), b"").await;
        assert_eq!(answer.status, 400, "{sid}");
        assert!(answer.body.contains("\"code\":1"), "{answer:?}");
    }
}

#[tokio::test]
async fn each_request_of_a_client_on_polling_may_meet_another_node() {
    let (_, nodes) = nodes::<3>(&config()).await;
    let mut robin = RoundRobin::join(&nodes).await;
    for number in 0..30 {
        let sent = format!("42[\"message\",{number}]");
        assert_eq!(robin.turn().post(&sent).await.body, "ok");
        assert_eq!(
            robin.turn().poll().await.body,
            format!("42[\"message-back\",{number}]")
        );
    }
    // A poll that waits is answered once there is something.
    let mut waiting = robin.turn().start_poll().await;
    let socket = nodes[0].echo.sockets.lock()[0].clone();
    socket.emit("late", &1).unwrap();
    assert_eq!(
        common::read_answer(&mut waiting).await.body,
        "42[\"late\",1]"
    );
    let here = nodes[0].io.connections();
    assert_eq!((here.polling, here.websocket), (1, 0));
    for other in &nodes[1..] {
        assert_eq!(other.io.connections(), Connections::default());
    }
}

#[tokio::test]
async fn large_payloads_pass_through_whole_and_too_large_ones_are_refused() {
    let (_, nodes) = nodes::<2>(&config()).await;
    let mut robin = RoundRobin::join(&nodes).await;
    robin.poller.addr = nodes[1].addr;
    let large = format!("42[\"message\",\"{}\"]", "x".repeat(900_000));
    assert_eq!(robin.poller.post(&large).await.body, "ok");
    let back = robin.poller.poll().await;
    assert_eq!(back.body, large.replace("message", "message-back"));
    let socket = nodes[0].echo.sockets.lock()[0].clone();
    let more = "y".repeat(3_000_000);
    socket.emit("more", &more).unwrap();
    assert!(robin.poller.poll().await.body.ends_with("yyy\"]"));
    let over = robin.poller.post(&"x".repeat(1_000_001)).await;
    assert_eq!(over.status, 413);
    // Without a length, too: the other node stops at its limit.
    let head = format!(
        "POST {}\r\nTransfer-Encoding: chunked\r\nX-Test: without content-length\r\n",
        robin.poller.url()
    );
    let mut body = Vec::new();
    for _ in 0..20 {
        body.extend_from_slice(b"10000\r\n");
        body.extend_from_slice(&[b'x'; 0x10000]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let mut stream = send_request(nodes[1].addr, &head, &body).await;
    assert_eq!(common::read_answer(&mut stream).await.status, 413);
    // The session continues, as it does on one node.
    assert_eq!(robin.turn().post("42[\"message\",1]").await.body, "ok");
}

#[tokio::test]
async fn an_upgrade_through_another_node_carries_everything_that_follows() {
    let (_, [one, two]) = nodes(&config()).await;
    let mut ws = upgraded(&one, &two).await;
    for number in 0..50 {
        ws.send(&format!("42[\"message\",{number}]")).await;
        assert_eq!(ws.text().await, format!("42[\"message-back\",{number}]"));
    }
    let large = "z".repeat(900_000);
    ws.send(&format!("42[\"message\",\"{large}\"]")).await;
    assert_eq!(ws.text().await, format!("42[\"message-back\",\"{large}\"]"));
    ws.send_binary(&[1, 2, 3]).await;
    // A binary packet that belongs to no event: the close code passes through, too.
    assert_eq!(ws.end().await, Some(1000));
    expect_no_tunnels(&two).await;
    expect_no_connections(&one).await;
}

#[tokio::test]
async fn a_tunnel_ends_with_either_side() {
    let (_, [one, two]) = nodes(&config()).await;
    let mut ws = upgraded(&one, &two).await;
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
    assert_eq!((one.io.tunnels(), two.io.tunnels()), (0, 1));
    assert_eq!(one.io.forwarded(), Some(0));
    assert!(two.io.forwarded() > Some(0));
    drop(ws);
    one.log.wait_for("disconnected: transport close").await;
    expect_no_tunnels(&two).await;
    let mut ws = upgraded(&one, &two).await;
    ws.send("42[\"drop\"]").await;
    assert_eq!(ws.end().await, Some(1000));
    drop(ws);
    expect_no_tunnels(&two).await;
}

#[tokio::test]
async fn a_reader_behind_another_node_that_reads_nothing_is_cut_off() {
    let config = Config {
        write_timeout: Some(Duration::from_millis(400)),
        max_queue_bytes: 64_000_000,
        ..config()
    };
    let (_, [one, two]) = nodes(&config).await;
    let mut ws = upgraded(&one, &two).await;
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
    let socket = one.echo.sockets.lock()[0].clone();
    let packet = Packet::event("/", "flood", &format!("\"{}\"", "x".repeat(1_000_000)));
    for _ in 0..40 {
        socket.emit_packet(&packet).unwrap();
    }
    one.log.wait_for("disconnected: slow reader").await;
    // A slow client that reads stays connected: everything arrives, in order and once.
    let mut ws = upgraded(&one, &two).await;
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
    let socket = one.echo.sockets.lock()[1].clone();
    for number in 0..20 {
        let text = format!("{number},\"{}\"", "x".repeat(500_000));
        socket.emit_packet(&Packet::event("/", "n", &text)).unwrap();
    }
    for number in 0..20 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(
            ws.text()
                .await
                .starts_with(&format!("42[\"n\",{number},\"xxx"))
        );
    }
}

#[tokio::test]
async fn a_client_of_a_stopped_node_is_directed_to_open_a_new_session() {
    let (directory, [one, two]) = nodes(&config()).await;
    let mut poller = Poller::join(one.addr).await;
    poller.addr = two.addr;
    // Not there, and still listed: it accepts no connection.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    directory.insert("n0", listener.local_addr().unwrap());
    drop(listener);
    for answer in [poller.poll().await, poller.post("42[\"x\"]").await] {
        assert_eq!(answer.status, 502);
        assert!(answer.body.contains("\"code\":3"), "{answer:?}");
    }
    let url = format!("{WEBSOCKET}&sid={}", poller.sid);
    let refused = Ws::try_connect(two.addr, &url, "").await.err().unwrap();
    assert!(refused.starts_with("HTTP/1.1 502"), "{refused}");
    directory.remove("n0");
    let answer = poller.poll().await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("\"code\":1"), "{answer:?}");
    let refused = Ws::try_connect(two.addr, &url, "").await.err().unwrap();
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
}

/// A node that reads a request, sends `answer` and closes.
async fn broken_node(directory: &Directory, tag: &str, answer: &'static str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    directory.insert(tag, listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 8192];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
}

#[tokio::test]
async fn a_node_that_dies_during_a_request_leaves_no_partial_response() {
    let (directory, [one]) = nodes(&config()).await;
    broken_node(&directory, "dead", "").await;
    let url = format!("{POLLING}&sid=dead.AAAAAAAAAAAAAAAAAAAA");
    let answer = request(one.addr, &format!("GET {url}"), b"").await;
    assert_eq!(answer.status, 502);
    let answer = request(one.addr, &format!("POST {url}"), b"42[\"x\"]").await;
    assert_eq!(answer.status, 502);
    broken_node(
        &directory,
        "half",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n42[\"half",
    )
    .await;
    let answer = request(
        one.addr,
        &format!("GET {POLLING}&sid=half.AAAAAAAAAAAAAAAAAAAA"),
        b"",
    )
    .await;
    // The length shows that bytes are missing.
    assert_eq!(answer.header("content-length"), Some("100"));
    assert!(answer.body.len() < 100);
}

#[tokio::test]
async fn a_request_is_forwarded_at_most_once() {
    let (directory, [one, two]) = nodes(&config()).await;
    // Each node believes that the other has the session.
    directory.insert("lost", two.addr);
    let url = format!("GET {POLLING}&sid=lost.AAAAAAAAAAAAAAAAAAAA");
    let answer = request(one.addr, &url, b"").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("\"code\":1"), "{answer:?}");
    // A client cannot pretend to be a node.
    let poller = Poller::join(one.addr).await;
    let forged = format!(
        "GET {}\r\nX-Node: a guess\r\nX-Client: 192.0.2.1:1\r\n",
        poller.url()
    );
    let socket = one.echo.sockets.lock()[0].clone();
    socket.emit("a", &1).unwrap();
    assert_eq!(request(two.addr, &forged, b"").await.body, "42[\"a\",1]");
}

#[tokio::test]
async fn a_stopping_node_ends_its_forwarded_requests() {
    let (_, [one, two]) = nodes(&config()).await;
    let mut ws = upgraded(&one, &two).await;
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
    let poller = Poller::join(one.addr).await;
    let through = Poller {
        addr: two.addr,
        sid: poller.sid.clone(),
    };
    let mut waiting = through.start_poll().await;
    two.io.drain();
    assert!(matches!(ws.next().await, Got::Eof));
    assert_eq!(common::read_answer(&mut waiting).await.status, 503);
    assert_eq!(through.post("42[\"x\"]").await.status, 503);
    timeout(PATIENCE, two.io.closed()).await.unwrap();
    expect_no_tunnels(&two).await;
}

//! The observer receives every event once.
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
    Echo, Fixture, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections, request, serve,
};
use parking_lot::Mutex;
use socketio::{Config, DisconnectReason, Observer, Packet, Rejection, SocketIo, TransportKind};

/// Records rare events, and sums frequent ones.
#[derive(Default)]
struct Seen {
    lines: Mutex<Vec<String>>,
    messages_out: [AtomicUsize; 2],
    bytes_out: [AtomicUsize; 2],
    /// The messages of each write.
    writes: Mutex<Vec<usize>>,
    messages_in: [AtomicUsize; 2],
    bytes_in: [AtomicUsize; 2],
    full: AtomicUsize,
    handled: AtomicUsize,
    pongs: Mutex<Vec<Duration>>,
}

impl Seen {
    fn add(&self, line: String) {
        self.lines.lock().push(line);
    }

    fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock())
    }

    /// Messages and bytes received and sent since the last call.
    fn traffic(&self, transport: TransportKind) -> [usize; 4] {
        [
            &self.messages_in,
            &self.bytes_in,
            &self.messages_out,
            &self.bytes_out,
        ]
        .map(|counts| counts[transport as usize].swap(0, Ordering::Relaxed))
    }
}

fn add(counts: &[AtomicUsize; 2], transport: TransportKind, count: usize) {
    counts[transport as usize].fetch_add(count, Ordering::Relaxed);
}

impl Observer for Seen {
    fn opened(&self, transport: TransportKind) {
        self.add(format!("opened {transport}"));
    }

    fn upgraded(&self) {
        self.add("upgraded".to_owned());
    }

    fn closed(&self, transport: TransportKind, reason: DisconnectReason) {
        self.add(format!("closed {transport}: {reason}"));
    }

    fn refused(&self, why: Rejection) {
        self.add(format!("refused: {why}"));
    }

    fn received(&self, transport: TransportKind, bytes: usize) {
        add(&self.messages_in, transport, 1);
        add(&self.bytes_in, transport, bytes);
    }

    fn sent(&self, transport: TransportKind, messages: usize, bytes: usize) {
        add(&self.messages_out, transport, messages);
        add(&self.bytes_out, transport, bytes);
        self.writes.lock().push(messages);
    }

    fn queue_full(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    fn pong(&self, latency: Duration) {
        self.pongs.lock().push(latency);
    }

    fn event(&self, namespace: &str, name: &str) {
        self.add(format!("event {namespace} {name}"));
    }

    fn handled(&self, _: &str, _: Duration) {
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}

async fn start(config: Config) -> (Fixture, Arc<Seen>) {
    let (echo, seen) = (Echo::default(), Arc::new(Seen::default()));
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .namespace("/custom", echo.clone())
        .allow_request(|parts, _| match parts.headers.get("origin") {
            Some(_) => Err(socketio::Refusal::forbidden("no")),
            None => Ok(()),
        })
        .observer(seen.clone())
        .build();
    (serve(io, echo).await, seen)
}

#[tokio::test]
async fn connections_and_their_traffic_are_reported_to_the_byte_on_both_transports() {
    let (fixture, seen) = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let connected = "40{\"sid\":\"xxxxxxxxxxxxxxxxxxxx\"}".len();
    let binary = "451-[\"message\",{\"_placeholder\":true,\"num\":0}]";
    assert_eq!(seen.traffic(TransportKind::WebSocket), [1, 2, 1, connected]);
    ws.send("42[\"message\",1]").await;
    let back = ws.text().await;
    assert_eq!(
        seen.traffic(TransportKind::WebSocket),
        [1, 15, 1, back.len()]
    );
    ws.send(binary).await;
    ws.send_binary(&[1, 2, 3]).await;
    let back = ws.text().await;
    ws.next().await;
    assert_eq!(
        seen.traffic(TransportKind::WebSocket),
        [2, binary.len() + 3, 2, back.len() + 3]
    );
    // Packets that are sent as one.
    let socket = fixture.echo.sockets.lock()[0].clone();
    socket
        .emit_packet(&Packet::batch([
            Packet::event("/", "a", ""),
            Packet::event("/", "b", ""),
        ]))
        .unwrap();
    assert_eq!((ws.text().await.len(), ws.text().await.len()), (7, 7));
    assert_eq!(seen.traffic(TransportKind::WebSocket), [0, 0, 2, 14]);
    assert_eq!(
        seen.take_lines(),
        ["opened websocket", "event / message", "event / message"]
    );
    assert_eq!(seen.handled.load(Ordering::Relaxed), 2);
    ws.send("1").await;
    ws.end().await;
    assert_eq!(seen.take_lines(), ["closed websocket: transport close"]);

    let poller = Poller::join(fixture.addr).await;
    assert_eq!(seen.traffic(TransportKind::Polling), [1, 2, 1, connected]);
    poller
        .post(&format!("42[\"message\",1]\u{1e}{binary}\u{1e}bAQID"))
        .await;
    let answer = poller.poll().await.body;
    let texts: usize = answer
        .split('\u{1e}')
        .filter(|packet| packet.starts_with('4'))
        .map(str::len)
        .sum();
    assert_eq!(
        seen.traffic(TransportKind::Polling),
        [3, 15 + binary.len() + 3, 3, texts + 3]
    );
    let mut upgraded = Ws::connect(fixture.addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
    upgraded.send("2probe").await;
    upgraded.text().await;
    upgraded.send("5").await;
    upgraded.send("42/custom,[\"message\",1]").await;
    upgraded.end().await;
    assert_eq!(seen.traffic(TransportKind::Polling), [0; 4]);
    assert_eq!(
        seen.traffic(TransportKind::WebSocket),
        [1, 23, 0, 0],
        "pings and probes are no messages"
    );
    let lines = [
        "opened polling",
        "event / message",
        "event / message",
        "upgraded",
        "closed websocket: parse error",
    ];
    assert_eq!(seen.take_lines(), lines);
    expect_no_connections(&fixture).await;
}

/// A runtime runs the task that writes right after the first one that has something to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_tasks_emit_at_the_same_time_is_written_together() {
    let (fixture, seen) = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    seen.writes.lock().clear();
    let all = tokio::spawn(async move {
        for number in 0..8 {
            let socket = socket.clone();
            tokio::spawn(async move { socket.emit("number", &number).unwrap() });
        }
    });
    all.await.unwrap();
    for _ in 0..8 {
        ws.text().await;
    }
    assert_eq!(*seen.writes.lock(), [8]);
}

#[tokio::test]
async fn packets_sent_while_closing_are_reported_too() {
    let (fixture, seen) = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let poller = Poller::join(fixture.addr).await;
    for transport in [TransportKind::WebSocket, TransportKind::Polling] {
        seen.traffic(transport);
    }
    let sockets = fixture.echo.sockets.lock().clone();
    for socket in sockets {
        socket.emit("bye", &1).unwrap();
        socket.close_transport();
    }
    assert_eq!(ws.text().await, "42[\"bye\",1]");
    assert_eq!(
        [poller.poll().await.body, poller.poll().await.body],
        ["42[\"bye\",1]", "1"]
    );
    for transport in [TransportKind::WebSocket, TransportKind::Polling] {
        assert_eq!(seen.traffic(transport), [0, 0, 1, 11]);
    }
    let lines = seen.take_lines();
    assert!(
        lines.contains(&"closed websocket: forced close".to_owned())
            && lines.contains(&"closed polling: forced close".to_owned())
    );
}

#[tokio::test]
async fn refusals_are_reported_with_their_reasons() {
    let limits = Config {
        max_handshakes: 2,
        max_connections: 3,
        max_connections_per_address: Some(2),
        ..config()
    };
    let (fixture, seen) = start(Config {
        max_payload: 10,
        ..limits
    })
    .await;
    let get = |query: &'static str| async move {
        request(fixture.addr, &format!("GET /socket.io/?{query}"), b"").await
    };
    get("EIO=4&transport=pigeon").await;
    get("EIO=4&transport=polling&sid=unknown").await;
    get("EIO=3&transport=polling").await;
    get("EIO=4&transport=websocket").await;
    request(fixture.addr, &format!("POST {POLLING}"), b"4").await;
    request(
        fixture.addr,
        &format!("GET {POLLING}\r\nOrigin: x\r\n"),
        b"",
    )
    .await;
    let one = Poller::join(fixture.addr).await;
    let two = Poller::open(fixture.addr).await;
    request(fixture.addr, &format!("GET {POLLING}"), b"").await;
    assert_eq!(one.post("42[\"much too long\"]").await.status, 413);
    drop(two);
    let refusals: Vec<_> = seen
        .take_lines()
        .into_iter()
        .filter(|line| line.starts_with("refused"))
        .collect();
    let expected = [
        "unknown transport",
        "unknown session",
        "unsupported version",
        "bad request",
        "bad method",
        "not allowed",
        "too many from address",
        "bad body",
    ];
    assert_eq!(refusals, expected.map(|why| format!("refused: {why}")));
    fixture.io.drain();
    get("EIO=4&transport=polling").await;
    assert_eq!(seen.take_lines().last().unwrap(), "refused: stopping");
}

#[tokio::test]
async fn pongs_are_reported_with_their_latency_and_full_queues_each_time() {
    let interval = Duration::from_millis(60);
    let (fixture, seen) = start(Config {
        ping_interval: interval,
        max_queue_bytes: 40_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    assert_eq!(ws.text().await, "2");
    let late = Duration::from_millis(80);
    tokio::time::sleep(late).await;
    ws.send("3").await;
    assert_eq!(ws.text().await, "2");
    ws.send("3").await;
    ws.send("42[\"message\",1]").await;
    while ws.text().await == "2" {}
    let pongs = seen.pongs.lock().clone();
    assert_eq!(pongs.len(), 2);
    assert!(pongs[0] >= late && pongs[0] < late * 3, "{pongs:?}");
    assert!(pongs[1] < pongs[0]);

    let socket = fixture.echo.sockets.lock()[0].clone();
    let large = "x".repeat(30_000);
    socket.emit("large", &large).unwrap();
    let packet = Packet::event("/", "e", "");
    assert!(socket.emit_volatile(&packet).is_err());
    assert_eq!(seen.full.load(Ordering::Relaxed), 1);
    assert!(socket.emit("large", &large).is_err());
    assert!(socket.emit("large", &large).is_err(), "it is closed by now");
    assert_eq!(seen.full.load(Ordering::Relaxed), 2);
    ws.end().await;
    expect_no_connections(&fixture).await;
    assert_eq!(
        seen.take_lines().last().unwrap(),
        "closed websocket: slow reader"
    );
}

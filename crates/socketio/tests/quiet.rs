//! Recovery after a long time without any event, with paused time.

#![allow(clippy::unwrap_used)]

mod common;

use std::{convert::Infallible, time::Duration};

use bytes::BytesMut;
use common::{
    Echo,
    nodes::{Directory, node},
};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use socketio::{
    Config, Recovery, SocketIo,
    codec::frame::{self, OpCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, sleep, timeout},
};

/// A client over a pipe: over a network, paused time would run on while bytes are in transit.
struct Client {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Client {
    async fn open(io: &SocketIo) -> Self {
        let (mut stream, server) = tokio::io::duplex(256 << 10);
        let io = io.clone();
        let service = service_fn(move |request| {
            let io = io.clone();
            async move { Ok::<_, Infallible>(io.handle(request, ([127, 0, 0, 1], 1).into()).await) }
        });
        tokio::spawn(
            http1::Builder::new()
                .serve_connection(TokioIo::new(server), service)
                .with_upgrades(),
        );
        let head = "GET /socket.io/?EIO=4&transport=websocket&recovery=1 HTTP/1.1\r\nHost: test\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut buffer = BytesMut::new();
        loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let _ = buffer.split_to(end + 4);
                let mut client = Self { stream, buffer };
                assert!(client.text().await.starts_with("0{"));
                return client;
            }
            assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
        }
    }

    async fn send(&mut self, text: &str) {
        let mut out = BytesMut::new();
        frame::encode_client(&mut out, true, OpCode::Text, text.as_bytes(), [1, 2, 3, 4]);
        self.stream.write_all(&out).await.unwrap();
    }

    async fn text(&mut self) -> String {
        loop {
            let whole = frame::server_frames(&self.buffer).next();
            if let Some((opcode, data)) = whole {
                assert_eq!(opcode, OpCode::Text);
                let text = String::from_utf8(data.to_vec()).unwrap();
                let header = frame::server_header(opcode, data.len()).1;
                let _ = self.buffer.split_to(header + text.len());
                return text;
            }
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0);
        }
    }

    /// Answers PINGs for so long. Nothing else may come.
    async fn stay(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(text) = timeout(end - Instant::now(), self.text()).await {
            assert_eq!(text, "2");
            self.send("3").await;
        }
    }
}

/// An event without its offset, and the offset.
fn event(text: &str) -> (Value, String) {
    let mut event: Vec<Value> = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
    let offset = event.pop().unwrap().as_str().unwrap().to_owned();
    (event.into(), offset)
}

/// Comes back; returns the missed events.
async fn resume(io: &SocketIo, pid: &str, offset: &mut String) -> (Client, Vec<Value>) {
    let mut client = Client::open(io).await;
    let auth = serde_json::json!({ "pid": pid, "offset": &*offset });
    client.send(&format!("40{auth}")).await;
    let mut missed = Vec::new();
    loop {
        let text = client.text().await;
        if text.starts_with("40") {
            assert!(text.contains(pid), "resumed: {text}");
            break;
        }
        let (one, at) = event(&text);
        missed.push(one);
        *offset = at;
    }
    let (welcome, at) = event(&client.text().await);
    assert_eq!(welcome[0], "welcome back");
    *offset = at;
    (client, missed)
}

#[tokio::test(start_paused = true)]
async fn c14_recovery_works_after_a_day_without_traffic_and_repeats_nothing() {
    let echo = Echo::default();
    let config = Config {
        recovery: Some(Recovery::default()),
        ..Config::default()
    };
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .build();
    let mut client = Client::open(&io).await;
    client.send("40").await;
    let reply: Value =
        serde_json::from_str(client.text().await.strip_prefix("40").unwrap()).unwrap();
    let pid = reply["pid"].as_str().unwrap().to_owned();
    let socket = echo.sockets.lock()[0].clone();
    socket.emit("n", &0).unwrap();
    let (_, mut offset) = event(&client.text().await);
    for day in 1..=3 {
        client.stay(Duration::from_secs(24 * 3600)).await;
        drop(client);
        sleep(Duration::from_secs(1)).await;
        assert!(!socket.is_connected());
        socket.emit("n", &(2 * day)).unwrap();
        sleep(Duration::from_secs(60)).await;
        socket.emit("n", &(2 * day + 1)).unwrap();
        // Two minutes bridge less than the window, counted from the loss.
        sleep(Duration::from_secs(58)).await;
        let missed;
        (client, missed) = resume(&io, &pid, &mut offset).await;
        let expected = [
            serde_json::json!(["n", 2 * day]),
            serde_json::json!(["n", 2 * day + 1]),
        ];
        assert_eq!(missed, expected, "day {day}");
        // Lost again before anything happened: nothing is repeated.
        drop(client);
        sleep(Duration::from_secs(5)).await;
        let missed;
        (client, missed) = resume(&io, &pid, &mut offset).await;
        assert!(missed.is_empty(), "{missed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c14_recovery_on_another_node_works_after_a_day_without_traffic_and_repeats_nothing() {
    let config = Config {
        recovery: Some(Recovery::default()),
        ..Config::default()
    };
    let directory = Directory::default();
    let mut nodes = Vec::new();
    for tag in ["n0", "n1", "n2"] {
        nodes.push(node(&directory, tag, config.clone()).await);
    }
    let mut client = Client::open(&nodes[0].io).await;
    client.send("40").await;
    let reply: Value =
        serde_json::from_str(client.text().await.strip_prefix("40").unwrap()).unwrap();
    let pid = reply["pid"].as_str().unwrap().to_owned();
    nodes[0].echo.sockets.lock()[0].emit("n", &0).unwrap();
    let (_, mut offset) = event(&client.text().await);
    let mut at = 0;
    for (day, to) in [(1, 1), (2, 2), (3, 2), (4, 0), (5, 1)] {
        client.stay(Duration::from_secs(24 * 3600)).await;
        drop(client);
        sleep(Duration::from_secs(1)).await;
        let socket = nodes[at].echo.sockets.lock().last().unwrap().clone();
        assert!(!socket.is_connected());
        socket.emit("n", &(2 * day)).unwrap();
        sleep(Duration::from_secs(60)).await;
        socket.emit("n", &(2 * day + 1)).unwrap();
        sleep(Duration::from_secs(58)).await;
        // Nodes speak over a network, where paused time would pass while bytes are on their way.
        tokio::time::resume();
        let missed;
        (client, missed) = resume(&nodes[to].io, &pid, &mut offset).await;
        let expected = [
            serde_json::json!(["n", 2 * day]),
            serde_json::json!(["n", 2 * day + 1]),
        ];
        assert_eq!(missed, expected, "day {day}");
        // Lost again before anything happened: nothing is repeated, on a third node.
        drop(client);
        at = (to + 1) % 3;
        let missed;
        (client, missed) = resume(&nodes[at].io, &pid, &mut offset).await;
        assert!(missed.is_empty(), "{missed:?}");
        tokio::time::pause();
    }
}

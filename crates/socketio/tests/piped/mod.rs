//! A client over pipes, for tests with paused time: with a real network, tokio would advance the
//! clock while bytes are in transit.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::{convert::Infallible, net::IpAddr, time::Duration};

use bytes::BytesMut;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use socketio::{
    SocketIo,
    codec::frame::{self, OpCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{sleep, timeout},
};

pub const UPGRADE_TIMEOUT: Duration = Duration::from_millis(500);
/// Paused time advances only when no task can run.
const A_MOMENT: Duration = Duration::from_millis(1);

pub struct Client {
    io: SocketIo,
    sid: String,
    websocket: Option<WebSocket>,
}

pub struct WebSocket {
    pub stream: DuplexStream,
    pub buffer: BytesMut,
}

fn connect(io: &SocketIo) -> DuplexStream {
    connect_from(io, [127, 0, 0, 1].into())
}

fn connect_from(io: &SocketIo, address: IpAddr) -> DuplexStream {
    let (client, server) = tokio::io::duplex(256 << 10);
    let io = io.clone();
    let service = service_fn(move |request| {
        let io = io.clone();
        async move { Ok::<_, Infallible>(io.handle(request, (address, 1).into()).await) }
    });
    tokio::spawn(
        http1::Builder::new()
            .serve_connection(TokioIo::new(server), service)
            .with_upgrades(),
    );
    client
}

/// A packet in a form that can be compared: ids are random.
fn plain(packet: &str) -> String {
    if packet.starts_with("40") {
        packet.split("{\"sid\"").next().unwrap().to_owned()
    } else {
        packet.to_owned()
    }
}

impl WebSocket {
    async fn connect(io: &SocketIo, query: &str) -> Self {
        Self::handshake(connect(io), query).await
    }

    /// Joins the main namespace, from this address.
    pub async fn join_from(io: &SocketIo, address: IpAddr) -> Self {
        let mut websocket = Self::handshake(connect_from(io, address), "").await;
        assert!(websocket.receive().await[0].starts_with('0'));
        websocket.send(OpCode::Text, b"40").await;
        assert_eq!(websocket.receive().await, ["40"]);
        websocket
    }

    async fn handshake(mut stream: DuplexStream, query: &str) -> Self {
        let head = format!(
            "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut buffer = BytesMut::new();
        loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                assert!(buffer.split_to(end + 4).starts_with(b"HTTP/1.1 101"));
                return Self { stream, buffer };
            }
            assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
        }
    }

    async fn send(&mut self, opcode: OpCode, data: &[u8]) {
        let mut out = BytesMut::new();
        frame::encode_client(&mut out, true, opcode, data, [1, 2, 3, 4]);
        self.stream.write_all(&out).await.unwrap();
    }

    /// Returns what arrives within a moment, and a close as its code.
    pub async fn receive(&mut self) -> Vec<String> {
        while matches!(
            timeout(A_MOMENT, self.stream.read_buf(&mut self.buffer)).await,
            Ok(Ok(1..))
        ) {}
        let (mut got, mut used) = (Vec::new(), 0);
        for (opcode, data) in frame::server_frames(&self.buffer) {
            used += frame::server_header(opcode, data.len()).1 + data.len();
            got.push(match opcode {
                OpCode::Text => plain(std::str::from_utf8(data).unwrap()),
                OpCode::Close => format!("close {}", u16::from_be_bytes([data[0], data[1]])),
                other => format!("{other:?}"),
            });
        }
        let _ = self.buffer.split_to(used);
        got
    }

    pub async fn is_over(&mut self) -> bool {
        matches!(
            timeout(A_MOMENT, self.stream.read_buf(&mut self.buffer)).await,
            Ok(Ok(0) | Err(_))
        )
    }
}

impl Client {
    pub async fn open(io: &SocketIo, by_websocket: bool) -> Self {
        let mut client = Self {
            io: io.clone(),
            sid: String::new(),
            websocket: None,
        };
        let text = if by_websocket {
            let mut websocket = WebSocket::connect(io, "").await;
            let open = websocket.receive().await.remove(0);
            client.websocket = Some(websocket);
            open
        } else {
            client.request("GET", "").await.1
        };
        let open: Value = serde_json::from_str(text.strip_prefix('0').unwrap()).unwrap();
        client.sid = open["sid"].as_str().unwrap().to_owned();
        client
    }

    pub async fn start(&self, method: &str, body: &str) -> DuplexStream {
        let mut stream = connect(&self.io);
        let sid = if self.sid.is_empty() {
            String::new()
        } else {
            format!("&sid={}", self.sid)
        };
        let text = format!(
            "{method} /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(mut stream: DuplexStream) -> (u16, String) {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    async fn request(&self, method: &str, body: &str) -> (u16, String) {
        Self::answer(self.start(method, body).await).await
    }

    async fn poll(&self) -> Vec<String> {
        let (status, body) = self.request("GET", "").await;
        assert_eq!(status, 200, "{body}");
        body.split('\u{1e}').map(plain).collect()
    }

    pub async fn send(&mut self, packets: &[String]) {
        match &mut self.websocket {
            Some(websocket) => {
                for packet in packets {
                    websocket.send(OpCode::Text, packet.as_bytes()).await;
                }
            }
            None => assert_eq!(
                self.request("POST", &packets.join("\u{1e}")).await,
                (200, "ok".to_owned())
            ),
        }
    }

    /// Reads what is available. It opens no poll that would have to wait.
    pub async fn receive(&mut self) -> Vec<String> {
        match &mut self.websocket {
            Some(websocket) => websocket.receive().await,
            None => self.poll_all().await,
        }
    }

    /// Polls until nothing is left.
    async fn poll_all(&self) -> Vec<String> {
        let mut got = Vec::new();
        while self.io.queued_bytes() > 0 {
            got.extend(self.poll().await);
        }
        got
    }

    /// Waits for a PING; nothing else may arrive before it.
    pub async fn ping(&mut self) {
        match &mut self.websocket {
            Some(websocket) => {
                let read = websocket
                    .stream
                    .read_buf(&mut websocket.buffer)
                    .await
                    .unwrap();
                assert_ne!(read, 0);
                assert_eq!(websocket.receive().await, ["2"]);
            }
            None => assert_eq!(self.poll().await, ["2"]),
        }
    }

    async fn probe(&self) -> WebSocket {
        let mut websocket = WebSocket::connect(&self.io, &format!("&sid={}", self.sid)).await;
        websocket.send(OpCode::Text, b"2probe").await;
        assert_eq!(websocket.receive().await, ["3probe"]);
        websocket
    }

    /// Upgrades to WebSocket. Returns the packets of the poll that was open.
    pub async fn upgrade(&mut self, with_poll: bool) -> Vec<String> {
        let poll = if with_poll {
            Some(self.start("GET", "").await)
        } else {
            None
        };
        sleep(A_MOMENT).await;
        let mut websocket = self.probe().await;
        let mut got = Vec::new();
        if let Some(poll) = poll {
            let (status, body) = Self::answer(poll).await;
            assert_eq!(status, 200);
            got = body.split('\u{1e}').map(plain).collect();
        }
        websocket.send(OpCode::Text, b"5").await;
        sleep(A_MOMENT).await;
        if with_poll {
            // Packets that did not fit into that response.
            got.extend(websocket.receive().await);
        }
        self.websocket = Some(websocket);
        got
    }

    pub async fn stall_upgrade(&self) {
        let mut websocket = self.probe().await;
        sleep(UPGRADE_TIMEOUT).await;
        assert_eq!(websocket.receive().await, ["close 1000"]);
        assert!(websocket.is_over().await);
    }

    pub async fn cut_upgrade(&self) {
        drop(self.probe().await);
    }

    pub async fn close(mut self, by_frame: bool) -> Vec<String> {
        match &mut self.websocket {
            Some(websocket) if by_frame => {
                websocket.send(OpCode::Close, &1000u16.to_be_bytes()).await
            }
            Some(websocket) => websocket.send(OpCode::Text, b"1").await,
            None => assert_eq!(self.request("POST", "1").await.0, 200),
        }
        Vec::new()
    }

    pub async fn cut(self) -> Vec<String> {
        if self.websocket.is_none() {
            // A POST that has been answered is not aborted, and its packets are handled.
            self.poll_all().await;
            let poll = self.start("GET", "").await;
            sleep(A_MOMENT).await;
            drop(poll);
        }
        Vec::new()
    }

    pub async fn send_invalid(mut self) -> Vec<String> {
        if let Some(websocket) = &mut self.websocket {
            websocket.send(OpCode::Text, b"nonsense").await;
            assert_eq!(websocket.receive().await.pop().unwrap(), "close 1000");
        } else {
            self.poll_all().await;
            let first = self.start("GET", "").await;
            sleep(A_MOMENT).await;
            assert_eq!(self.request("GET", "").await.0, 400);
            assert_eq!(Self::answer(first).await, (200, "1".to_owned()));
        }
        Vec::new()
    }

    /// The queued packets, then the close.
    pub async fn closed_by_server(mut self) -> Vec<String> {
        sleep(A_MOMENT).await;
        let (mut got, end) = match &mut self.websocket {
            Some(websocket) => (websocket.receive().await, "close 1000"),
            None => {
                let mut got = Vec::new();
                while got.last().is_none_or(|last| last != "1") {
                    got.extend(self.poll().await);
                }
                (got, "1")
            }
        };
        assert_eq!(got.pop().unwrap(), end);
        if self.websocket.is_none() {
            assert_eq!(self.request("GET", "").await.0, 400, "it is forgotten then");
        }
        got
    }

    pub async fn no_pong(self, time: Duration) -> Vec<String> {
        sleep(time + Duration::from_secs(1)).await;
        if self.websocket.is_none() {
            assert_eq!(self.request("GET", "").await.0, 400);
            assert_eq!(self.request("POST", "3").await.0, 400);
        }
        Vec::new()
    }
}

//! A server under test, and clients that send exactly what a test specifies.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

mod echo;
pub mod memory;
pub mod nodes;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use parking_lot::Mutex;
use serde_json::Value;
use socketio::{
    Config, SocketIo,
    codec::frame::{self, OpCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

pub use self::echo::Echo;

/// A limit on every wait: nothing in these tests takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(5);
pub const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
pub const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// Short enough for tests that wait for these times, and long enough for the others.
pub fn config() -> Config {
    Config {
        ping_interval: Duration::from_secs(10),
        ping_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        ..Config::default()
    }
}

/// A log of what happened, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    pub fn clear(&self) {
        self.0.lock().clear();
    }

    pub async fn wait_for(&self, line: &str) {
        let seen = timeout(PATIENCE, async {
            while !self.0.lock().iter().any(|seen| seen == line) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(
            seen.await.is_ok(),
            "{line:?} never came, but {:?}",
            self.lines()
        );
    }
}

pub struct Fixture {
    pub addr: SocketAddr,
    pub io: SocketIo,
    pub log: Log,
    pub echo: Echo,
}

/// A server with the namespaces `/` and `/custom`.
pub async fn start(config: Config) -> Fixture {
    let echo = Echo::default();
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .namespace("/custom", echo.clone())
        .build();
    serve(io, echo).await
}

pub async fn serve(io: SocketIo, echo: Echo) -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(socketio::serve(listener, io.clone()));
    Fixture {
        addr,
        io,
        log: echo.log.clone(),
        echo,
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Performs one request on its own connection.
pub async fn request(addr: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = send_request(addr, head, body).await;
    read_answer(&mut stream).await
}

pub async fn send_request(addr: SocketAddr, head: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length =
        if head.starts_with("POST") && !head.to_ascii_lowercase().contains("content-length") {
            format!("Content-Length: {}\r\n", body.len())
        } else {
            String::new()
        };
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let text =
        format!("{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{length}{headers}\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream
}

pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("an answer in time")
        .unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A client on polling.
pub struct Poller {
    pub addr: SocketAddr,
    pub sid: String,
}

impl Poller {
    pub async fn open(addr: SocketAddr) -> Self {
        let answer = request(addr, &format!("GET {POLLING}"), b"").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let open: Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        Self {
            addr,
            sid: open["sid"].as_str().unwrap().to_owned(),
        }
    }

    /// Opens a session and joins the main namespace.
    pub async fn join(addr: SocketAddr) -> Self {
        let poller = Self::open(addr).await;
        assert_eq!(poller.post("40").await.body, "ok");
        assert!(poller.poll().await.body.starts_with("40{\"sid\":"));
        poller
    }

    pub fn url(&self) -> String {
        format!("{POLLING}&sid={}", self.sid)
    }

    pub async fn poll(&self) -> Answer {
        request(self.addr, &format!("GET {}", self.url()), b"").await
    }

    pub async fn start_poll(&self) -> TcpStream {
        let stream = send_request(self.addr, &format!("GET {}", self.url()), b"").await;
        // There is no signal that a poll has been opened.
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream
    }

    pub async fn post(&self, payload: &str) -> Answer {
        self.post_bytes(payload.as_bytes()).await
    }

    pub async fn post_bytes(&self, payload: &[u8]) -> Answer {
        request(self.addr, &format!("POST {}", self.url()), payload).await
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16),
    Eof,
}

/// A client on WebSocket.
pub struct Ws {
    pub stream: TcpStream,
    pub buffer: BytesMut,
    /// The response to the handshake.
    pub head: String,
}

impl Ws {
    pub async fn try_connect(addr: SocketAddr, url: &str, headers: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let head = format!(
            "GET {url} HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut buffer = BytesMut::new();
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let read = timeout(PATIENCE, stream.read_buf(&mut buffer))
                .await
                .expect("an answer in time")
                .unwrap();
            assert_ne!(read, 0, "no answer");
        };
        let head = String::from_utf8(buffer.split_to(end).to_vec()).unwrap();
        if !head.starts_with("HTTP/1.1 101") {
            return Err(head);
        }
        assert!(
            head.to_lowercase()
                .contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
            "{head}"
        );
        Ok(Self {
            stream,
            buffer,
            head,
        })
    }

    pub async fn connect(addr: SocketAddr, url: &str) -> Self {
        Self::try_connect(addr, url, "").await.unwrap()
    }

    /// Opens a session and reads its OPEN packet.
    pub async fn open(addr: SocketAddr) -> Self {
        let mut ws = Self::connect(addr, WEBSOCKET).await;
        assert!(ws.text().await.starts_with("0{\"sid\":"));
        ws
    }

    /// Opens a session and joins the main namespace.
    pub async fn join(addr: SocketAddr) -> Self {
        let mut ws = Self::open(addr).await;
        ws.send("40").await;
        assert!(ws.text().await.starts_with("40{\"sid\":"));
        ws
    }

    pub async fn send(&mut self, text: &str) {
        self.frame(true, OpCode::Text, text.as_bytes()).await;
    }

    pub async fn send_binary(&mut self, data: &[u8]) {
        self.frame(true, OpCode::Binary, data).await;
    }

    pub async fn frame(&mut self, fin: bool, opcode: OpCode, data: &[u8]) {
        let mut out = BytesMut::new();
        frame::encode_client(&mut out, fin, opcode, data, [5, 6, 7, 8]);
        self.raw(&out).await;
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        // If the server has closed already, the test will notice when it reads.
        let _ = self.stream.write_all(bytes).await;
    }

    pub async fn next(&mut self) -> Got {
        loop {
            let whole = frame::server_frames(&self.buffer)
                .next()
                .map(|(opcode, data)| (opcode, data.to_vec()));
            if let Some((opcode, data)) = whole {
                let header = frame::server_header(opcode, data.len()).1;
                let _ = self.buffer.split_to(header + data.len());
                return match opcode {
                    OpCode::Text => Got::Text(String::from_utf8(data).unwrap()),
                    OpCode::Binary => Got::Binary(data),
                    OpCode::Pong => Got::Pong(data),
                    OpCode::Close => Got::Close(u16::from_be_bytes([data[0], data[1]])),
                    other => panic!("a server does not send {other:?}"),
                };
            }
            match timeout(PATIENCE, self.stream.read_buf(&mut self.buffer))
                .await
                .expect("a frame in time")
            {
                Ok(0) | Err(_) => return Got::Eof,
                Ok(_) => {}
            }
        }
    }

    pub async fn text(&mut self) -> String {
        match self.next().await {
            Got::Text(text) => text,
            other => panic!("{other:?} and no text"),
        }
    }

    /// Reads everything up to the close; returns the close code, if there was one.
    pub async fn end(&mut self) -> Option<u16> {
        let mut code = None;
        loop {
            match self.next().await {
                Got::Close(closed) => code = Some(closed),
                Got::Eof => return code,
                _ => {}
            }
        }
    }

    /// Asserts that nothing arrives for a while.
    pub async fn expect_silence(&mut self) {
        assert!(self.buffer.is_empty(), "{:?}", self.buffer);
        let read = timeout(
            Duration::from_millis(60),
            self.stream.read_buf(&mut self.buffer),
        )
        .await;
        assert!(read.is_err(), "{:?}", self.buffer);
    }
}

/// Asserts that the server works for a new client.
pub async fn expect_served(fixture: &Fixture) {
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
}

/// Asserts that the server has removed every connection.
pub async fn expect_no_connections(fixture: &Fixture) {
    let gone = timeout(PATIENCE, async {
        while fixture.io.connections() != socketio::Connections::default() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(gone.await.is_ok(), "{:?}", fixture.io.connections());
}

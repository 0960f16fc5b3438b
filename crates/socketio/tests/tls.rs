//! TLS: the real client, misbehaving clients, replaced certificates, and the layout of records.
#![allow(clippy::unwrap_used)]

mod common;

use std::{net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};

use bytes::BytesMut;
use common::{Echo, PATIENCE, WEBSOCKET, config};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use socketio::{
    BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Packet, Serve, Socket,
    SocketIo, Tls,
    codec::frame::{self, OpCode},
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

fn tls(made: &CertifiedKey<KeyPair>) -> Tls {
    Tls::from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
    )
    .unwrap()
}

async fn start(io: SocketIo, limited: impl FnOnce(Serve) -> Serve) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(limited(Serve::new(listener, io)).run());
    addr
}

async fn try_connect(
    addr: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(addr).await?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

async fn connect(addr: SocketAddr, trusted: &CertificateDer<'static>) -> TlsStream<TcpStream> {
    try_connect(addr, trusted, b"http/1.1").await.unwrap()
}

/// A WebSocket in the main namespace.
struct Client {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
}

impl Client {
    async fn join(addr: SocketAddr, trusted: &CertificateDer<'static>) -> Self {
        let mut client = Self {
            stream: connect(addr, trusted).await,
            buffer: BytesMut::new(),
        };
        let head = format!(
            "GET {WEBSOCKET} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        client.stream.write_all(head.as_bytes()).await.unwrap();
        let end = loop {
            if let Some(end) = client
                .buffer
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            {
                break end + 4;
            }
            client.fill().await;
        };
        assert!(client.buffer.split_to(end).starts_with(b"HTTP/1.1 101"));
        assert!(client.text().await.starts_with('0'));
        client.send("40").await;
        assert!(client.text().await.starts_with("40"));
        client
    }

    async fn fill(&mut self) {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer))
            .await
            .expect("something in time")
            .unwrap();
        assert_ne!(read, 0, "it was closed");
    }

    async fn send(&mut self, text: &str) {
        let mut out = BytesMut::new();
        frame::encode_client(&mut out, true, OpCode::Text, text.as_bytes(), [5, 6, 7, 8]);
        self.stream.write_all(&out).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn text(&mut self) -> String {
        loop {
            let whole = frame::server_frames(&self.buffer)
                .next()
                .map(|(_, data)| data.to_vec());
            let Some(data) = whole else {
                self.fill().await;
                continue;
            };
            let _ = self
                .buffer
                .split_to(frame::server_header(OpCode::Text, data.len()).1 + data.len());
            return String::from_utf8(data).unwrap();
        }
    }
}

async fn run_client(mode: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/socketio-clients");
    let echo = Echo::default();
    let timings = Config {
        ping_interval: Duration::from_millis(250),
        ping_timeout: Duration::from_secs(2),
        ..config()
    };
    let io = SocketIo::builder(timings)
        .namespace("/", echo.clone())
        .namespace("/custom", echo.clone())
        .build();
    let made = certificate();
    let addr = start(io, |serve| serve.tls(tls(&made))).await;
    let pem = std::env::temp_dir().join(format!("socketio-{}-{mode}.pem", addr.port()));
    std::fs::write(&pem, made.cert.pem()).unwrap();
    let output = tokio::process::Command::new("node")
        .args([
            "client.mjs",
            &format!("https://localhost:{}", addr.port()),
            mode,
            "",
        ])
        .arg(&pem)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = output.await.expect("node can be started");
    std::fs::remove_file(pem).unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && said.trim() == "ok",
        "{said}\n{wrong}\n{:?}",
        echo.log.lines()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_https_polling() {
    run_client("polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_wss() {
    run_client("websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_an_upgrade_from_https_to_wss() {
    run_client("upgrade").await;
}

/// Reports whether its handshake was encrypted, and sends much data at once.
struct Says;

impl Handler for Says {
    type Data = bool;

    async fn connect(&self, request: ConnectRequest) -> Result<bool, ConnectError> {
        Ok(request.handshake.secure)
    }

    fn event(&self, socket: &Socket<bool>, event: Event) -> Option<BoxFuture<'static, ()>> {
        match event.name() {
            "secure" => socket.emit("secure", socket.data()).unwrap(),
            "many" => (0..event.parse(0).unwrap())
                .for_each(|number: u32| socket.emit("n", &number).unwrap()),
            _ => {
                let large = "x".repeat(event.parse(0).unwrap());
                socket
                    .emit_packet(&Packet::event("/", "large", &format!("\"{large}\"")))
                    .unwrap();
                socket.emit("end", &1).unwrap();
            }
        }
        None
    }
}

fn says() -> SocketIo {
    SocketIo::builder(Config {
        max_queue_bytes: 64 << 20,
        ..config()
    })
    .namespace("/", Says)
    .build()
}

#[tokio::test]
async fn handshakes_are_marked_secure_and_only_http_1_is_offered() {
    let made = certificate();
    let addr = start(says(), |serve| serve.tls(tls(&made))).await;
    let mut client = Client::join(addr, made.cert.der()).await;
    assert_eq!(
        client.stream.get_ref().1.alpn_protocol(),
        Some(&b"http/1.1"[..])
    );
    client.send("42[\"secure\"]").await;
    assert_eq!(client.text().await, "42[\"secure\",true]");
    assert!(try_connect(addr, made.cert.der(), b"h2").await.is_err());
}

/// The lengths of the TLS records that arrive.
async fn records(stream: &mut TcpStream, until: usize) -> Vec<usize> {
    let (mut bytes, mut lengths, mut at, mut sum) = (Vec::new(), Vec::new(), 0, 0);
    while sum < until {
        timeout(PATIENCE, stream.read_buf(&mut bytes))
            .await
            .expect("something in time")
            .unwrap();
        while let Some(header) = bytes.get(at..at + 5) {
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            if bytes.len() < at + 5 + length {
                break;
            }
            lengths.push(length);
            sum += length;
            at += 5 + length;
        }
    }
    lengths
}

#[tokio::test]
async fn small_frames_that_leave_together_share_a_record() {
    let made = certificate();
    let addr = start(says(), |serve| serve.tls(tls(&made))).await;
    let mut client = Client::join(addr, made.cert.der()).await;
    client.send("42[\"many\",60]").await;
    // Read below TLS: the client's TLS is not used from here on.
    let (stream, _) = client.stream.get_mut();
    let lengths = records(stream, 60 * 12).await;
    assert_eq!(lengths.len(), 1, "{lengths:?}");
}

#[tokio::test]
async fn partial_tls_writes_arrive_complete_and_in_order() {
    let made = certificate();
    let addr = start(says(), |serve| serve.tls(tls(&made))).await;
    let mut client = Client::join(addr, made.cert.der()).await;
    client.send("42[\"large\",20000000]").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        client.text().await.len(),
        20_000_000 + "42[\"large\",\"\"]".len()
    );
    assert_eq!(client.text().await, "42[\"end\",1]");
}

#[tokio::test]
async fn buffered_tls_records_are_flushed_when_the_socket_is_writable() {
    let made = certificate();
    let small = TcpSocket::new_v4().unwrap();
    small.set_send_buffer_size(8 << 10).unwrap();
    small.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = small.listen(64).unwrap();
    let (addr, io) = (listener.local_addr().unwrap(), says());
    tokio::spawn(Serve::new(listener, io.clone()).tls(tls(&made)).run());
    // Bytes that a connection accepts until something waits in its queue: the system's share, and
    // then that of TLS.
    let mut full = 0;
    let _unread = Client::join(addr, made.cert.der()).await;
    let socket = io.of("/").unwrap().sockets::<bool>().remove(0);
    while socket.queued_bytes() == 0 {
        socket.emit("n", &"x".repeat(4_000)).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        full += 1;
    }
    // A little less each: what TLS buffers now has no later write that would flush it.
    for count in (full - 16..full).step_by(3) {
        let mut client = Client::join(addr, made.cert.der()).await;
        let sockets = io.of("/").unwrap().sockets::<bool>();
        let socket = sockets.iter().max_by_key(|socket| socket.key()).unwrap();
        for _ in 0..count {
            socket.emit("n", &"x".repeat(4_000)).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..count {
            assert_eq!(client.text().await.len(), 4_000 + "42[\"n\",\"\"]".len());
        }
    }
}

#[tokio::test]
async fn incomplete_handshakes_and_plain_http_are_closed() {
    let made = certificate();
    let addr = start(says(), |serve| {
        serve
            .tls(tls(&made))
            .tls_timeout(Duration::from_millis(100))
    })
    .await;
    let mut silent = TcpStream::connect(addr).await.unwrap();
    let mut half = TcpStream::connect(addr).await.unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1]).await.unwrap();
    let mut plain = TcpStream::connect(addr).await.unwrap();
    plain
        .write_all(format!("GET {WEBSOCKET} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut client = Client::join(addr, made.cert.der()).await;
    for stream in [&mut silent, &mut half, &mut plain] {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .expect("closed in time");
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    }
    // A completed handshake, then silence: the head timeout applies.
    client.send("42[\"secure\"]").await;
    assert_eq!(client.text().await, "42[\"secure\",true]");
    let addr = start(says(), |serve| {
        serve
            .tls(tls(&made))
            .head_timeout(Duration::from_millis(100))
    })
    .await;
    let mut shaken = connect(addr, made.cert.der()).await;
    let _ = timeout(PATIENCE, shaken.read_to_end(&mut Vec::new()))
        .await
        .expect("closed in time");
}

#[tokio::test]
async fn pending_tls_handshakes_are_displaced() {
    let made = certificate();
    let io = SocketIo::builder(Config {
        max_handshakes: 2,
        ..config()
    })
    .namespace("/", Says)
    .build();
    let addr = start(io, |serve| serve.tls(tls(&made))).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(addr).await.unwrap());
    }
    let _client = Client::join(addr, made.cert.der()).await;
    let closed = timeout(PATIENCE, silent[0].read(&mut [0]))
        .await
        .expect("closed in time");
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert!(
        timeout(Duration::from_millis(30), silent[1].read(&mut [0]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn certificates_are_replaced_while_the_server_runs() {
    let (old, new) = (certificate(), certificate());
    let tls = tls(&old);
    let addr = start(says(), |serve| serve.tls(tls.clone())).await;
    let mut client = Client::join(addr, old.cert.der()).await;
    assert!(
        try_connect(addr, new.cert.der(), b"http/1.1")
            .await
            .is_err()
    );
    assert!(
        tls.replace_pem(
            new.cert.pem().as_bytes(),
            old.signing_key.serialize_pem().as_bytes()
        )
        .is_err()
    );
    assert!(tls.replace_pem(b"nothing", b"of the kind").is_err());
    let _client_of_the_old = Client::join(addr, old.cert.der()).await;
    tls.replace_pem(
        new.cert.pem().as_bytes(),
        new.signing_key.serialize_pem().as_bytes(),
    )
    .unwrap();
    assert!(
        try_connect(addr, old.cert.der(), b"http/1.1")
            .await
            .is_err()
    );
    Client::join(addr, new.cert.der()).await;
    client.send("42[\"secure\"]").await;
    assert_eq!(
        client.text().await,
        "42[\"secure\",true]",
        "who is there stays"
    );
}

//! Limits for clients that are connecting and for idle clients; connected clients are not affected.
#![allow(clippy::unwrap_used)]

mod common;

use std::{future::Future, net::SocketAddr, time::Duration};

use common::{
    Echo, Fixture, PATIENCE, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections,
    expect_served, request, start,
};
use socketio::{AckError, Config, Serve, SocketIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Instant, timeout},
};

async fn start_with(
    config: Config,
    limited: impl FnOnce(Serve) -> Serve,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Fixture {
    let echo = Echo::default();
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(limited(Serve::new(listener, io.clone())).run_until(stop));
    Fixture {
        addr,
        io,
        log: echo.log.clone(),
        echo,
    }
}

async fn start_serve(config: Config, limited: impl FnOnce(Serve) -> Serve) -> Fixture {
    start_with(config, limited, std::future::pending()).await
}

async fn is_refused(addr: SocketAddr, status: u16, message: &str) {
    let body = format!("{{\"code\":3,\"message\":\"{message}\"}}");
    let answer = request(addr, &format!("GET {POLLING}"), b"").await;
    assert_eq!((answer.status, answer.body), (status, body));
    let answer = Ws::try_connect(addr, WEBSOCKET, "").await.err().unwrap();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
}

async fn is_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("closed in time");
}

async fn is_open(stream: &mut TcpStream) {
    let mut byte = [0];
    assert!(
        timeout(Duration::from_millis(30), stream.read(&mut byte))
            .await
            .is_err(),
        "it was closed"
    );
}

#[tokio::test]
async fn the_longest_waiting_handshake_is_displaced() {
    let fixture = start(Config {
        max_handshakes: 2,
        ..config()
    })
    .await;
    let mut joined = Ws::join(fixture.addr).await;
    let polling = Poller::join(fixture.addr).await;
    let mut one = Ws::open(fixture.addr).await;
    let two = Poller::open(fixture.addr).await;
    let mut three = Ws::open(fixture.addr).await;
    assert_eq!(one.end().await, Some(1000));
    // Connected clients are not affected.
    joined.send("42[\"message\",1]").await;
    assert_eq!(joined.text().await, "42[\"message-back\",1]");
    assert_eq!(polling.post("42[\"message\",2]").await.body, "ok");
    assert_eq!(polling.poll().await.body, "42[\"message-back\",2]");
    // In one namespace or in two: the client is connected and waits for nothing.
    assert_eq!(two.post("40").await.body, "ok");
    assert!(two.poll().await.body.starts_with("40"));
    assert_eq!(two.post("40/custom,").await.body, "ok");
    assert!(two.poll().await.body.starts_with("40/custom,"));
    let four = Poller::open(fixture.addr).await;
    let five = Poller::open(fixture.addr).await;
    assert_eq!(three.end().await, Some(1000));
    // A client with an open poll is notified by it; afterwards its session is unknown, and no timer
    // remains.
    let mut poll = four.start_poll().await;
    let mut six = Ws::open(fixture.addr).await;
    assert_eq!(common::read_answer(&mut poll).await.body, "1");
    assert_eq!(four.poll().await.status, 400);
    six.send("40").await;
    six.text().await;
    assert_eq!(five.post("40").await.body, "ok");
    assert!(five.poll().await.body.starts_with("40"));
    for poller in [&polling, &two, &five] {
        poller.post("1").await;
    }
    drop((joined, six));
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn many_silent_connections_do_not_keep_others_out() {
    let fixture = start(Config {
        max_handshakes: 8,
        ..config()
    })
    .await;
    let mut crowd = Vec::new();
    for round in 0..10 {
        for _ in 0..8 {
            crowd.push(Ws::open(fixture.addr).await);
            let silent = Poller::open(fixture.addr).await;
            drop(silent);
        }
        let mut ws = Ws::join(fixture.addr).await;
        ws.send(&format!("42[\"message\",{round}]")).await;
        assert_eq!(ws.text().await, format!("42[\"message-back\",{round}]"));
    }
    let left = fixture.io.connections();
    assert!(left.polling + left.websocket <= 8 + 1, "{left:?}");
}

#[tokio::test]
async fn the_longest_waiting_tcp_connection_is_displaced() {
    let fixture = start(Config {
        max_handshakes: 3,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let polling = Poller::join(fixture.addr).await;
    let mut poll = polling.start_poll().await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(fixture.addr).await.unwrap());
    }
    // Requests that name no session make no difference.
    let half = b"GET /elsewhere HTTP/1.1\r\nHost: test\r\n\r\nGET /half HT";
    silent[0].write_all(half).await.unwrap();
    assert_ne!(silent[0].read(&mut [0; 512]).await.unwrap(), 0);
    silent.push(TcpStream::connect(fixture.addr).await.unwrap());
    is_closed(&mut silent[0]).await;
    for stream in &mut silent[1..] {
        is_open(stream).await;
    }
    assert_eq!(polling.post("42[\"message\",2]").await.body, "ok");
    assert!(
        common::read_answer(&mut poll)
            .await
            .body
            .ends_with("42[\"message-back\",2]")
    );
    is_closed(&mut silent[1]).await;
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
    expect_served(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_count_of_handshakes_is_correct_however_they_end() {
    let fixture = start(Config {
        max_handshakes: 40,
        max_connections_per_address: Some(40),
        ..config()
    })
    .await;
    let addr = fixture.addr;
    for round in 0..20 {
        let ends = (0..16).map(|number| {
            tokio::spawn(async move {
                match (number + round) % 8 {
                    0 => drop(Ws::open(addr).await),
                    1 => drop(Ws::join(addr).await),
                    2 => drop(Poller::open(addr).await.post("1").await),
                    3 => drop(Poller::join(addr).await.post("1").await),
                    4 => {
                        // Closed before its response arrives.
                        let head = format!(
                            "GET {WEBSOCKET}\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\n"
                        );
                        drop(common::send_request(addr, &head, b"").await);
                    }
                    5 => {
                        let poller = Poller::open(addr).await;
                        let mut ws =
                            Ws::connect(addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
                        ws.send("2probe").await;
                        assert_eq!(ws.text().await, "3probe");
                        ws.send("5").await;
                        ws.send("40").await;
                        ws.text().await;
                    }
                    6 => {
                        let mut ws = Ws::join(addr).await;
                        ws.send("nonsense").await;
                        ws.end().await;
                    }
                    _ => {
                        let mut ws = Ws::open(addr).await;
                        ws.send("40{\"refuse\":true}").await;
                        ws.text().await;
                    }
                }
            })
        });
        for end in ends.collect::<Vec<_>>() {
            end.await.unwrap();
        }
        expect_no_connections(&fixture).await;
    }
    let mut held = Vec::new();
    let filling = timeout(PATIENCE, async {
        while held.len() < 40 {
            // The last ones may still be closing.
            held.extend(Ws::try_connect(addr, WEBSOCKET, "").await);
        }
    });
    filling.await.expect("room for so many again");
    // No connection displaced another, so no closed connection was counted.
    for ws in &mut held {
        ws.send("40").await;
        while !ws.text().await.starts_with("40") {}
    }
    is_refused(addr, 429, "Too many connections from this address").await;
}

#[tokio::test]
async fn connections_per_address_are_limited_over_both_transports() {
    let fixture = start(Config {
        max_connections_per_address: Some(2),
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let polling = Poller::join(fixture.addr).await;
    is_refused(fixture.addr, 429, "Too many connections from this address").await;
    // An upgrade is the same connection.
    let mut upgraded = Ws::connect(fixture.addr, &format!("{WEBSOCKET}&sid={}", polling.sid)).await;
    upgraded.send("2probe").await;
    assert_eq!(upgraded.text().await, "3probe");
    upgraded.send("5").await;
    upgraded.send("42[\"message\",1]").await;
    assert_eq!(upgraded.text().await, "42[\"message-back\",1]");
    is_refused(fixture.addr, 429, "Too many connections from this address").await;
    // Another address.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(fixture.addr).await.unwrap();
    other
        .write_all(
            format!("GET {POLLING} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await
        .unwrap();
    assert_eq!(common::read_answer(&mut other).await.status, 200);
    for _ in 0..3 {
        ws.send("1").await;
        // Space is available again once the other side knows of the close.
        ws.send("41").await;
        assert!(ws.end().await.is_some());
        ws = Ws::join(fixture.addr).await;
    }
    is_refused(fixture.addr, 429, "Too many connections from this address").await;
}

#[tokio::test]
async fn connections_are_limited_in_total() {
    let fixture = start(Config {
        max_connections: 2,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let polling = Poller::join(fixture.addr).await;
    is_refused(fixture.addr, 503, "Too many connections").await;
    polling.post("1").await;
    fixture.log.wait_for("disconnected: transport close").await;
    assert_eq!(
        Poller::join(fixture.addr)
            .await
            .post("42[\"message\",2]")
            .await
            .body,
        "ok"
    );
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
}

#[tokio::test]
async fn slow_heads_and_silent_connections_are_closed() {
    let limit = Duration::from_millis(150);
    let fixture = start_serve(config(), |serve| serve.head_timeout(limit)).await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(fixture.addr).await.unwrap();
    let (mut reading, mut writing) = TcpStream::connect(fixture.addr).await.unwrap().into_split();
    let dribble = tokio::spawn(async move {
        for byte in format!(
            "GET {POLLING} HTTP/1.1\r\nHost: test\r\nX: {}",
            "x".repeat(500)
        )
        .bytes()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        panic!("the server read without a limit");
    });
    let _ = timeout(PATIENCE, reading.read_to_end(&mut Vec::new()))
        .await
        .expect("closed in time");
    drop(reading);
    is_closed(&mut silent).await;
    assert!(began.elapsed() >= limit);
    dribble.await.unwrap();
    expect_served(&fixture).await;
}

#[tokio::test]
async fn a_connection_that_stays_idle_between_requests_is_closed_and_one_that_polls_is_not() {
    let limit = Duration::from_millis(120);
    let fixture = start_serve(config(), |serve| {
        serve.head_timeout(limit).idle_timeout(limit)
    })
    .await;
    let polling = Poller::join(fixture.addr).await;
    let ask = format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", polling.url());
    let mut stream = TcpStream::connect(fixture.addr).await.unwrap();
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut ws = Ws::join(fixture.addr).await;
    tokio::time::sleep(limit * 3).await;
    for socket in fixture.echo.sockets.lock().iter() {
        socket.emit("news", &1).unwrap();
    }
    let mut answer = [0; 512];
    let read = timeout(PATIENCE, stream.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&answer[..read]).ends_with("42[\"news\",1]"),
        "the poll was not idle"
    );
    let answered = Instant::now();
    is_closed(&mut stream).await;
    assert!(answered.elapsed() + Duration::from_millis(20) >= limit);
    assert_eq!(ws.text().await, "42[\"news\",1]", "nor is a WebSocket");
    assert_eq!(
        polling.post("42[\"message\",2]").await.body,
        "ok",
        "the session of the idle connection is still open"
    );
}

#[tokio::test]
async fn f9_a_connection_with_an_unread_response_is_not_idle() {
    let limit = Duration::from_millis(150);
    let (max_queue_bytes, big) = (32 << 20, "x".repeat(16 << 20));
    let fixture = start_serve(
        Config {
            max_queue_bytes,
            ..config()
        },
        |serve| serve.idle_timeout(limit),
    )
    .await;
    let polling = Poller::join(fixture.addr).await;
    fixture.echo.sockets.lock()[0].emit("big", &big).unwrap();
    let mut stream = TcpStream::connect(fixture.addr).await.unwrap();
    stream
        .write_all(format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", polling.url()).as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(limit * 4).await;
    let mut all = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut all))
        .await
        .expect("closed once it is read");
    assert!(all.len() > big.len());
}

#[tokio::test]
async fn h3_an_unread_response_is_dropped_after_the_write_timeout() {
    let limit = Duration::from_millis(150);
    let (max_queue_bytes, big) = (32 << 20, "x".repeat(16 << 20));
    let config = Config {
        max_queue_bytes,
        write_timeout: Some(limit),
        ..config()
    };
    // The limit on idle connections does not apply.
    let fixture = start_serve(config, |serve| serve.idle_timeout(PATIENCE * 10)).await;
    let polling = Poller::join(fixture.addr).await;
    fixture.echo.sockets.lock()[0].emit("big", &big).unwrap();
    let mut stream = TcpStream::connect(fixture.addr).await.unwrap();
    stream
        .write_all(format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", polling.url()).as_bytes())
        .await
        .unwrap();
    // The response's packets are lost with it.
    fixture.log.wait_for("disconnected: transport error").await;
    let mut some = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut some))
        .await
        .expect("closed in time");
    assert!(
        some.len() < big.len(),
        "only bytes in the system's buffers arrived"
    );
}

#[tokio::test]
async fn heads_are_limited_in_lines_and_bytes() {
    let fixture = start_serve(config(), |serve| serve.max_headers(10).max_head_bytes(8192)).await;
    let many = "X: x\r\n".repeat(10);
    assert_eq!(
        request(fixture.addr, &format!("GET {POLLING}\r\n{many}"), b"")
            .await
            .status,
        431
    );
    let large = format!("X: {}\r\n", "x".repeat(8192));
    assert_eq!(
        request(fixture.addr, &format!("GET {POLLING}\r\n{large}"), b"")
            .await
            .status,
        431
    );
    assert_eq!(
        request(fixture.addr, &format!("GET {POLLING}\r\nX: x\r\n"), b"")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn tcp_connections_are_limited_in_all_and_by_address() {
    let fixture = start_serve(config(), |serve| serve.max_connections_per_address(2)).await;
    // A WebSocket no longer counts as HTTP.
    let mut ws = Ws::join(fixture.addr).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(TcpStream::connect(fixture.addr).await.unwrap());
    }
    is_closed(&mut TcpStream::connect(fixture.addr).await.unwrap()).await;
    is_open(&mut held[0]).await;
    drop(held);
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");

    let fixture = start_serve(config(), |serve| serve.max_connections(2)).await;
    let poller = Poller::join(fixture.addr).await;
    let poll = poller.start_poll().await;
    let mut first = TcpStream::connect(fixture.addr).await.unwrap();
    let mut second = TcpStream::connect(fixture.addr).await.unwrap();
    is_closed(&mut first).await;
    assert_eq!(
        poller.post("42[\"message\",1]").await.body,
        "ok",
        "a silent connection is displaced"
    );
    is_closed(&mut second).await;
    drop(poll);
}

#[tokio::test]
async fn pending_acknowledgements_are_limited() {
    let fixture = start(Config {
        max_pending_acks: 2,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let ask = || socket.emit_with_ack("q", "", &[], PATIENCE);
    let (first, second) = (ask(), ask());
    assert_eq!(ask().await.unwrap_err(), AckError::TooMany);
    let answers = fixture
        .io
        .of("/")
        .unwrap()
        .emit_with_ack("q", "", &[], PATIENCE)
        .await;
    assert_eq!(answers[0].1.as_ref().unwrap_err(), &AckError::TooMany);
    drop(second);
    let third = ask();
    for id in 0..3 {
        assert_eq!(ws.text().await, format!("42{id}[\"q\"]"));
        ws.send(&format!("43{id}[{id}]")).await;
    }
    assert_eq!(first.await.unwrap().args(), "0");
    assert_eq!(third.await.unwrap().args(), "2");
}

#[tokio::test]
async fn rooms_of_a_socket_are_limited() {
    let fixture = start(Config {
        max_rooms: 2,
        ..config()
    })
    .await;
    let _ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    assert!(socket.try_join("a") && socket.try_join("b") && socket.try_join("a"));
    assert!(!socket.try_join("c"));
    socket.join("c");
    fixture.io.of("/").unwrap().join("d");
    assert_eq!(
        socket
            .rooms()
            .iter()
            .map(|room| &**room)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    socket.leave("a");
    assert!(socket.try_join("c"));
}

#[tokio::test]
async fn a_handler_that_panics_at_the_end_leaves_nothing_counted() {
    struct Panics;
    impl socketio::Handler for Panics {
        type Data = ();
        async fn connect(&self, _: socketio::ConnectRequest) -> Result<(), socketio::ConnectError> {
            Ok(())
        }
        fn event(
            &self,
            _: &socketio::Socket<()>,
            _: socketio::Event,
        ) -> Option<socketio::BoxFuture<'static, ()>> {
            None
        }
        fn disconnected(&self, _: &socketio::Socket<()>, _: socketio::DisconnectReason) {
            panic!("as the test asked");
        }
    }
    let limits = Config {
        max_connections_per_address: Some(1),
        max_handshakes: 1,
        ..config()
    };
    let io = SocketIo::builder(limits).namespace("/", Panics).build();
    let fixture = common::serve(io, Echo::default()).await;
    for _ in 0..3 {
        let mut ws = Ws::join(fixture.addr).await;
        ws.send("1").await;
        ws.end().await;
        expect_no_connections(&fixture).await;
        assert_eq!(fixture.io.of("/").unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_stopped_accept_loop_finishes_its_connections() {
    let (stop, stopped) = oneshot::channel::<()>();
    let fixture = start_with(config(), |serve| serve, async { drop(stopped.await) }).await;
    let mut ws = Ws::join(fixture.addr).await;
    let poller = Poller::join(fixture.addr).await;
    let mut poll = poller.start_poll().await;
    let mut silent = TcpStream::connect(fixture.addr).await.unwrap();
    fixture.echo.sockets.lock()[0].emit("last", &1).unwrap();
    stop.send(()).unwrap();
    assert_eq!(ws.text().await, "42[\"last\",1]");
    assert_eq!(ws.end().await, Some(1000));
    assert_eq!(common::read_answer(&mut poll).await.status, 503);
    is_closed(&mut silent).await;
    expect_no_connections(&fixture).await;
    assert!(TcpStream::connect(fixture.addr).await.is_err());
}

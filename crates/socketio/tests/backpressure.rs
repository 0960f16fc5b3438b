//! Queued bytes: a burst disconnects no client, but a client that does not read is disconnected.
#![allow(clippy::unwrap_used)]

mod common;
mod piped;

use std::{net::IpAddr, time::Duration};

use common::{Echo, PATIENCE, Poller, Ws, config, expect_no_connections, start};
use socketio::{Config, EmitError, Packet, Recovery, SocketIo};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout},
};

const LIMIT: Duration = Duration::from_secs(20);

/// An event of at least this many bytes.
fn large(number: usize, bytes: usize) -> Packet {
    Packet::event("/", "n", &format!("{number},\"{}\"", "x".repeat(bytes)))
}

fn number(text: &str) -> Option<usize> {
    text.strip_prefix("42[\"n\",")?
        .split(',')
        .next()?
        .parse()
        .ok()
}

#[tokio::test]
async fn s9_a_burst_arrives_over_websocket() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    for sent in 0..300 {
        socket.emit_packet(&large(sent, 10_000)).unwrap();
    }
    for expected in 0..300 {
        assert_eq!(number(&ws.text().await), Some(expected));
    }
}

#[tokio::test]
async fn s9_a_burst_arrives_over_polling() {
    let fixture = start(config()).await;
    let poller = Poller::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    for sent in 0..300 {
        socket.emit_packet(&large(sent, 10_000)).unwrap();
    }
    let mut got = Vec::new();
    while got.len() < 300 {
        got.extend(poller.poll().await.body.split('\u{1e}').map(number));
    }
    assert_eq!(got, (0..300).map(Some).collect::<Vec<_>>());
    assert_eq!(fixture.io.queued_bytes(), 0);
}

#[tokio::test]
async fn s9_emit_wait_waits_for_queue_space() {
    for recovery in [false, true] {
        let recovery = recovery.then(|| Recovery {
            for_everybody: true,
            ..Recovery::default()
        });
        let fixture = start(Config {
            max_queue_bytes: 250_000,
            recovery,
            ..config()
        })
        .await;
        let (mut ws, poller) = (
            Ws::join(fixture.addr).await,
            Poller::join(fixture.addr).await,
        );
        let sockets = fixture.echo.sockets.lock().clone();
        let emitting = sockets.into_iter().map(|socket| {
            tokio::spawn(async move {
                for sent in 0..100 {
                    socket.emit_wait(&large(sent, 100_000)).await?;
                }
                Ok::<_, EmitError>(())
            })
        });
        let emitting: Vec<_> = emitting.collect();
        for expected in 0..100 {
            assert_eq!(number(&ws.text().await), Some(expected));
        }
        let mut got = Vec::new();
        while got.len() < 100 {
            got.extend(poller.poll().await.body.split('\u{1e}').map(number));
        }
        assert_eq!(got, (0..100).map(Some).collect::<Vec<_>>());
        for emitting in emitting {
            assert_eq!(emitting.await.unwrap(), Ok(()));
        }
    }
}

#[tokio::test]
async fn s9_emit_wait_ends_with_its_socket() {
    let fixture = start(Config {
        max_queue_bytes: 250_000,
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    let emitting = tokio::spawn(async move {
        for sent in 0.. {
            socket.emit_wait(&large(sent, 100_000)).await?;
        }
        Ok::<_, EmitError>(())
    });
    assert_eq!(poller.post("1").await.body, "ok");
    assert_eq!(
        timeout(PATIENCE, emitting).await.unwrap().unwrap(),
        Err(EmitError::Closed)
    );
    expect_no_connections(&fixture).await;
}

/// A server whose timers never fire during the test.
fn server_without_pings(config: Config) -> (SocketIo, Echo) {
    let echo = Echo::default();
    let hours = Duration::from_secs(10_000);
    let config = Config {
        ping_interval: hours,
        ping_timeout: hours,
        connect_timeout: hours,
        ..config
    };
    (
        SocketIo::builder(config)
            .namespace("/", echo.clone())
            .build(),
        echo,
    )
}

fn address(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

#[tokio::test(start_paused = true)]
async fn s9_a_websocket_that_reads_nothing_is_disconnected_after_the_write_timeout() {
    let (io, echo) = server_without_pings(Config::default());
    let mut ws = piped::WebSocket::join_from(&io, address(1)).await;
    let socket = echo.sockets.lock()[0].clone();
    // As much as the pipe holds, and more.
    (0..4).for_each(|sent| socket.emit_packet(&large(sent, 100_000)).unwrap());
    let began = Instant::now();
    tokio::time::sleep(LIMIT - Duration::from_millis(100)).await;
    assert!(socket.is_connected());
    echo.log.wait_for("disconnected: slow reader").await;
    assert!(
        began.elapsed() < LIMIT * 5 / 4 + Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let got = ws.receive().await;
    assert_eq!(
        got.iter().map(|text| number(text)).collect::<Vec<_>>(),
        [Some(0), Some(1)],
        "a beginning without gaps"
    );
    assert_eq!(io.queued_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn s9_a_websocket_that_reads_slowly_is_not_disconnected() {
    let (io, echo) = server_without_pings(Config::default());
    let mut ws = piped::WebSocket::join_from(&io, address(1)).await;
    let socket = echo.sockets.lock()[0].clone();
    (0..4).for_each(|sent| socket.emit_packet(&large(sent, 100_000)).unwrap());
    let mut got = 0;
    let mut piece = vec![0; 4_000];
    while got < 400_000 {
        tokio::time::sleep(LIMIT - Duration::from_secs(1)).await;
        got += ws.stream.read(&mut piece).await.unwrap();
    }
    assert!(socket.is_connected());
    // A client that has read everything may be idle forever.
    tokio::time::sleep(LIMIT * 10).await;
    assert!(socket.is_connected());
}

#[tokio::test(start_paused = true)]
async fn s9_a_ping_that_waits_behind_what_is_read_slowly_is_not_missed() {
    let echo = Echo::default();
    let io = SocketIo::builder(Config::default())
        .namespace("/", echo.clone())
        .build();
    let mut ws = piped::WebSocket::join_from(&io, address(1)).await;
    let mut poller = piped::Client::open(&io, false).await;
    poller.send(&["40".to_owned()]).await;
    poller.receive().await;
    let sockets = echo.sockets.lock().clone();
    for socket in &sockets {
        (0..10).for_each(|sent| socket.emit_packet(&large(sent, 100_000)).unwrap());
    }
    let mut answer = poller.start("GET", "").await;
    let (mut got, mut polled) = (Vec::new(), Vec::new());
    let mut piece = vec![0; 10_000];
    for _ in 0..90 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let read = ws.stream.read(&mut piece).await.unwrap();
        got.extend_from_slice(&piece[..read]);
        let read = answer.read(&mut piece).await.unwrap();
        polled.extend_from_slice(&piece[..read]);
    }
    assert!(
        sockets.iter().all(socketio::Socket::is_connected),
        "{:?}",
        echo.log.lines()
    );
    // A client that stops reading is still detected.
    tokio::time::sleep(LIMIT * 3).await;
    assert!(!sockets.iter().any(socketio::Socket::is_connected));
}

#[tokio::test(start_paused = true)]
async fn s9_a_client_that_does_not_poll_is_disconnected_after_the_write_timeout() {
    let (io, echo) = server_without_pings(Config::default());
    let mut client = piped::Client::open(&io, false).await;
    client.send(&["40".to_owned()]).await;
    assert_eq!(client.receive().await, ["40"]);
    let socket = echo.sockets.lock()[0].clone();
    // Neither a client with an empty queue nor one that fetches its queue in time, repeatedly, is
    // disconnected.
    tokio::time::sleep(LIMIT * 2).await;
    for _ in 0..5 {
        socket.emit("n", &1).unwrap();
        tokio::time::sleep(LIMIT / 2).await;
        socket.emit("n", &2).unwrap();
        tokio::time::sleep(LIMIT / 4).await;
        assert_eq!(client.receive().await, ["42[\"n\",1]", "42[\"n\",2]"]);
    }
    assert!(socket.is_connected());
    socket.emit("n", &3).unwrap();
    tokio::time::sleep(LIMIT - Duration::from_millis(100)).await;
    assert!(socket.is_connected());
    tokio::time::sleep(LIMIT / 3).await;
    assert!(
        echo.log
            .lines()
            .contains(&"disconnected: slow reader".to_owned()),
        "{:?}",
        echo.log.lines()
    );
}

#[tokio::test(start_paused = true)]
async fn s9_a_client_disconnected_by_the_timeout_gets_the_rest_when_it_returns() {
    let (io, echo) = server_without_pings(Config {
        recovery: Some(Recovery {
            for_everybody: true,
            ..Recovery::default()
        }),
        ..Config::default()
    });
    let mut client = piped::Client::open(&io, false).await;
    client.send(&["40".to_owned()]).await;
    client.receive().await;
    let socket = echo.sockets.lock()[0].clone();
    (1..=3).for_each(|sent| socket.emit("n", &sent).unwrap());
    tokio::time::sleep(LIMIT * 4 / 3).await;
    assert!(
        echo.log
            .lines()
            .contains(&"suspended: slow reader".to_owned()),
        "{:?}",
        echo.log.lines()
    );
    assert_eq!(
        socket.emit("n", &4),
        Ok(()),
        "and nothing is skipped meanwhile"
    );
    assert!(io.recovery_bytes() > 0);
}

#[tokio::test(start_paused = true)]
async fn s9_queued_bytes_are_limited_per_address() {
    let (io, echo) = server_without_pings(Config {
        max_queue_bytes_per_address: Some(1_500_000),
        ..Config::default()
    });
    let mut clients = Vec::new();
    for last in [1, 1, 2] {
        clients.push(piped::WebSocket::join_from(&io, address(last)).await);
    }
    let sockets = echo.sockets.lock().clone();
    for socket in &sockets {
        (0..12).for_each(|sent| {
            let _ = socket.emit_packet(&large(sent, 100_000));
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(
        sockets
            .iter()
            .map(|socket| socket.is_connected())
            .collect::<Vec<_>>(),
        [true, false, true]
    );
    assert!(
        echo.log
            .lines()
            .contains(&"disconnected: slow reader".to_owned())
    );
    // Bytes that have been read make space for others.
    while sockets[0].queued_bytes() > 0 {
        clients[0].receive().await;
    }
    let _fourth = piped::WebSocket::join_from(&io, address(1)).await;
    let socket = echo.sockets.lock()[3].clone();
    (0..12).for_each(|sent| socket.emit_packet(&large(sent, 100_000)).unwrap());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(socket.is_connected());
}

#[tokio::test(start_paused = true)]
async fn s9_a_broadcast_that_is_queued_for_many_clients_of_one_address_counts_once() {
    let (io, echo) = server_without_pings(Config {
        max_queue_bytes_per_address: Some(2_000_000),
        ..Config::default()
    });
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(piped::WebSocket::join_from(&io, address(1)).await);
    }
    for sent in 0..10 {
        io.of("/").unwrap().emit_packet(&large(sent, 100_000));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(io.queued_bytes() > 10_000_000);
    assert!(
        echo.sockets
            .lock()
            .iter()
            .all(socketio::Socket::is_connected)
    );
    for client in &mut clients {
        let mut got = Vec::new();
        while got.len() < 10 {
            got.extend(client.receive().await);
        }
        assert_eq!(
            got.iter().map(|text| number(text)).collect::<Vec<_>>(),
            (0..10).map(Some).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn h3_unread_poll_responses_count_too() {
    let (io, echo) = server_without_pings(Config {
        max_queue_bytes_per_address: Some(2_000_000),
        ..Config::default()
    });
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut client = piped::Client::open(&io, false).await;
        client.send(&["40".to_owned()]).await;
        client.receive().await;
        let socket = echo.sockets.lock().last().unwrap().clone();
        (0..9).for_each(|sent| {
            let _ = socket.emit_packet(&large(sent, 100_000));
        });
        held.push((client.start("GET", "").await, socket));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(
        held.iter()
            .map(|(_, socket)| socket.is_connected())
            .collect::<Vec<_>>(),
        [true, true, false, false]
    );
    // A client that polls again without reading can queue no more than one that does not.
    let socket = held[0].1.clone();
    let full = (0..40)
        .map(|sent| socket.emit_packet(&large(sent, 100_000)))
        .find(Result::is_err);
    assert_eq!(full, Some(Err(EmitError::Full)));
}

#[tokio::test(start_paused = true)]
async fn s9_packets_may_be_queued_behind_a_response_that_is_being_read() {
    let (io, echo) = server_without_pings(Config {
        max_queue_bytes: 300_000,
        ..Config::default()
    });
    // The first is larger than the whole queue; the second is larger once it is base64.
    let packets = [
        large(0, 500_000),
        Packet::binary_event("/", "n", "0", &[vec![0; 290_000].into()]),
    ];
    for packet in packets {
        let mut client = piped::Client::open(&io, false).await;
        client.send(&["40".to_owned()]).await;
        client.receive().await;
        let socket = echo.sockets.lock().last().unwrap().clone();
        socket.emit_packet(&packet).unwrap();
        let mut reading = client.start("GET", "").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(socket.emit("n", &1), Ok(()));
        let mut answer = Vec::new();
        reading.read_to_end(&mut answer).await.unwrap();
        assert!(answer.len() > 300_000);
        assert_eq!(client.receive().await, ["42[\"n\",1]"]);
        assert!(socket.is_connected());
    }
}

#[tokio::test(start_paused = true)]
async fn s9_emit_wait_disconnects_no_socket() {
    let recovery = Some(Recovery {
        for_everybody: true,
        ..Recovery::default()
    });
    let (io, echo) = server_without_pings(Config {
        max_queue_bytes: 250_000,
        recovery,
        ..Config::default()
    });
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(piped::WebSocket::join_from(&io, address(1)).await);
    }
    let sockets = echo.sockets.lock().clone();
    // Each event of a batch gets an offset.
    let batch =
        Packet::batch((0..3_000).map(|number| Packet::event("/", "n", &number.to_string())));
    let emitting: Vec<_> = sockets
        .iter()
        .map(|socket| {
            let (socket, batch) = (socket.clone(), batch.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    socket.emit_wait(&batch).await?;
                }
                Ok::<_, EmitError>(())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(
        !emitting.iter().any(tokio::task::JoinHandle::is_finished),
        "{:?}",
        echo.log.lines()
    );
    let mut got = [0, 0];
    while got != [60_000, 60_000] {
        for (client, got) in clients.iter_mut().zip(&mut got) {
            *got += client.receive().await.len();
        }
    }
    for emitting in emitting {
        assert_eq!(emitting.await.unwrap(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn s9_emit_wait_ends_when_no_poll_can_fetch_the_packets() {
    let limits = Config {
        ping_timeout: LIMIT,
        write_timeout: None,
        max_queue_bytes: 250_000,
        ..Config::default()
    };
    let echo = Echo::default();
    let io = SocketIo::builder(limits)
        .namespace("/", echo.clone())
        .build();
    // The last poll may be aborted, too.
    for cut_off in [false, true] {
        let mut client = piped::Client::open(&io, false).await;
        client.send(&["40".to_owned()]).await;
        client.receive().await;
        let socket = echo.sockets.lock().last().unwrap().clone();
        let poll = if cut_off {
            Some(client.start("GET", "").await)
        } else {
            None
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        let emitting = tokio::spawn({
            let socket = socket.clone();
            async move {
                for sent in 0.. {
                    socket.emit_wait(&large(sent, 100_000)).await?;
                }
                Ok::<_, EmitError>(())
            }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!emitting.is_finished() && socket.queued_bytes() > 0);
        socket.close_transport();
        drop(poll);
        tokio::time::sleep(LIMIT + Duration::from_secs(1)).await;
        assert_eq!(
            timeout(LIMIT, emitting).await.expect("it ends").unwrap(),
            Err(EmitError::Closed)
        );
        assert_eq!(socket.queued_bytes(), 0);
    }
}

#[tokio::test]
async fn s10_volatile_packets_are_dropped_when_the_transport_cannot_write() {
    let fixture = start(config()).await;
    let (mut ws, poller) = (
        Ws::join(fixture.addr).await,
        Poller::join(fixture.addr).await,
    );
    let sockets = fixture.echo.sockets.lock().clone();
    let volatile = |socket: &socketio::Socket<_>, number: u32| {
        socket.emit_volatile(&Packet::event("/", "v", &number.to_string()))
    };
    // Of several at once, the first is written, as in Node.
    assert_eq!(
        (1..=3)
            .map(|number| volatile(&sockets[0], number))
            .collect::<Vec<_>>(),
        [Ok(()), Err(EmitError::Full), Err(EmitError::Full)]
    );
    assert_eq!(ws.text().await, "42[\"v\",1]");
    assert_eq!(volatile(&sockets[0], 4), Ok(()));
    assert_eq!(ws.text().await, "42[\"v\",4]");
    // It is dropped if anything else is queued, however little.
    sockets[0].emit("n", &1).unwrap();
    assert_eq!(volatile(&sockets[0], 5), Err(EmitError::Full));
    assert_eq!(ws.text().await, "42[\"n\",1]");
    // On polling it needs an open poll.
    assert_eq!(volatile(&sockets[1], 1), Err(EmitError::Full));
    sockets[1].emit("n", &1).unwrap();
    assert_eq!(poller.poll().await.body, "42[\"n\",1]");
    let mut poll = poller.start_poll().await;
    assert_eq!(
        (2..=3)
            .map(|number| volatile(&sockets[1], number))
            .collect::<Vec<_>>(),
        [Ok(()), Err(EmitError::Full)]
    );
    assert_eq!(common::read_answer(&mut poll).await.body, "42[\"v\",2]");
}

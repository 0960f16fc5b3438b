//! Stopping a server: work that has begun completes, other work does not start.
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
    Fixture, Got, PATIENCE, POLLING, Poller, Ws, config, expect_no_connections, request, start,
};
use socketio::{BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Socket, SocketIo};
use tokio::time::timeout;

/// Handles events slowly, one after another, and acknowledges much later.
#[derive(Clone, Default)]
struct Works {
    begun: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
}

impl Handler for Works {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn event(&self, _: &Socket<()>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        assert_eq!(event.parse::<usize>(0).unwrap(), number);
        let (ack, finished) = (event.take_ack().unwrap(), self.finished.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            ack.reply(&number).unwrap();
            finished.fetch_add(1, Ordering::SeqCst);
        });
        number.is_multiple_of(3).then(|| {
            Box::pin(tokio::time::sleep(Duration::from_millis(2))) as BoxFuture<'static, ()>
        })
    }
}

async fn works() -> (SocketIo, Works, std::net::SocketAddr) {
    let works = Works::default();
    let io = SocketIo::builder(config())
        .namespace("/", works.clone())
        .build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(socketio::serve(listener, io.clone()));
    (io, works, addr)
}

async fn until(condition: impl Fn() -> bool) {
    let met = timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(met.await.is_ok());
}

/// The number that an acknowledgement contains.
fn acknowledgement(text: &str) -> usize {
    let (id, arg) = text
        .strip_prefix("43")
        .unwrap()
        .strip_suffix(']')
        .unwrap()
        .split_once('[')
        .unwrap();
    assert_eq!(id, arg);
    id.parse().unwrap()
}

/// Each of them once, in any order.
fn check(mut acknowledged: Vec<usize>, begun: usize) {
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, (0..begun).collect::<Vec<_>>());
}

async fn stop(io: &SocketIo, works: &Works) -> usize {
    until(|| works.begun.load(Ordering::SeqCst) >= 20).await;
    io.pause_events().await;
    let begun = works.begun.load(Ordering::SeqCst);
    assert!(begun < 60, "the pause falls into the middle");
    until(|| works.finished.load(Ordering::SeqCst) == begun).await;
    assert_eq!(
        works.begun.load(Ordering::SeqCst),
        begun,
        "nothing is begun after a pause"
    );
    io.drain();
    timeout(PATIENCE, io.closed())
        .await
        .expect("closed in time");
    begun
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_that_reached_the_handler_is_acknowledged_and_the_others_never_reach_it() {
    let (io, works, addr) = works().await;
    let mut ws = Ws::join(addr).await;
    for number in 0..60 {
        ws.send(&format!("42{number}[\"work\",{number}]")).await;
    }
    // The server waits for the client to close too, so the test reads meanwhile.
    let reading = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        loop {
            match ws.next().await {
                Got::Text(text) => acknowledged.push(acknowledgement(&text)),
                Got::Close(1000) => return acknowledged,
                other => panic!("{other:?}"),
            }
        }
    });
    let begun = stop(&io, &works).await;
    check(reading.await.unwrap(), begun);
    assert_eq!(works.begun.load(Ordering::SeqCst), begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_event_is_acknowledged_on_polling() {
    let (io, works, addr) = works().await;
    let poller = Poller::join(addr).await;
    let events: Vec<_> = (0..60)
        .map(|number| format!("42{number}[\"work\",{number}]"))
        .collect();
    assert_eq!(poller.post(&events.join("\u{1e}")).await.body, "ok");
    let reading = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        loop {
            let answer = poller.poll().await;
            if answer.status != 200 {
                return acknowledged;
            }
            acknowledged.extend(answer.body.split('\u{1e}').map(acknowledgement));
        }
    });
    let begun = stop(&io, &works).await;
    check(reading.await.unwrap(), begun);
}

#[tokio::test]
async fn packets_queued_between_a_drain_and_the_close_are_sent() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    let poller = Poller::join(fixture.addr).await;
    let sockets = fixture.echo.sockets.lock().clone();
    // With one thread, no connection runs before this test awaits.
    fixture.io.drain();
    for socket in &sockets {
        assert_eq!(socket.emit("last", &1), Ok(()));
        assert!(!socket.is_connected(), "though there is no future in it");
    }
    assert_eq!(ws.text().await, "42[\"last\",1]");
    assert_eq!(ws.next().await, Got::Close(1000));
    assert_eq!(poller.poll().await.body, "42[\"last\",1]");
    for socket in &sockets {
        assert_eq!(socket.emit("late", &1), Err(socketio::EmitError::Closed));
    }
}

#[tokio::test]
async fn an_overflow_while_closing_sends_nothing_after_the_gap() {
    let fixture = start(Config {
        max_queue_bytes: 1_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    fixture.io.drain();
    assert_eq!(socket.emit("a", &"x".repeat(600)), Ok(()));
    assert_eq!(
        socket.emit("b", &"x".repeat(600)),
        Err(socketio::EmitError::Full)
    );
    assert_eq!(socket.emit("c", &1), Err(socketio::EmitError::Closed));
    ws.end().await;
    fixture.log.wait_for("disconnected: slow reader").await;
}

async fn is_closed(fixture: &Fixture, within: u64) -> bool {
    timeout(Duration::from_millis(within), fixture.io.closed())
        .await
        .is_ok()
}

#[tokio::test]
async fn closed_waits_for_the_last_close() {
    let fixture = start(Config {
        ping_timeout: Duration::from_millis(500),
        ..config()
    })
    .await;
    assert!(is_closed(&fixture, 10).await, "without connections");
    let mut ws = Ws::join(fixture.addr).await;
    let fetched = Poller::join(fixture.addr).await;
    let _gone = Poller::join(fixture.addr).await;
    assert!(!is_closed(&fixture, 30).await);
    fixture.io.drain();
    expect_no_connections(&fixture).await;
    assert!(
        !is_closed(&fixture, 30).await,
        "no client has received the close yet"
    );
    assert_eq!(ws.end().await, Some(1000));
    drop(ws);
    assert_eq!(fetched.poll().await.status, 503);
    assert!(!is_closed(&fixture, 30).await, "one has not fetched it");
    assert!(is_closed(&fixture, 2_000).await, "and is given up");
}

#[tokio::test]
async fn a_pause_opens_no_session_and_closes_none() {
    let fixture = start(Config {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(150),
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    fixture.io.pause_events().await;
    assert_eq!(
        request(fixture.addr, &format!("GET {POLLING}"), b"")
            .await
            .status,
        503
    );
    assert_eq!(ws.text().await, "2");
    ws.send("3").await;
    ws.send("42[\"message\",\"never\"]").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    fixture.echo.sockets.lock()[0].emit("still", &true).unwrap();
    assert_eq!(
        ws.text().await,
        "42[\"still\",true]",
        "its pong is there, only not read"
    );
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.contains("never"))
    );
}

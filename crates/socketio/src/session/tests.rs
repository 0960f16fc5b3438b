use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use tokio::time::Instant;

use super::*;
use crate::{Config, EmitError, SocketIo};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn session(transport: TransportKind) -> (Arc<Session>, Arc<Count>, Waker) {
    let server = SocketIo::builder(Config {
        max_queue_bytes: 10,
        ..Config::default()
    })
    .build()
    .server
    .engine
    .clone();
    let handshake = Arc::new(Handshake::bare(([127, 0, 0, 1], 1).into()));
    let wakes = Arc::new(Count::default());
    (
        Session::new(server, Id::random().unwrap(), transport, handshake),
        wakes.clone(),
        wakes.into(),
    )
}

#[tokio::test]
async fn work_during_a_run_prolongs_it_and_later_work_wakes_the_driver() {
    let (session, wakes, waker) = session(TransportKind::WebSocket);
    let seen = || wakes.0.load(Ordering::Relaxed);
    let something = || Bytes::from_static(b"\x81\x012");
    session.begin_run(&waker);
    assert!(session.take_queue(0).is_empty());
    session.push(something(), None).unwrap();
    assert_eq!(seen(), 0, "a running driver is not woken");
    assert!(!session.end_run(true, true), "but has another run");
    assert!(
        session.end_run(false, true),
        "unless it cannot write anyway"
    );
    session.take_queue(3);
    session.push(something(), None).unwrap();
    assert_eq!(seen(), 1);
    session.push(something(), None).unwrap();
    assert_eq!(seen(), 1, "one wake is enough for all that is queued");
    session.begin_run(&waker);
    session.take_queue(0);
    session.notice_left_socket();
    assert!(!session.end_run(true, true));
    assert!(session.begin_run(&waker).socket_left);
    session.close(DisconnectReason::ForcedClose);
    assert!(!session.end_run(true, true));
    assert_eq!(
        session.begin_run(&waker).closing,
        Some(DisconnectReason::ForcedClose)
    );
    assert_eq!(
        session.push(something(), None),
        Ok(()),
        "a graceful end takes along what comes before it"
    );
    assert_eq!(
        session
            .end(DisconnectReason::ForcedClose, TransportKind::WebSocket)
            .rest
            .map(|rest| rest.len()),
        Some(1)
    );
    assert_eq!(session.push(something(), None), Err(EmitError::Closed));
}

#[tokio::test]
async fn bytes_count_until_they_are_written() {
    let (session, wakes, waker) = session(TransportKind::WebSocket);
    session.begin_run(&waker);
    session.end_run(true, true);
    session.push(Bytes::from_static(&[0; 8]), None).unwrap();
    session.begin_run(&waker);
    session.take_queue(0);
    assert_eq!(session.queued_bytes(), 8, "taken is not written");
    assert!(session.count_blocked(8, &VecDeque::new()));
    assert!(session.end_run(true, true));
    session.push(Bytes::from_static(&[0; 8]), None).unwrap();
    assert_eq!(
        session.push(Bytes::from_static(&[0; 3]), None),
        Err(EmitError::Full)
    );
    assert_eq!(
        session.begin_run(&waker).closing,
        Some(DisconnectReason::SlowReader)
    );
    assert_eq!(wakes.0.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_payload_waits_for_room_in_the_inbox() {
    let (session, wakes, waker) = session(TransportKind::Polling);
    let mut cx = Context::from_waker(&waker);
    session.begin_run(&waker);
    session.end_run(false, true);
    let payload = Bytes::from_static(b"4");
    assert!(session.open_post() && !session.open_post());
    assert_eq!(session.poll_deliver(&payload, &mut cx), Poll::Ready(true));
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(session.poll_deliver(&payload, &mut cx), Poll::Pending);
    session.begin_run(&waker);
    assert!(
        !session.end_run(false, true),
        "there is something to receive"
    );
    assert!(
        session.end_run(false, false),
        "unless it is not to be received yet"
    );
    assert!(session.take_inbox().is_some());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
    assert_eq!(session.poll_deliver(&payload, &mut cx), Poll::Ready(true));
    session.close(DisconnectReason::ForcedClose);
    assert_eq!(session.poll_deliver(&payload, &mut cx), Poll::Ready(false));
}

#[tokio::test]
async fn packets_queued_after_the_response_to_a_poll_wait_for_the_next_poll() {
    let (session, _, waker) = session(TransportKind::Polling);
    let mut cx = Context::from_waker(&waker);
    assert!(session.open_poll() && !session.open_poll());
    assert!(session.poll_items(&mut cx).is_pending());
    session
        .push(Bytes::from_static(b"\x81\x012"), None)
        .unwrap();
    assert!(
        matches!(session.poll_items(&mut cx), Poll::Ready(Polled::Items(items)) if items.len() == 1)
    );
    session
        .push(Bytes::from_static(b"\x81\x012"), None)
        .unwrap();
    assert!(
        !session
            .end(DisconnectReason::ForcedClose, TransportKind::Polling)
            .poll_open,
        "the next one is to be waited for"
    );
    assert!(session.open_poll());
    assert!(
        matches!(session.poll_items(&mut cx), Poll::Ready(Polled::Items(items)) if items.len() == 1)
    );
    assert!(session.open_poll());
    assert!(
        matches!(session.poll_items(&mut cx), Poll::Ready(Polled::Last(items)) if items.is_empty())
    );
}

#[tokio::test]
async fn a_packet_larger_than_the_queue_is_counted_apart_until_it_is_written() {
    let (session, _, waker) = session(TransportKind::WebSocket);
    let push = |bytes: usize| session.push(vec![0; bytes].into(), None);
    session.begin_run(&waker);
    assert_eq!(push(50), Ok(()));
    assert_eq!(push(6), Ok(()));
    session.take_queue(0);
    assert!(session.count_blocked(45, &VecDeque::new()));
    assert_eq!(push(4), Ok(()));
    assert_eq!(session.queued_bytes(), 15);
    assert!(session.count_blocked(7, &VecDeque::new()));
    assert_eq!(push(2), Ok(()), "of the small ones, 8 bytes are left");
    assert_eq!(push(11), Err(EmitError::Full));
}

#[tokio::test]
async fn there_is_never_more_than_one_packet_larger_than_the_queue() {
    let (session, _, waker) = session(TransportKind::WebSocket);
    session.begin_run(&waker);
    session.push(vec![0; 50].into(), None).unwrap();
    session.take_queue(49);
    assert_eq!(session.push(vec![0; 11].into(), None), Err(EmitError::Full));
    assert_eq!(
        session.begin_run(&waker).closing,
        Some(DisconnectReason::SlowReader)
    );
}

#[tokio::test]
async fn s9_an_empty_packet_always_fits() {
    let (session, _, _) = session(TransportKind::WebSocket);
    session.push(Bytes::from_static(&[0; 8]), None).unwrap();
    session.ping(Instant::now());
    assert_eq!(
        session.push(Bytes::new(), Some(Item::Written(Box::new(|| ())))),
        Ok(()),
        "a ping made it too much, not the client"
    );
    assert!(session.is_open());
}

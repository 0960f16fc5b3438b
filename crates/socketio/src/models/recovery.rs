//! A socket that moves between connections, while the application emits and several connections
//! request it.

use super::*;
use crate::{
    Recovery,
    recovery::{Recovering, RecoveryRequest, SuspendOutcome},
    session::Item,
};

fn recoverable() -> (SocketIo, Arc<Session>, Arc<Recovering>) {
    let config = Config {
        recovery: Some(Recovery::default()),
        ..Config::default()
    };
    let io = SocketIo::builder(config)
        .namespace("/", App::default())
        .build();
    let first = session(&io, TransportKind::WebSocket);
    let totals = io.server.namespaces.hub.recoverable.totals();
    let recovering = Arc::new(Recovering::new(first.clone(), 7, totals).unwrap());
    (io, first, recovering)
}

fn emit(recovering: &Recovering, number: u64) {
    recovering
        .push_events(&Packet::event("/", "n", &number.to_string()), None)
        .unwrap();
}

/// Takes the queued items, which must continue after event `has`. Returns the new last event.
fn take(session: &Session, mut has: u64) -> u64 {
    for item in session.take_queue(0) {
        let Item::Frames(frames) = item else { continue };
        for (_, data) in frame::server_frames(&frames) {
            let text = std::str::from_utf8(data).unwrap();
            if text.starts_with("42") {
                has += 1;
                assert_eq!(text, format!("42[\"n\",{has},\"{has}.7\"]"));
            }
        }
    }
    has
}

/// Loses the connection and resumes on another.
fn come_back(
    io: &SocketIo,
    recovering: &Recovering,
    session: &Arc<Session>,
    has: u64,
) -> Arc<Session> {
    assert!(matches!(
        recovering.suspend(session, DisconnectReason::TransportClose),
        SuspendOutcome::Until(_)
    ));
    let next = self::session(io, TransportKind::WebSocket);
    let request = RecoveryRequest {
        pid: recovering.pid().to_owned(),
        offset: Some(format!("{has}.7")),
    };
    let after = recovering.resumes_after(&request).unwrap();
    assert!(recovering.resume(&next, after, &Packet::connected("/", "x", None)));
    next
}

#[test]
fn a_recovered_socket_misses_nothing_and_gets_nothing_twice() {
    explore(|| {
        let (io, first, recovering) = recoverable();
        let emitting = thread::spawn({
            let recovering = recovering.clone();
            move || (1..=6).for_each(|number| emit(&recovering, number))
        });
        let (mut current, mut has) = (first, 0);
        for _ in 0..2 {
            has = take(&current, has);
            current = come_back(&io, &recovering, &current, has);
        }
        emitting.join().unwrap();
        assert_eq!(take(&current, has), 6);
        assert_eq!(io.server.namespaces.hub.recoverable.totals().waiting(), 0);
        drop(recovering);
        assert_eq!(io.recovery_bytes(), 0);
    });
}

/// Two connections and the end of the window compete for a suspended socket: one gets it, and
/// events go to that one.
#[test]
fn a_suspended_socket_is_resumed_by_one_connection_only() {
    explore(|| {
        let (io, first, recovering) = recoverable();
        assert!(matches!(
            recovering.suspend(&first, DisconnectReason::TransportClose),
            SuspendOutcome::Until(_)
        ));
        emit(&recovering, 1);
        let [one, other] = [0; 2].map(|_| {
            let (recovering, session) =
                (recovering.clone(), session(&io, TransportKind::WebSocket));
            thread::spawn(move || {
                (
                    recovering.resume(&session, 0, &Packet::connected("/", "x", None)),
                    session,
                )
            })
        });
        let has_ended = recovering.end_suspension(None).is_some();
        let ((one, one_session), (other, other_session)) =
            (one.join().unwrap(), other.join().unwrap());
        assert_eq!(
            [has_ended, one, other]
                .iter()
                .filter(|has_it| **has_it)
                .count(),
            1
        );
        let late = recovering.push_events(&Packet::event("/", "n", "2"), None);
        assert_eq!(late.is_err(), has_ended);
        assert_eq!(
            (take(&one_session, 0), take(&other_session, 0)),
            (if one { 2 } else { 0 }, if other { 2 } else { 0 })
        );
        assert_eq!(io.server.namespaces.hub.recoverable.totals().waiting(), 0);
    });
}

/// A callback for a written event runs once, whichever connection writes the event.
#[test]
fn callbacks_of_unwritten_events_run_when_the_next_connection_writes_them() {
    explore(|| {
        let (io, first, recovering) = recoverable();
        let written = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let emit_then = |number: u64| {
            let written = written.clone();
            let callback = Item::Written(Box::new(move || written.lock().push(number)));
            recovering
                .push_events(
                    &Packet::event("/", "n", &number.to_string()),
                    Some(callback),
                )
                .unwrap();
        };
        let write = |session: &Arc<Session>| {
            session.take_queue(0).into_iter().for_each(|item| {
                if let Item::Written(callback) = item {
                    callback();
                }
            });
        };
        emit_then(1);
        let writing = first.take_queue(0);
        emit_then(2);
        let writer = thread::spawn(move || {
            for item in writing {
                if let Item::Written(callback) = item {
                    callback();
                }
            }
        });
        // Lost before it has written event 2; the next one is lost before it has written anything.
        let second = come_back(&io, &recovering, &first, 1);
        emit_then(3);
        let third = come_back(&io, &recovering, &second, 1);
        write(&third);
        emit_then(4);
        write(&third);
        writer.join().unwrap();
        drop((first, second));
        let mut written = std::mem::take(&mut *written.lock());
        written.sort_unstable();
        assert_eq!(written, [1, 2, 3, 4]);
    });
}

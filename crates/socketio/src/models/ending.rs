//! An upgrade and a half-sent POST of a session on polling that ends: neither may be left waiting.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use shuttle::{future::block_on, thread};

use super::{App, drive, everything_is_gone, explore, numbers, pipe, request, server, session};
use crate::{
    TransportKind,
    link::Link,
    packet::append_payload,
    session::{EndedSession, Item},
};

/// A body that never ends.
struct HalfSent;

impl http_body::Body for HalfSent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[test]
fn s7_s8_requests_that_wait_for_a_session_end_with_it() {
    explore(|| {
        let app = App::default();
        let io = server(&app);
        let session = session(&io, TransportKind::Polling);
        let driver = drive(&io, &session, Link::Polling);
        assert_eq!(request(&io, "POST", &session.sid, "40").0, 200);
        assert!(request(&io, "GET", &session.sid, "").1.starts_with("40{"));
        assert!(session.start_upgrade());
        let posting = thread::spawn({
            let (io, sid) = (io.clone(), session.sid.to_string());
            move || {
                // With this header the server does not wait for the rest of a refused body; no time
                // elapses here.
                let request =
                    http::Request::post(format!("/socket.io/?EIO=4&transport=polling&sid={sid}"))
                        .header("expect", "100-continue");
                let request = request.body(HalfSent).unwrap();
                block_on(io.handle(request, ([127, 0, 0, 1], 1).into())).status()
            }
        });
        let closing = thread::spawn({
            let (io, session, app) = (io.clone(), session.clone(), app.clone());
            move || {
                while app.sockets.lock().is_empty() {
                    thread::yield_now();
                }
                app.sockets.lock()[0].clone().close_transport();
                // The poll that receives the close ends the upgrade.
                while request(&io, "GET", &session.sid, "").0 == 200 {}
            }
        });
        block_on(poll_fn(|cx| session.poll_ended(cx)));
        session.cancel_upgrade();
        assert_eq!(posting.join().unwrap(), 400);
        closing.join().unwrap();
        driver.join().unwrap();
        everything_is_gone(&io, &app);
        assert!(
            session.take_alive_guard().is_none(),
            "nothing is left to wait for"
        );
    });
}

/// The upgrade completes at the moment when the server closes the transport: exactly one of them
/// sends the queued packets.
#[test]
fn s7_an_upgrade_that_comes_too_late_sends_the_queued_packets() {
    explore(|| {
        let app = App::default();
        let io = server(&app);
        let session = session(&io, TransportKind::Polling);
        let driver = drive(&io, &session, Link::Polling);
        assert_eq!(request(&io, "POST", &session.sid, "40").0, 200);
        assert!(request(&io, "GET", &session.sid, "").1.starts_with("40{"));
        while app.sockets.lock().is_empty() {
            thread::yield_now();
        }
        let socket = app.sockets.lock()[0].clone();
        assert!(session.start_upgrade());
        let has_emitted = Arc::new(crate::sync::AtomicBool::default());
        let closing = thread::spawn({
            let has_emitted = has_emitted.clone();
            move || {
                (0..2).for_each(|number| socket.emit("a", &number).unwrap());
                has_emitted.store(true, Ordering::SeqCst);
                socket.close_transport();
            }
        });
        while !has_emitted.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let (_client, websocket) = pipe(400);
        if let Err(EndedSession { rest, .. }) = session.finish_upgrade(Box::new(websocket), false) {
            let mut payload = Vec::new();
            for item in rest.expect("a graceful end") {
                if let Item::Frames(frames) = item {
                    append_payload(&mut payload, &frames);
                }
            }
            let texts: Vec<_> = String::from_utf8(payload)
                .unwrap()
                .split('\u{1e}')
                .map(str::to_owned)
                .collect();
            assert_eq!(numbers(&texts, "a"), [0, 1]);
            io.server.engine.remove_session(session.sid.key());
            session.cancel_upgrade();
        }
        closing.join().unwrap();
        driver.join().unwrap();
        everything_is_gone(&io, &app);
        assert!(io.server.engine.registry.all().is_empty());
    });
}

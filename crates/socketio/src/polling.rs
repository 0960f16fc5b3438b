//! Sessions on HTTP long-polling: opening them, polls and POSTs.

use std::{future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Buf;
use http::{Response, StatusCode, Version, header::CONNECTION, request::Parts};
use tokio::time::Instant;

use crate::{
    Body, DisconnectReason, Handshake, Rejection, TransportKind,
    codec::payload,
    engine::Engine,
    incoming,
    link::Link,
    packet,
    rejection::reject,
    request_body::RequestBody,
    response::{CLOSE, error, respond, text},
    session::{Item, Polled, Session},
};

/// How long a poll that arrives during an upgrade waits before it is answered, as in the reference
/// implementation.
const UPGRADE_POLL: Duration = Duration::from_millis(100);

/// Opens a session on polling.
pub(crate) fn open(
    engine: &Arc<Engine<Session>>,
    parts: Parts,
    peer: SocketAddr,
) -> Response<Body> {
    let admission_guard = match engine.admit(peer.ip()) {
        Ok(admission_guard) => admission_guard,
        Err(why) => return reject(engine, why),
    };
    let handshake = Handshake::of(parts, peer, engine.config.retain_handshake);
    match engine.open(admission_guard, Link::Polling, handshake) {
        Some(session) => text(
            StatusCode::OK,
            Body::new(engine.open_packet(&session.sid, TransportKind::Polling)),
        ),
        None => reject(engine, Rejection::NoRandomness),
    }
}

/// Closes the session if a request is aborted: the packets that it carried are lost, and both sides
/// must know.
struct AbortGuard<'a> {
    session: &'a Arc<Session>,
    close_request: fn(&Session),
    is_done: bool,
}

impl Drop for AbortGuard<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        (self.close_request)(self.session);
        // A poll from before an upgrade carries no packets any more.
        if self.session.transport() == TransportKind::Polling {
            self.session.close(DisconnectReason::TransportError);
        }
    }
}

/// Answers a poll.
pub(crate) async fn poll(session: Arc<Session>) -> Response<Body> {
    // Timers run slightly late; an overdue session must not answer a poll as if it were alive.
    if session.close_if_overdue(Instant::now()) {
        return reject(&session.engine, Rejection::UnknownSession);
    }
    if !session.open_poll() {
        // Two polls would split the packets between them. The poll that is already open gets a
        // close packet.
        session.close(DisconnectReason::TransportError);
        return reject(&session.engine, Rejection::BadRequest);
    }
    let mut abort_guard = AbortGuard {
        session: &session,
        close_request: Session::close_poll,
        is_done: false,
    };
    let items = poll_fn(|cx| session.poll_items(cx));
    let polled = if session.is_upgrading() {
        tokio::time::timeout(UPGRADE_POLL, items)
            .await
            .unwrap_or_else(|_| {
                session.close_poll();
                Polled::Noop
            })
    } else {
        items.await
    };
    abort_guard.is_done = true;
    drop(abort_guard);
    if matches!(
        polled,
        Polled::ClosedByClient | Polled::Last(_) | Polled::Stopping(_)
    ) {
        session.engine.remove_session(session.sid.key());
    }
    let (items, is_last) = match polled {
        Polled::Noop | Polled::ClosedByClient => return text(StatusCode::OK, Body::new("6")),
        Polled::Refused => return reject(&session.engine, Rejection::BadRequest),
        Polled::Stopping(items) if items.is_empty() => {
            return reject(&session.engine, Rejection::Stopping);
        }
        Polled::Items(items) | Polled::Stopping(items) => (items, false),
        Polled::Last(items) => (items, true),
    };
    let (mut payload, mut callbacks) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Frames(frames) => packet::append_payload(&mut payload, &frames),
            Item::Written(callback) => callbacks.push(callback),
        }
    }
    if is_last {
        if !payload.is_empty() {
            payload.push(payload::SEPARATOR);
        }
        payload.push(b'1');
    } else if payload.is_empty() {
        payload.push(b'6');
    }
    let Some(payload) = session.keep_response(payload) else {
        session.close(DisconnectReason::SlowReader);
        return reject(&session.engine, Rejection::UnknownSession);
    };
    text(StatusCode::OK, Body::of_poll(payload, session, callbacks))
}

/// Answers a POST, which carries packets.
pub(crate) async fn post<B>(
    session: Arc<Session>,
    parts: &Parts,
    body: &mut RequestBody<B>,
) -> Response<Body>
where
    B: http_body::Body + Unpin,
    B::Data: Buf,
{
    if !session.open_post() {
        // Two POSTs at once have no defined order.
        session.close(DisconnectReason::TransportError);
        return reject(&session.engine, Rejection::BadRequest);
    }
    let mut abort_guard = AbortGuard {
        session: &session,
        close_request: Session::close_post,
        is_done: false,
    };
    let config = &session.engine.config;
    let read = tokio::time::timeout(
        config.body_timeout,
        body.payload(&parts.headers, config.max_payload, session.received()),
    );
    let read = tokio::select! {
        biased;
        () = poll_fn(|cx| session.poll_closing(cx)) => {
            // The session has ended, so the rest of the body is not needed.
            abort_guard.is_done = true;
            session.close_post();
            let mut response = reject(&session.engine, Rejection::UnknownSession);
            if parts.version <= Version::HTTP_11 {
                response.headers_mut().insert(CONNECTION, CLOSE);
            }
            return response;
        }
        read = read => read,
    };
    let payload = match read {
        Ok(Ok(payload)) => payload,
        // The client knows that it was not accepted; the session continues, as in the reference
        // implementation.
        Ok(Err(StatusCode::PAYLOAD_TOO_LARGE)) => {
            abort_guard.is_done = true;
            session.close_post();
            session.engine.refused(Rejection::BadBody);
            return respond(StatusCode::PAYLOAD_TOO_LARGE, "text/html", Body::default());
        }
        Ok(Err(StatusCode::TOO_MANY_REQUESTS)) => {
            abort_guard.is_done = true;
            session.close_post();
            return reject(&session.engine, Rejection::TooMuchReceived);
        }
        Ok(Err(status)) => return bad_body(&session.engine, status, "The payload cannot be taken"),
        Err(_) => {
            // Do not read the rest of the body for the same time again.
            let mut response = bad_body(
                &session.engine,
                StatusCode::REQUEST_TIMEOUT,
                "The payload took too long",
            );
            if parts.version <= Version::HTTP_11 {
                response.headers_mut().insert(CONNECTION, CLOSE);
            }
            return response;
        }
    };
    let Ok(packets) = simdutf8::basic::from_utf8(&payload) else {
        session.close(DisconnectReason::ParseError);
        return reject(&session.engine, Rejection::BadRequest);
    };
    if payload::count(packets) > config.max_packets_per_payload
        || !payload::packets(packets).all(payload::is_packet)
    {
        session.close(DisconnectReason::ParseError);
        return reject(&session.engine, Rejection::BadRequest);
    }
    // A PONG must not wait behind events that the application holds back.
    if payload::packets(packets).any(|packet| packet == "3") {
        incoming::pong(&session);
    }
    let delivered = poll_fn(|cx| session.poll_deliver(&payload, cx)).await;
    session.close_post();
    abort_guard.is_done = true;
    if delivered {
        respond(StatusCode::OK, "text/html", Body::new("ok"))
    } else {
        reject(&session.engine, Rejection::UnknownSession)
    }
}

fn bad_body(engine: &Engine<Session>, status: StatusCode, message: &str) -> Response<Body> {
    engine.refused(Rejection::BadBody);
    error(status, 3, message)
}

//! HTTP requests: routing, checks and responses.

use std::{borrow::Cow, error::Error, future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Buf;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{ACCESS_CONTROL_REQUEST_HEADERS, CONNECTION, ORIGIN},
    request::Parts,
};
use tokio::time::Instant;

use crate::{
    Body, ConnectionGuard, DisconnectReason, Handshake, Rejection, TransportKind,
    admission::AdmissionGuard,
    codec::payload,
    driver,
    id::Id,
    link::Link,
    moving,
    nodes::Owner,
    packet, query,
    request_body::{self, RequestBody},
    response::{CLOSE, add_cors, error, respond, text},
    server::Server,
    session::{Item, Polled, Session},
    stopping::AliveGuard,
    upgrade,
};

/// How long a poll that arrives during an upgrade waits before it is answered, as in the reference
/// implementation.
const UPGRADE_POLL: Duration = Duration::from_millis(100);

/// The response to a refused request. Codes and messages are those of the reference implementation
/// (`engine.io`, `Server.errors`) where it has them.
pub(crate) fn reject(server: &Server, why: Rejection) -> Response<Body> {
    server.refused(why);
    let (status, code, message) = match why {
        Rejection::UnknownTransport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
        Rejection::UnknownSession => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
        Rejection::BadMethod => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
        Rejection::UnsupportedVersion => {
            (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version")
        }
        Rejection::NodeUnreachable => (
            StatusCode::BAD_GATEWAY,
            3,
            "The node of the session does not answer",
        ),
        Rejection::Stopping => (
            StatusCode::SERVICE_UNAVAILABLE,
            3,
            "The server is shutting down",
        ),
        Rejection::NoRandomness => (
            StatusCode::SERVICE_UNAVAILABLE,
            3,
            "No session can be opened",
        ),
        Rejection::TooManyHandshakes => (
            StatusCode::SERVICE_UNAVAILABLE,
            3,
            "Too many connections are being opened",
        ),
        Rejection::TooManyConnections => {
            (StatusCode::SERVICE_UNAVAILABLE, 3, "Too many connections")
        }
        Rejection::TooManyFromAddress => (
            StatusCode::TOO_MANY_REQUESTS,
            3,
            "Too many connections from this address",
        ),
        Rejection::TooMuchReceived => (
            StatusCode::TOO_MANY_REQUESTS,
            3,
            "Too much that is not whole yet comes from this address",
        ),
        _ => (StatusCode::BAD_REQUEST, 3, "Bad request"),
    };
    error(status, code, message)
}

pub(crate) async fn handle<B>(
    server: &Arc<Server>,
    request: Request<B>,
    peer: SocketAddr,
) -> Response<Body>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Buf,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(body);
    let from_node = server
        .cluster
        .as_ref()
        .and_then(|cluster| cluster.verify(&parts.headers));
    let peer = from_node.unwrap_or(peer);
    let version = parts.version;
    let (content_length, expects_continue) = (
        request_body::content_length(&parts.headers),
        request_body::expects_continue(&parts.headers),
    );
    let allowed_origin = allowed_origin(server, &parts);
    let asked_headers = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let is_preflight = parts.method == Method::OPTIONS;
    let is_move = from_node.is_some() && moving::is_request(&parts);
    let mut response = if is_move {
        // Boxed: other requests must not hold its state.
        Box::pin(server.answer_move(&parts, &mut body)).await
    } else if is_preflight {
        let mut response = Response::new(Body::default());
        *response.status_mut() = if allowed_origin.is_some() {
            StatusCode::NO_CONTENT
        } else {
            StatusCode::FORBIDDEN
        };
        response
    } else {
        match server
            .allow_request
            .as_ref()
            .map_or(Ok(()), |allow| allow(&parts, peer))
        {
            Ok(()) => match other_node(server, &parts) {
                Some(_) if from_node.is_some() => reject(server, Rejection::UnknownSession),
                // Boxed: polls of this node's sessions must not hold its state.
                Some(tag) => match Box::pin(forward(server, &tag, parts, &mut body, peer)).await {
                    // With the CORS headers of the other node.
                    Ok(response) => return response,
                    Err(why) => reject(server, why),
                },
                None => route(server, parts, &mut body, peer).await,
            },
            Err(refusal) => {
                server.refused(Rejection::NotAllowed);
                error(
                    if requests_websocket(&parts) {
                        StatusCode::BAD_REQUEST
                    } else {
                        refusal.status
                    },
                    4,
                    &refusal.message,
                )
            }
        }
    };
    let status = response.status();
    if (status.is_client_error() || status.is_server_error()) && !body.is_at_end() {
        let skip_drain = expects_continue || response.headers().contains_key(CONNECTION);
        if (skip_drain || !body.drain(content_length, server.config.body_timeout).await)
            && version <= Version::HTTP_11
        {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
    }
    if server.cors.is_some() {
        add_cors(
            response.headers_mut(),
            allowed_origin,
            is_preflight,
            asked_headers,
        );
    }
    response
}

fn allowed_origin(server: &Server, parts: &Parts) -> Option<HeaderValue> {
    let origin = parts.headers.get(ORIGIN)?;
    let allow = server.cors.as_ref()?;
    allow(origin.to_str().ok()?, parts).then(|| origin.clone())
}

/// The tag of the other node whose session a request names.
fn other_node(server: &Server, parts: &Parts) -> Option<Box<str>> {
    server.cluster.as_ref()?;
    let sid = named_session(parts.uri.query().unwrap_or(""))?;
    match server.owner(&sid)? {
        Owner::Other(tag) => Some(tag.into()),
        Owner::Here(_) => None,
    }
}

/// Passes a request on to the node that has its session.
async fn forward<B>(
    server: &Arc<Server>,
    tag: &str,
    mut parts: Parts,
    body: &mut RequestBody<B>,
    peer: SocketAddr,
) -> Result<Response<Body>, Rejection>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Buf,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let cluster = server.cluster.as_ref().ok_or(Rejection::UnknownSession)?;
    let is_handshake = upgrade::is_handshake(&parts);
    let transport = transport(server, parts.uri.query().unwrap_or(""))?;
    if transport == TransportKind::Polling && is_handshake {
        return Ok(upgrade::reject_websocket(server, parts, peer));
    }
    server.observe(|observer| observer.forwarded(transport));
    if is_handshake {
        if server.stopping.alive() >= server.config.max_connections {
            return Err(Rejection::TooManyConnections);
        }
        let guard = (
            AliveGuard::new(server.clone()),
            parts.extensions.remove::<ConnectionGuard>(),
        );
        let response = cluster.forward_websocket(tag, parts, peer, guard).await?;
        return Ok(response.map(|body| body.map_or_else(Body::default, Body::of_node)));
    }
    let body = body.take().ok_or(Rejection::BadRequest)?;
    let response = cluster.forward(tag, parts, body, peer).await?;
    Ok(response.map(Body::of_node))
}

/// The transport that a request names.
fn transport(server: &Server, query: &str) -> Result<TransportKind, Rejection> {
    let offered = server.config.transports;
    match query::find(query, "transport").as_deref() {
        Some("polling") if offered.polling => Ok(TransportKind::Polling),
        Some("websocket") if offered.websocket => Ok(TransportKind::WebSocket),
        _ => Err(Rejection::UnknownTransport),
    }
}

fn requests_websocket(parts: &Parts) -> bool {
    query::find(parts.uri.query().unwrap_or(""), "transport").as_deref() == Some("websocket")
}

async fn route<B>(
    server: &Arc<Server>,
    parts: Parts,
    body: &mut RequestBody<B>,
    peer: SocketAddr,
) -> Response<Body>
where
    B: http_body::Body + Unpin,
    B::Data: Buf,
{
    let query = parts.uri.query().unwrap_or("");
    let transport = match transport(server, query) {
        Ok(transport) => transport,
        Err(why) => return reject(server, why),
    };
    // A WebSocket handshake with `transport=polling` is not a poll.
    if transport == TransportKind::Polling && upgrade::is_handshake(&parts) {
        return upgrade::reject_websocket(server, parts, peer);
    }
    let Some(sid) = named_session(query) else {
        if parts.method != Method::GET {
            return reject(server, Rejection::BadMethod);
        }
        if query::find(query, "EIO").as_deref() != Some("4") {
            return reject(server, Rejection::UnsupportedVersion);
        }
        if server.stopping.has_begun() {
            return reject(server, Rejection::Stopping);
        }
        return match transport {
            TransportKind::WebSocket => upgrade::open(server, parts, peer),
            TransportKind::Polling => open_polling(server, parts, peer),
        };
    };
    let Some(session) = find(server, &sid) else {
        return reject(server, Rejection::UnknownSession);
    };
    if transport == TransportKind::WebSocket {
        return upgrade::upgrade(session, parts, peer);
    }
    if session.transport() != TransportKind::Polling {
        return reject(server, Rejection::BadRequest);
    }
    match parts.method {
        Method::GET => poll(session).await,
        Method::POST => post(session, &parts, body).await,
        _ => reject(server, Rejection::BadRequest),
    }
}

/// The session that a query names; an empty name means none, as in Node.
fn named_session(query: &str) -> Option<Cow<'_, str>> {
    query::find(query, "sid").filter(|sid| !sid.is_empty())
}

/// Whether a request names no session, and so would open one.
pub(crate) fn opens_session(uri: &Uri) -> bool {
    named_session(uri.query().unwrap_or("")).is_none()
}

fn find(server: &Server, sid: &str) -> Option<Arc<Session>> {
    let Owner::Here(sid) = server.owner(sid)? else {
        return None;
    };
    let found = server.registry.get(Id::key_of(sid)?)?;
    (found.sid.as_str() == sid).then_some(found)
}

/// Whether a request names an open session.
pub(crate) fn names_open_session(server: &Server, uri: &Uri) -> bool {
    query::find(uri.query().unwrap_or(""), "sid").is_some_and(|sid| find(server, &sid).is_some())
}

fn open_polling(server: &Arc<Server>, parts: Parts, peer: SocketAddr) -> Response<Body> {
    let admission_guard = match AdmissionGuard::take(server, peer.ip()) {
        Ok(admission_guard) => admission_guard,
        Err(why) => return reject(server, why),
    };
    let handshake = Handshake::of(parts, peer, server.config.retain_handshake);
    match server.open(admission_guard, Link::Polling, handshake) {
        Some(session) => text(
            StatusCode::OK,
            Body::new(server.open_packet(&session.sid, TransportKind::Polling)),
        ),
        None => reject(server, Rejection::NoRandomness),
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

async fn poll(session: Arc<Session>) -> Response<Body> {
    // Timers run slightly late; an overdue session must not answer a poll as if it were alive.
    if session.close_if_overdue(Instant::now()) {
        return reject(&session.server, Rejection::UnknownSession);
    }
    if !session.open_poll() {
        // Two polls would split the packets between them. The poll that is already open gets a
        // close packet.
        session.close(DisconnectReason::TransportError);
        return reject(&session.server, Rejection::BadRequest);
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
        session.server.remove_session(session.sid.key());
    }
    let (items, is_last) = match polled {
        Polled::Noop | Polled::ClosedByClient => return text(StatusCode::OK, Body::new("6")),
        Polled::Refused => return reject(&session.server, Rejection::BadRequest),
        Polled::Stopping(items) if items.is_empty() => {
            return reject(&session.server, Rejection::Stopping);
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
        return reject(&session.server, Rejection::UnknownSession);
    };
    text(StatusCode::OK, Body::of_poll(payload, session, callbacks))
}

async fn post<B>(session: Arc<Session>, parts: &Parts, body: &mut RequestBody<B>) -> Response<Body>
where
    B: http_body::Body + Unpin,
    B::Data: Buf,
{
    if !session.open_post() {
        // Two POSTs at once have no defined order.
        session.close(DisconnectReason::TransportError);
        return reject(&session.server, Rejection::BadRequest);
    }
    let mut abort_guard = AbortGuard {
        session: &session,
        close_request: Session::close_post,
        is_done: false,
    };
    let config = &session.server.config;
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
            let mut response = reject(&session.server, Rejection::UnknownSession);
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
            session.server.refused(Rejection::BadBody);
            return respond(StatusCode::PAYLOAD_TOO_LARGE, "text/html", Body::default());
        }
        Ok(Err(StatusCode::TOO_MANY_REQUESTS)) => {
            abort_guard.is_done = true;
            session.close_post();
            return reject(&session.server, Rejection::TooMuchReceived);
        }
        Ok(Err(status)) => return bad_body(&session.server, status, "The payload cannot be taken"),
        Err(_) => {
            // Do not read the rest of the body for the same time again.
            let mut response = bad_body(
                &session.server,
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
        return reject(&session.server, Rejection::BadRequest);
    };
    if payload::count(packets) > config.max_packets_per_payload
        || !payload::packets(packets).all(payload::is_packet)
    {
        session.close(DisconnectReason::ParseError);
        return reject(&session.server, Rejection::BadRequest);
    }
    // A PONG must not wait behind events that the application holds back.
    if payload::packets(packets).any(|packet| packet == "3") {
        driver::pong(&session);
    }
    let delivered = poll_fn(|cx| session.poll_deliver(&payload, cx)).await;
    session.close_post();
    abort_guard.is_done = true;
    if delivered {
        respond(StatusCode::OK, "text/html", Body::new("ok"))
    } else {
        reject(&session.server, Rejection::UnknownSession)
    }
}

fn bad_body(server: &Server, status: StatusCode, message: &str) -> Response<Body> {
    server.refused(Rejection::BadBody);
    error(status, 3, message)
}

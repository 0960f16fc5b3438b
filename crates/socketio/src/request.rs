//! HTTP requests: routing, checks and responses.

use std::{borrow::Cow, error::Error, net::SocketAddr, sync::Arc};

use bytes::Buf;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{ACCESS_CONTROL_REQUEST_HEADERS, CONNECTION, ORIGIN},
    request::Parts,
};

use crate::{
    Body, ConnectionGuard, Refusal, Rejection, TransportKind,
    engine::Engine,
    id::Id,
    moving,
    namespace::Namespaces,
    nodes::Owner,
    polling, query,
    rejection::reject,
    request_body::{self, RequestBody},
    response::{CLOSE, add_cors, error},
    session::Session,
    stopping::AliveGuard,
    upgrade,
};

pub(crate) type AllowRequest = dyn Fn(&Parts, SocketAddr) -> Result<(), Refusal> + Send + Sync;
pub(crate) type AllowOrigin = dyn Fn(&str, &Parts) -> bool + Send + Sync;

/// A server: Socket.IO on top of Engine.IO, and the checks of HTTP requests.
pub(crate) struct Server {
    pub(crate) path: Box<str>,
    pub(crate) allow_request: Option<Box<AllowRequest>>,
    pub(crate) cors: Option<Box<AllowOrigin>>,
    pub(crate) engine: Arc<Engine<Session>>,
    pub(crate) namespaces: Arc<Namespaces>,
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
    let engine = &server.engine;
    let from_node = engine
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
        Box::pin(moving::answer(
            engine,
            &server.namespaces.hub,
            &parts,
            &mut body,
        ))
        .await
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
            Ok(()) => match other_node(engine, &parts) {
                Some(_) if from_node.is_some() => reject(engine, Rejection::UnknownSession),
                // Boxed: polls of this node's sessions must not hold its state.
                Some(tag) => match Box::pin(forward(engine, &tag, parts, &mut body, peer)).await {
                    // With the CORS headers of the other node.
                    Ok(response) => return response,
                    Err(why) => reject(engine, why),
                },
                None => route(engine, parts, &mut body, peer).await,
            },
            Err(refusal) => {
                engine.refused(Rejection::NotAllowed);
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
        if (skip_drain || !body.drain(content_length, engine.config.body_timeout).await)
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
fn other_node(engine: &Engine<Session>, parts: &Parts) -> Option<Box<str>> {
    engine.cluster.as_ref()?;
    let sid = named_session(parts.uri.query().unwrap_or(""))?;
    match engine.owner(&sid)? {
        Owner::Other(tag) => Some(tag.into()),
        Owner::Here(_) => None,
    }
}

/// Passes a request on to the node that has its session.
async fn forward<B>(
    engine: &Arc<Engine<Session>>,
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
    let cluster = engine.cluster.as_ref().ok_or(Rejection::UnknownSession)?;
    let is_handshake = upgrade::is_handshake(&parts);
    let transport = transport(engine, parts.uri.query().unwrap_or(""))?;
    if transport == TransportKind::Polling && is_handshake {
        return Ok(upgrade::reject_websocket(engine, parts, peer));
    }
    engine.observe(|observer| observer.forwarded(transport));
    if is_handshake {
        if engine.stopping.alive() >= engine.config.max_connections {
            return Err(Rejection::TooManyConnections);
        }
        let guard = (
            AliveGuard::new(engine.stopping.clone()),
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
fn transport(engine: &Engine<Session>, query: &str) -> Result<TransportKind, Rejection> {
    let offered = engine.config.transports;
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
    engine: &Arc<Engine<Session>>,
    parts: Parts,
    body: &mut RequestBody<B>,
    peer: SocketAddr,
) -> Response<Body>
where
    B: http_body::Body + Unpin,
    B::Data: Buf,
{
    let query = parts.uri.query().unwrap_or("");
    let transport = match transport(engine, query) {
        Ok(transport) => transport,
        Err(why) => return reject(engine, why),
    };
    // A WebSocket handshake with `transport=polling` is not a poll.
    if transport == TransportKind::Polling && upgrade::is_handshake(&parts) {
        return upgrade::reject_websocket(engine, parts, peer);
    }
    let Some(sid) = named_session(query) else {
        if parts.method != Method::GET {
            return reject(engine, Rejection::BadMethod);
        }
        if query::find(query, "EIO").as_deref() != Some("4") {
            return reject(engine, Rejection::UnsupportedVersion);
        }
        if engine.stopping.has_begun() {
            return reject(engine, Rejection::Stopping);
        }
        return match transport {
            TransportKind::WebSocket => upgrade::open(engine, parts, peer),
            TransportKind::Polling => polling::open(engine, parts, peer),
        };
    };
    let Some(session) = find(engine, &sid) else {
        return reject(engine, Rejection::UnknownSession);
    };
    if transport == TransportKind::WebSocket {
        return upgrade::upgrade(session, parts, peer);
    }
    if session.transport() != TransportKind::Polling {
        return reject(engine, Rejection::BadRequest);
    }
    match parts.method {
        Method::GET => polling::poll(session).await,
        Method::POST => polling::post(session, &parts, body).await,
        _ => reject(engine, Rejection::BadRequest),
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

fn find(engine: &Engine<Session>, sid: &str) -> Option<Arc<Session>> {
    let Owner::Here(sid) = engine.owner(sid)? else {
        return None;
    };
    let found = engine.registry.get(Id::key_of(sid)?)?;
    (found.sid.as_str() == sid).then_some(found)
}

/// Whether a request names an open session.
pub(crate) fn names_open_session(engine: &Engine<Session>, uri: &Uri) -> bool {
    query::find(uri.query().unwrap_or(""), "sid").is_some_and(|sid| find(engine, &sid).is_some())
}

//! Opening WebSockets: directly, or as an upgrade from polling with a probe (Engine.IO protocol 4,
//! "Upgrade").

use std::{future::poll_fn, net::SocketAddr, ops::ControlFlow, sync::Arc};

use bytes::Bytes;
#[cfg(feature = "deflate")]
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE},
    request::Parts,
};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

#[cfg(feature = "deflate")]
use crate::codec::extensions;
use crate::{
    Body, Config, ConnectionGuard, Handshake, Rejection,
    codec::{
        handshake,
        message::{Limits, Message},
    },
    engine::Engine,
    link::Link,
    query,
    rejection::reject,
    session::{EndedSession, Session, engine_frames},
    stream::Stream,
    websocket::{ReadEnd, WebSocket},
};

/// A probe has a few bytes; nothing else is allowed before the upgrade.
const PROBE_LIMITS: Limits = Limits {
    max_payload: 125,
    max_fragments: 1,
};

/// An accepted handshake, which becomes a WebSocket once the response has been sent.
struct Accepted {
    on_upgrade: OnUpgrade,
    #[cfg(feature = "deflate")]
    compresses: bool,
}

impl Accepted {
    async fn websocket(self) -> Result<WebSocket, hyper::Error> {
        let (stream, early) = Stream::take(self.on_upgrade).await?;
        let websocket = WebSocket::new(stream, early);
        #[cfg(feature = "deflate")]
        let websocket = websocket.compressing(self.compresses);
        Ok(websocket)
    }
}

/// Validates an opening handshake (RFC 6455, section 4.2) and creates its response. Returns `None`
/// if the request is not a valid handshake.
#[cfg_attr(
    not(feature = "deflate"),
    expect(unused_variables, reason = "no extension is known")
)]
fn accept(config: &Config, parts: &mut Parts) -> Option<(Response<Body>, Accepted)> {
    let accepted = handshake::accept(&parts.method, &parts.headers)?;
    let on_upgrade = parts.extensions.remove::<OnUpgrade>()?;
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accepted).ok()?);
    #[cfg(feature = "deflate")]
    let compresses = {
        let answer = config
            .deflate
            .as_ref()
            .and_then(|_| extensions::deflate(&parts.headers));
        answer
            .inspect(|answer| {
                drop(headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(answer)))
            })
            .is_some()
    };
    let accepted = Accepted {
        on_upgrade,
        #[cfg(feature = "deflate")]
        compresses,
    };
    Some((response, accepted))
}

/// Opens a session on a WebSocket.
pub(crate) fn open(
    engine: &Arc<Engine<Session>>,
    mut parts: Parts,
    peer: SocketAddr,
) -> Response<Body> {
    let Some((response, accepted)) = accept(&engine.config, &mut parts) else {
        return reject(engine, Rejection::BadRequest);
    };
    let admission_guard = match engine.admit(peer.ip()) {
        Ok(admission_guard) => admission_guard,
        Err(why) => return reject(engine, why),
    };
    let engine = engine.clone();
    tokio::spawn(async move {
        match accepted.websocket().await {
            Ok(websocket) => {
                let handshake = Handshake::of(parts, peer, engine.config.retain_handshake);
                engine.open(admission_guard, Link::WebSocket(websocket), handshake);
            }
            Err(error) => {
                tracing::debug!(%error, "the connection failed before its WebSocket was open")
            }
        }
    });
    response
}

/// Starts to upgrade a session from polling to WebSocket. If the session is already upgrading or on
/// WebSocket, it is left unchanged, and the new WebSocket is opened and closed, as in the reference
/// implementation.
pub(crate) fn upgrade(session: Arc<Session>, mut parts: Parts, peer: SocketAddr) -> Response<Body> {
    let engine = session.engine.clone();
    if !is_handshake(&parts) || !session.start_upgrade() {
        return reject_websocket(&engine, parts, peer);
    }
    let Some((response, accepted)) = accept(&engine.config, &mut parts) else {
        session.cancel_upgrade();
        return reject(&engine, Rejection::BadRequest);
    };
    let base64 = query::wants_base64(parts.uri.query().unwrap_or(""));
    let guard = parts.extensions.remove::<ConnectionGuard>();
    tokio::spawn(async move {
        run_upgrade(session, accepted, base64).await;
        drop(guard);
    });
    response
}

/// Whether a request is a WebSocket handshake.
pub(crate) fn is_handshake(parts: &Parts) -> bool {
    handshake::accept(&parts.method, &parts.headers).is_some()
}

/// Opens a WebSocket that cannot be used, and closes it.
pub(crate) fn reject_websocket(
    engine: &Arc<Engine<Session>>,
    mut parts: Parts,
    peer: SocketAddr,
) -> Response<Body> {
    let Some((response, accepted)) = accept(&engine.config, &mut parts) else {
        return reject(engine, Rejection::BadRequest);
    };
    // While it lasts, it counts as a connection that is being opened.
    let admission_guard = match engine.admit(peer.ip()) {
        Ok(admission_guard) => admission_guard,
        Err(why) => return reject(engine, why),
    };
    engine.refused(Rejection::BadRequest);
    let limit = engine.config.upgrade_timeout;
    let guard = parts.extensions.remove::<ConnectionGuard>();
    tokio::spawn(async move {
        if let Ok(Ok(websocket)) = tokio::time::timeout(limit, accepted.websocket()).await {
            websocket.close(None, 1000).await;
        }
        drop((admission_guard, guard));
    });
    response
}

/// The result of a probe.
enum ProbeOutcome {
    Done,
    Wrong,
    TimedOut,
    /// The session has ended in the meantime.
    SessionEnded,
}

async fn run_upgrade(session: Arc<Session>, accepted: Accepted, base64: bool) {
    let deadline = Instant::now() + session.engine.config.upgrade_timeout;
    let Ok(Ok(mut websocket)) = tokio::time::timeout_at(deadline, accepted.websocket()).await
    else {
        return session.cancel_upgrade();
    };
    let outcome = tokio::select! {
        biased;
        is_done = Box::pin(probe(&session, &mut websocket)) => if is_done { ProbeOutcome::Done } else { ProbeOutcome::Wrong },
        () = poll_fn(|cx| session.poll_ended(cx)) => ProbeOutcome::SessionEnded,
        () = tokio::time::sleep_until(deadline) => ProbeOutcome::TimedOut,
    };
    let code = match outcome {
        ProbeOutcome::Done => match session.finish_upgrade(Box::new(websocket), base64) {
            Ok(()) => return,
            Err(EndedSession { handover, rest }) => {
                session.engine.remove_session(session.sid.key());
                handover.close(rest, 1000).await;
                return session.cancel_upgrade();
            }
        },
        ProbeOutcome::SessionEnded => {
            websocket.close(None, 1000).await;
            return session.cancel_upgrade();
        }
        ProbeOutcome::Wrong => 1002,
        ProbeOutcome::TimedOut => 1000,
    };
    // The session continues on polling as before.
    session.cancel_upgrade();
    websocket.close(None, code).await;
}

/// Performs the probe. Returns false if the client violates the protocol.
async fn probe(session: &Session, websocket: &mut WebSocket) -> bool {
    if !expect(session, websocket, "2probe").await {
        return false;
    }
    let mut answer: Bytes = engine_frames("3probe");
    if poll_fn(|cx| websocket.poll_write_now(&mut answer, cx))
        .await
        .is_err()
    {
        return false;
    }
    tokio::select! {
        biased;
        is_done = expect(session, websocket, "5") => return is_done,
        // The client stops polling once its open poll is answered, and sends UPGRADE only then. (A
        // client that has sent it already awaits no poll.)
        () = std::future::ready(()) => session.release_poll(),
    }
    expect(session, websocket, "5").await
}

/// Reads one message. Returns whether it is `text`.
async fn expect(session: &Session, websocket: &mut WebSocket, text: &str) -> bool {
    let mut is_right = false;
    poll_fn(|cx| {
        let end = websocket.read(&|| session.received(), cx, PROBE_LIMITS, &mut |message| {
            is_right = matches!(message, Message::Text(got) if got == text);
            // A browser may send WebSocket pings at any time; any other message is the result.
            match message {
                Message::Ping(_) | Message::Pong => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        match end {
            ReadEnd::Pending => std::task::Poll::Pending,
            ReadEnd::Stopped => std::task::Poll::Ready(()),
            ReadEnd::Closed | ReadEnd::OverLimit | ReadEnd::Refused(_) => {
                is_right = false;
                std::task::Poll::Ready(())
            }
        }
    })
    .await;
    is_right
}

//! How a WebSocket comes to be: at once, or after polling by way of a probe (Engine.IO protocol 4, "Upgrade").

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

#[cfg(feature = "deflate")]
use crate::codec::extensions;
use crate::{
    Body, Config, Rejection,
    admission::Ticket,
    codec::{
        handshake,
        message::{Limits, Message},
    },
    driver::Link,
    request,
    server::Server,
    session::{Session, engine_frames},
    stream::Stream,
    websocket::{ReadEnd, WebSocket},
};

/// A probe is a few bytes; nothing else may come before the upgrade.
const PROBE_LIMITS: Limits = Limits { max_payload: 125, max_fragments: 1 };

/// What becomes a WebSocket once the answer has been sent.
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

/// The answer to an opening handshake, and what comes of it. `None` if the request is no such handshake.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "no extension is known"))]
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
        let answer = config.deflate.as_ref().and_then(|_| extensions::deflate(&parts.headers));
        answer.inspect(|answer| drop(headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(answer)))).is_some()
    };
    let accepted = Accepted {
        on_upgrade,
        #[cfg(feature = "deflate")]
        compresses,
    };
    Some((response, accepted))
}

/// Opens a session on a WebSocket.
pub(crate) fn open(server: &Arc<Server>, mut parts: Parts, peer: SocketAddr) -> Response<Body> {
    let Some((response, accepted)) = accept(&server.config, &mut parts) else { return request::reject(server, Rejection::BadRequest) };
    let ticket = match Ticket::take(server, peer.ip()) {
        Ok(ticket) => ticket,
        Err(why) => return request::reject(server, why),
    };
    let server = server.clone();
    tokio::spawn(async move {
        match accepted.websocket().await {
            Ok(websocket) => {
                let handshake = request::handshake(&server, parts, peer);
                server.open(ticket, Link::WebSocket(websocket), handshake);
            }
            Err(error) => tracing::debug!(%error, "a WebSocket was never opened"),
        }
    });
    response
}

/// Starts to take a session from polling to WebSocket.
pub(crate) fn upgrade(session: Arc<Session>, mut parts: Parts) -> Response<Body> {
    let Some((response, accepted)) = accept(&session.server.config, &mut parts) else {
        return request::reject(&session.server, Rejection::BadRequest);
    };
    if !session.start_upgrade() {
        return request::reject(&session.server, Rejection::BadRequest);
    }
    tokio::spawn(async move {
        let limit = session.server.config.upgrade_timeout;
        let probing = async {
            let websocket = accepted.websocket().await.ok()?;
            Some(probe(&session, websocket).await)
        };
        match tokio::time::timeout(limit, Box::pin(probing)).await {
            Ok(Some(Ok(websocket))) => {
                if let Err(websocket) = session.finish_upgrade(Box::new(websocket)) {
                    websocket.close(None, 1000).await;
                }
            }
            // The session goes on by polling, as if nothing had been tried.
            Ok(Some(Err(websocket))) => {
                session.cancel_upgrade();
                websocket.close(None, 1002).await;
            }
            Ok(None) | Err(_) => session.cancel_upgrade(),
        }
    });
    response
}

/// Goes through the probe. `Err` if the client does not keep to it.
async fn probe(session: &Session, mut websocket: WebSocket) -> Result<WebSocket, WebSocket> {
    if !expect(&mut websocket, "2probe").await {
        return Err(websocket);
    }
    let mut answer: Bytes = engine_frames("3probe");
    if poll_fn(|cx| websocket.poll_write_now(&mut answer, cx)).await.is_err() {
        return Err(websocket);
    }
    let is_done = tokio::select! {
        biased;
        is_done = expect(&mut websocket, "5") => is_done,
        // The client stops polling once its open poll is answered, and only then says that it is done. (One that has said so already
        // waits for no poll.)
        () = std::future::ready(()) => {
            session.release_poll();
            expect(&mut websocket, "5").await
        }
    };
    if is_done { Ok(websocket) } else { Err(websocket) }
}

/// Reads one message, which must be this one.
async fn expect(websocket: &mut WebSocket, text: &str) -> bool {
    let mut is_right = false;
    poll_fn(|cx| {
        let end = websocket.read(cx, PROBE_LIMITS, &mut |message| {
            is_right = matches!(message, Message::Text(got) if got == text);
            // A browser may ping whenever it likes; anything else is the message, right or wrong.
            match message {
                Message::Ping(_) | Message::Pong => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        match end {
            ReadEnd::Pending => std::task::Poll::Pending,
            ReadEnd::Stopped => std::task::Poll::Ready(()),
            ReadEnd::Closed | ReadEnd::Refused(_) => {
                is_right = false;
                std::task::Poll::Ready(())
            }
        }
    })
    .await;
    is_right
}

//! Passing requests on to the node that has their session.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{
    HeaderMap, HeaderName, Request, Response, StatusCode, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
};
use http_body::Frame;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::sync::watch;

use super::{
    Cluster, Limits, Nodes,
    pool::{self, AnyBody, BoxError, ForwardedBody},
    tunnel::{CLOSE_TIMEOUT, Closed, Tunnel},
};
use crate::{Rejection, stream::Stream};

/// How often the other node is looked for while something waits for it.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Headers that concern one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

impl Cluster {
    /// Passes an HTTP request on. Both bodies pass through piece by piece, so this node holds little
    /// of either; the other node enforces its limits on them.
    pub(crate) async fn forward<B>(
        &self,
        tag: &str,
        mut parts: Parts,
        body: B,
        client: SocketAddr,
    ) -> Result<Response<Incoming>, Rejection>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Buf,
        B::Error: Into<BoxError>,
    {
        let address = self.address(tag).await?;
        remove_hop_by_hop(&mut parts.headers);
        let request = self.request(parts, Box::pin(AnyBody(body)), client)?;
        let mut response = self
            .within(tag, self.limits.response, self.pool.send(&address, request))
            .await?;
        remove_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    /// Passes the handshake of a WebSocket on. If the other node accepts it, everything that
    /// follows on the connection is relayed until either side closes it; `guard` is dropped then.
    pub(crate) async fn forward_websocket(
        &self,
        tag: &str,
        mut parts: Parts,
        client: SocketAddr,
        guard: impl Send + 'static,
    ) -> Result<Response<Option<Incoming>>, Rejection> {
        let on_upgrade = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or(Rejection::BadRequest)?;
        let address = self.address(tag).await?;
        // A GET has no body, and these could make the other node wait for one.
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove(TRANSFER_ENCODING);
        let request = self.request(parts, Box::pin(AnyBody(Empty)), client)?;
        let sent = async {
            let mut sender = pool::connect(&address).await?;
            Ok(sender.send_request(request).await?)
        };
        let mut response = self.within(tag, self.limits.upgrade, sent).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            remove_hop_by_hop(response.headers_mut());
            return Ok(response.map(Some));
        }
        let other = hyper::upgrade::on(&mut response);
        let counted = Counted::new(&self.tunnels);
        let (nodes, tag, limits) = (self.nodes.clone(), tag.into(), self.limits);
        let stopping = self.stopping.subscribe();
        tokio::spawn(async move {
            let streams = async { tokio::try_join!(Stream::take(on_upgrade), Stream::take(other)) };
            match tokio::time::timeout(limits.upgrade, streams).await {
                Ok(Ok((client, node))) => {
                    run_tunnel(Tunnel::new(client, node), nodes, tag, limits, stopping).await;
                }
                _ => tracing::debug!("a connection failed before its WebSocket was open"),
            }
            drop((counted, guard));
        });
        Ok(response.map(|_| None))
    }

    async fn address(&self, tag: &str) -> Result<String, Rejection> {
        if *self.stopping.borrow() {
            return Err(Rejection::Stopping);
        }
        self.nodes.find(tag).await.ok_or(Rejection::UnknownSession)
    }

    fn request(
        &self,
        parts: Parts,
        body: ForwardedBody,
        client: SocketAddr,
    ) -> Result<Request<ForwardedBody>, Rejection> {
        let Parts {
            method,
            uri,
            mut headers,
            ..
        } = parts;
        // This node's HTTP server answers it when the body is read.
        headers.remove(EXPECT);
        self.forwarded.fetch_add(1, Ordering::Relaxed);
        self.nodes.sign(&mut headers, client);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(method)
            .version(Version::HTTP_11)
            .uri(path)
            .body(body)
            .map_err(|_| Rejection::BadRequest)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Waits for a response until the node is gone, this node stops, or the time limit has passed.
    async fn within<T>(
        &self,
        tag: &str,
        limit: Duration,
        response: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, Rejection> {
        let mut stopping = self.stopping.subscribe();
        let gone = async {
            loop {
                tokio::time::sleep(CHECK_INTERVAL).await;
                if self.nodes.find(tag).await.is_none() {
                    return;
                }
            }
        };
        tokio::select! {
            response = response => response.map_err(|error| {
                tracing::debug!(tag, error, "another node did not take a request");
                Rejection::NodeUnreachable
            }),
            () = gone => Err(Rejection::UnknownSession),
            () = tokio::time::sleep(limit) => Err(Rejection::NodeUnreachable),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Rejection::Stopping),
        }
    }
}

async fn run_tunnel(
    mut tunnel: Tunnel,
    nodes: Arc<dyn Nodes>,
    tag: Box<str>,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let copies = async {
        let mut check_interval = CHECK_INTERVAL;
        loop {
            tokio::select! {
                closed = poll_fn(|cx| tunnel.poll_copy(cx)) => match closed? {
                    Closed::OneSide => check_interval = CLOSE_TIMEOUT,
                    Closed::Both => return Ok::<_, io::Error>(()),
                },
                () = tokio::time::sleep(check_interval) => {
                    let is_overdue = tunnel.is_overdue(limits.write, limits.silence);
                    if is_overdue || nodes.find(&tag).await.is_none() {
                        return Ok(());
                    }
                }
            }
        }
    };
    tokio::select! {
        result = copies => if let Err(error) = result {
            tracing::debug!(%error, "a WebSocket of another node's session failed");
        },
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// Removes headers that concern one connection only, and those that `Connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The body of a request without one.
struct Empty;

impl http_body::Body for Empty {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

/// Counts an open tunnel.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

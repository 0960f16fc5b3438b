//! One TCP connection while it speaks HTTP.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};

use super::{limits::Limits, pending::PendingConnections};
use crate::{
    Body, HttpDeadline, HttpStream, Rejection, SocketIo, admission::AddressCounts,
    rejection::reject, request,
};

/// State that all connections of an accept loop share.
pub(super) struct Shared {
    pub(super) io: SocketIo,
    pub(super) http: http1::Builder,
    pub(super) limits: Limits,
    pub(super) waiting: PendingConnections,
    pub(super) addresses: Option<AddressCounts>,
    pub(super) open: AtomicUsize,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::Tls>,
}

impl Shared {
    /// Serves a connection on its own task, if the limits allow it.
    pub(super) fn take(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        stopping: &watch::Receiver<()>,
    ) {
        if self.open.load(Ordering::Relaxed) >= self.limits.max_connections && !self.close_longest()
        {
            return self.refused(Rejection::TooManyConnections);
        }
        if self
            .addresses
            .as_ref()
            .is_some_and(|addresses| !addresses.add(peer.ip()))
        {
            return self.refused(Rejection::TooManyFromAddress);
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        let stopping = stopping.clone();
        let full = self.waiting.insert(|key| {
            let connection = Connection {
                shared: self.clone(),
                peer,
                key,
                is_established: AtomicBool::new(false),
                deadline: HttpDeadline::new(
                    self.limits.head_timeout,
                    Some(self.limits.idle_timeout),
                ),
            };
            tokio::spawn(Arc::new(connection).serve(stream, stopping)).abort_handle()
        });
        if full {
            self.refused(Rejection::TooManyHandshakes);
        }
    }

    fn close_longest(&self) -> bool {
        let closed = self.waiting.close_longest();
        if closed {
            self.refused(Rejection::TooManyHandshakes);
        }
        closed
    }

    fn refused(&self, why: Rejection) {
        self.io.server.engine.refused(why);
        tracing::debug!(%why, "refused a TCP connection");
    }
}

/// An open connection. It counts until it is dropped.
pub(super) struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    /// Its key among the connections that have not opened or named a session.
    key: u64,
    /// It has opened or named a session.
    is_established: AtomicBool,
    /// When the connection is closed unless a request arrives.
    deadline: Arc<HttpDeadline>,
}

impl Connection {
    async fn serve(self: Arc<Self>, stream: TcpStream, stopping: watch::Receiver<()>) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.shared.tls {
            // A stop does not wait for a handshake: nothing can be lost yet.
            let mut stop_receiver = stopping.clone();
            let accepted = tokio::select! {
                accepted = tls.accept(stream, self.shared.limits.tls_timeout) => accepted,
                _ = stop_receiver.changed() => return,
            };
            drop(stop_receiver);
            match accepted {
                // Boxed: this future is larger than everything else in the connection.
                Some(stream) => Box::pin(self.serve_http(stream, stopping)).await,
                None => self.shared.refused(Rejection::TlsHandshake),
            }
            return;
        }
        self.serve_http(stream, stopping).await;
    }

    async fn serve_http<S>(self: Arc<Self>, stream: S, mut stopping: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connection = self.clone();
        let service = service_fn(move |request| {
            let connection = connection.clone();
            async move { Ok::<_, Infallible>(connection.answer(request).await) }
        });
        // Limits how long a response may wait for its reader, and lets the client read an early
        // response.
        let stream = HttpStream::new(
            stream,
            self.shared.io.server.engine.config.write_timeout,
            self.deadline.clone(),
        );
        let mut serving = pin!(
            self.shared
                .http
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
        );
        let mut overdue = pin!(self.deadline.passed());
        let mut is_stopping = false;
        let result = loop {
            tokio::select! {
                result = &mut serving => break result,
                () = &mut overdue => return self.shared.refused(Rejection::HeadTimeout),
                _ = stopping.changed(), if !is_stopping => {
                    is_stopping = true;
                    serving.as_mut().graceful_shutdown();
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "an HTTP connection failed");
        }
    }

    async fn answer(
        &self,
        #[cfg_attr(not(feature = "tls"), allow(unused_mut))] mut request: Request<Incoming>,
    ) -> Response<Body> {
        let _under_way = self.deadline.request();
        let io = &self.shared.io;
        if !io.matches(request.uri().path()) {
            return not_found();
        }
        // A poll may wait for long; the connection is established once it names an open session.
        let is_established = self.is_established.load(Ordering::Relaxed);
        if !is_established
            && request::names_open_session(&io.server.engine, request.uri())
            && !self.establish()
        {
            let mut response = reject(&io.server.engine, Rejection::TooManyHandshakes);
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
        #[cfg(feature = "tls")]
        if self.shared.tls.is_some() {
            request.extensions_mut().insert(crate::Secure(true));
        }
        let may_open = request.method() == Method::GET;
        let response = io.handle(request, self.peer).await;
        if may_open
            && matches!(
                response.status(),
                StatusCode::OK | StatusCode::SWITCHING_PROTOCOLS
            )
        {
            self.establish();
        }
        response
    }

    /// Returns false if the connection has been closed to free its place.
    fn establish(&self) -> bool {
        self.is_established.swap(true, Ordering::Relaxed) || self.shared.waiting.remove(self.key)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.establish();
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(addresses) = &self.shared.addresses {
            addresses.remove(self.peer.ip());
        }
    }
}

fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

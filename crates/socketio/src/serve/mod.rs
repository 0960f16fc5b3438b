//! An accept loop for servers without other routes.

mod connection;
mod limits;
mod pending;
#[cfg(feature = "tls")]
mod tls;

use std::{
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use hyper::server::conn::http1;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[cfg(feature = "tls")]
pub use self::tls::{Tls, TlsError};
use self::{connection::Shared, limits::Limits, pending::PendingConnections};
use crate::{SocketIo, admission::AddressCounts};

/// Time to wait after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Serves `io` on a listener, forever, with the default limits of [`Serve`]. Requests for other
/// paths are answered with 404. An application with its own routes runs a loop like this one (see
/// its source) and passes on the requests that [`SocketIo::matches`].
///
/// # Errors
/// None at present: a connection that cannot be accepted is skipped.
pub async fn serve(listener: TcpListener, io: SocketIo) -> io::Result<()> {
    Serve::new(listener, io).run().await
}

/// Serves a [`SocketIo`] on a listener, with limits on everything that a client can make the server
/// hold before it has an Engine.IO connection; from then on the limits of [`crate::Config`] apply.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn run(listener: tokio::net::TcpListener, io: socketio::SocketIo) -> std::io::Result<()> {
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// socketio::Serve::new(listener, io).head_timeout(Duration::from_secs(10)).run_until(stop).await
/// # }
/// ```
#[must_use = "it serves nothing until it runs"]
pub struct Serve {
    listener: TcpListener,
    io: SocketIo,
    limits: Limits,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Serve {
    /// Creates a server with the defaults that each method documents.
    pub fn new(listener: TcpListener, io: SocketIo) -> Self {
        Self {
            listener,
            io,
            limits: Limits::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Time within which a request head must arrive: the first after the connection was accepted, a
    /// later one after its first byte. Default 30 s.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.limits.head_timeout = limit;
        self
    }

    /// Time that a connection may be idle after the last byte of a response. Default 75 s, longer
    /// than most proxies keep idle connections for their next request. A waiting poll and a
    /// WebSocket are not idle: PINGs detect whether those are alive.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = limit;
        self
    }

    /// Maximum header lines in one request; past it the response is 431. Default 100.
    pub fn max_headers(mut self, limit: usize) -> Self {
        self.limits.max_headers = limit;
        self
    }

    /// Maximum bytes in the head of one request; past it the response is 431. Default 32 KiB,
    /// minimum 8 KiB.
    pub fn max_head_bytes(mut self, limit: usize) -> Self {
        self.limits.max_head_bytes = limit.max(8 << 10);
        self
    }

    /// Maximum TCP connections that speak HTTP. A WebSocket no longer counts; a client on polling
    /// has about two. Past it, a connection that has not opened or named a session is closed for
    /// the new one; if there is none, the new one is closed. Default 100,000.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.limits.max_connections = limit;
        self
    }

    /// Maximum TCP connections per address that speak HTTP; an IPv6 /64 network counts as one
    /// address. Past it, new ones are closed. Do not set it behind a proxy, because all connections
    /// then have the proxy's address. Default none.
    pub fn max_connections_per_address(mut self, limit: usize) -> Self {
        self.limits.max_connections_per_address = Some(limit);
        self
    }

    /// Maximum duration of a stop, from when connections are asked to close. Default 5 s.
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.limits.stop_timeout = limit;
        self
    }

    /// Serves TLS only (`https` and `wss`) on this listener. Requests carry
    /// [`crate::Secure`]`(true)`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Time within which a TLS handshake must complete, as part of [`Self::head_timeout`]. Default
    /// 10 s.
    #[cfg(feature = "tls")]
    pub fn tls_timeout(mut self, limit: Duration) -> Self {
        self.limits.tls_timeout = limit;
        self
    }

    /// Serves forever.
    ///
    /// # Errors
    /// None at present: a connection that cannot be accepted is skipped.
    pub async fn run(self) -> io::Result<()> {
        self.run_until(pending()).await
    }

    /// Serves until `stop` completes. Then it accepts no more connections, passes no more events to
    /// handlers, lets requests finish, sends what is queued, and closes every connection:
    /// [`SocketIo::pause_events`], [`SocketIo::drain`] and [`SocketIo::closed`], the last with a
    /// time limit. If your handlers spawn tasks, call [`SocketIo::pause_events`] yourself, wait for
    /// the tasks, and complete `stop` only then.
    ///
    /// # Errors
    /// None at present: a connection that cannot be accepted is skipped.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self {
            listener,
            io,
            limits,
            ..
        } = self;
        io.limit_send_buffers(&listener);
        let mut http = http1::Builder::new();
        http.header_read_timeout(None)
            .max_headers(limits.max_headers)
            .max_buf_size(limits.max_head_bytes);
        let shared = Arc::new(Shared {
            waiting: PendingConnections::new(io.server.engine.config.max_handshakes),
            addresses: limits.max_connections_per_address.map(AddressCounts::new),
            open: AtomicUsize::new(0),
            http,
            limits,
            io,
            #[cfg(feature = "tls")]
            tls: self.tls,
        });
        // Each connection holds a receiver: it signals the stop, and when the last receiver is
        // dropped all connections have finished.
        let (stopping, stop_receiver) = watch::channel(());
        let mut stop = pin!(stop);
        loop {
            let (stream, peer) = tokio::select! {
                accepted = accept(&listener) => accepted,
                () = &mut stop => break,
            };
            shared.take(stream, peer, &stop_receiver);
        }
        drop((listener, stop_receiver));
        let _ = stopping.send(());
        let io = &shared.io;
        io.pause_events().await;
        io.drain();
        let closed = async { tokio::join!(stopping.closed(), io.closed()) };
        if tokio::time::timeout(shared.limits.stop_timeout, closed)
            .await
            .is_err()
        {
            tracing::warn!("some connections did not close within the stop timeout");
        }
        Ok(())
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Frames are gathered already; Nagle's algorithm would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                // Probably out of file descriptors: others may be closed in a moment.
                tracing::warn!(%error, "cannot accept a TCP connection; trying again");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

//! An accept loop for servers that serve nothing else.

mod connection;
#[cfg(feature = "tls")]
mod tls;
mod waiting;

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
use self::{connection::Shared, waiting::Waiting};
use crate::{SocketIo, admission::Addresses};

/// How long the loop rests when no connection can be accepted.
const REST: Duration = Duration::from_millis(50);

/// Serves `io` on a listener, for ever, with the limits that [`Serve`] begins with; what is not for
/// it is answered with 404. Applications with routes of their own run a loop like this one (see its
/// source) and hand over what [`SocketIo::matches`].
///
/// # Errors
/// None yet: a connection that cannot be accepted is passed over.
pub async fn serve(listener: TcpListener, io: SocketIo) -> io::Result<()> {
    Serve::new(listener, io).run().await
}

/// Serves a [`SocketIo`] on a listener, with limits on everything that somebody can make it hold
/// before there is a connection of Engine.IO, which has its limits in [`crate::Config`].
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

/// What a loop holds its TCP connections to.
#[derive(Clone)]
struct Limits {
    head_timeout: Duration,
    idle_timeout: Duration,
    stop_timeout: Duration,
    #[cfg(feature = "tls")]
    tls_timeout: Duration,
    max_headers: usize,
    max_head_bytes: usize,
    max_connections: usize,
    max_connections_per_address: Option<usize>,
}

impl Serve {
    /// With the limits that the methods name as their defaults.
    pub fn new(listener: TcpListener, io: SocketIo) -> Self {
        let limits = Limits {
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            stop_timeout: Duration::from_secs(5),
            #[cfg(feature = "tls")]
            tls_timeout: Duration::from_secs(10),
            max_headers: 100,
            max_head_bytes: 32 << 10,
            max_connections: 100_000,
            max_connections_per_address: None,
        };
        Self {
            listener,
            io,
            limits,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// How long the head of a request may take: of the first one from the connection's being
    /// accepted, of a later one from its first byte. Default 30 s.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.limits.head_timeout = limit;
        self
    }

    /// How long a connection may be idle after an answer, counted from its last byte. Default 75 s:
    /// longer than proxies keep theirs for the next request, mostly. A poll that waits and a
    /// WebSocket are not idle: pings find out whether those are alive.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = limit;
        self
    }

    /// Header lines in one request. Past it, the answer is 431. Default 100.
    pub fn max_headers(mut self, limit: usize) -> Self {
        self.limits.max_headers = limit;
        self
    }

    /// Bytes in the head of one request. Past it, the answer is 431. Default 32 KiB, at least 8
    /// KiB.
    pub fn max_head_bytes(mut self, limit: usize) -> Self {
        self.limits.max_head_bytes = limit.max(8 << 10);
        self
    }

    /// TCP connections that speak HTTP at once: a WebSocket is none any more, a client on polling
    /// has two or so. Past it, one that has not said what it is for makes room, and if there is
    /// none, new ones are closed. Default 100,000.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.limits.max_connections = limit;
        self
    }

    /// TCP connections of one address that speak HTTP at once; an IPv6 network (/64) counts as one
    /// address. Past it, new ones are closed. Not to be set behind a proxy, whose address all of
    /// them have. Default none.
    pub fn max_connections_per_address(mut self, limit: usize) -> Self {
        self.limits.max_connections_per_address = Some(limit);
        self
    }

    /// How long a stop may take once connections are asked to close. Default 5 s.
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.limits.stop_timeout = limit;
        self
    }

    /// Speaks TLS, and nothing else, on this listener: `https` and `wss`. Requests carry
    /// [`crate::Secure`]`(true)`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long a TLS handshake may take, within [`Self::head_timeout`]. Default 10 s.
    #[cfg(feature = "tls")]
    pub fn tls_timeout(mut self, limit: Duration) -> Self {
        self.limits.tls_timeout = limit;
        self
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// None yet: a connection that cannot be accepted is passed over.
    pub async fn run(self) -> io::Result<()> {
        self.run_until(pending()).await
    }

    /// Serves until `stop` is done. Then it accepts nothing more, hands no more events to handlers,
    /// lets requests finish, sends what is queued, and closes every connection:
    /// [`SocketIo::pause_events`], [`SocketIo::drain`] and [`SocketIo::closed`], the last with a
    /// time limit. An application whose handlers leave work to tasks of their own does the first by
    /// itself, waits for its tasks, and is done with `stop` only then.
    ///
    /// # Errors
    /// None yet: a connection that cannot be accepted is passed over.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self {
            listener,
            io,
            limits,
            ..
        } = self;
        let mut http = http1::Builder::new();
        http.header_read_timeout(None)
            .max_headers(limits.max_headers)
            .max_buf_size(limits.max_head_bytes);
        let shared = Arc::new(Shared {
            waiting: Waiting::new(io.server.config.max_handshakes),
            addresses: limits.max_connections_per_address.map(Addresses::new),
            open: AtomicUsize::new(0),
            http,
            limits,
            io,
            #[cfg(feature = "tls")]
            tls: self.tls,
        });
        // Each connection holds a receiver: it hears of the stop by it, and when the last one is
        // dropped all have finished.
        let (stopping, hears_stop) = watch::channel(());
        let mut stop = pin!(stop);
        loop {
            let (stream, peer) = tokio::select! {
                accepted = accept(&listener) => accepted,
                () = &mut stop => break,
            };
            shared.take(stream, peer, &hears_stop);
        }
        drop((listener, hears_stop));
        let _ = stopping.send(());
        let io = &shared.io;
        io.pause_events().await;
        io.drain();
        let closed = async { tokio::join!(stopping.closed(), io.closed()) };
        if tokio::time::timeout(shared.limits.stop_timeout, closed)
            .await
            .is_err()
        {
            tracing::warn!("some connections took too long to close");
        }
        Ok(())
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // What is written is gathered already; waiting to gather more would only delay it.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                // Out of files, most likely: others may go away in a moment.
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

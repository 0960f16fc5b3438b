//! A server: its parts, how it is built, and what can be asked of it.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{Request, Response, Uri, request::Parts};
use tokio::time::Instant;

use crate::{
    Adapter, Body, Broadcast, Config, DisconnectReason, EngineHandler, Handler, Handshake,
    Observer, Packet, Refusal, Rejection, Target, TransportKind,
    admission::{Admission, Ticket},
    broadcast,
    driver::{Driver, Link},
    id::Id,
    namespaces::Namespaces,
    received::{ReceiveBudgets, Received},
    recovery::Recoverable,
    registry::Registry,
    request,
    session::{Budgets, Session, engine_frames},
    stopping::Stopping,
    sweep::{self, Lane, Timers},
};

pub(crate) type AllowRequest = dyn Fn(&Parts, SocketAddr) -> Result<(), Refusal> + Send + Sync;
pub(crate) type AllowOrigin = dyn Fn(&str, &Parts) -> bool + Send + Sync;

/// Ids of acknowledgements that a broadcast asks for are the same for all its receivers, and so
/// apart from those that each socket counts for itself. Clients in Java and Rust read them as
/// integers of 32 bits with a sign: they go from 2^30 to 2^31, and round.
const FIRST_BROADCAST_ACK: u64 = 1 << 30;

/// A Socket.IO server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct SocketIo {
    pub(crate) server: Arc<Server>,
}

/// What all connections of a server share.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) path: Box<str>,
    pub(crate) namespaces: Namespaces,
    pub(crate) engine: Option<Arc<dyn EngineHandler>>,
    pub(crate) allow_request: Option<Box<AllowRequest>>,
    pub(crate) cors: Option<Box<AllowOrigin>>,
    pub(crate) adapter: Option<Box<dyn Adapter>>,
    pub(crate) observer: Option<Box<dyn Observer>>,
    pub(crate) registry: Registry,
    pub(crate) timers: Timers,
    pub(crate) ping_frames: Bytes,
    pub(crate) stopping: Stopping,
    pub(crate) admission: Admission,
    /// What waits for those who do not read.
    pub(crate) unsent: Budgets,
    /// What of those who send has not been taken.
    pub(crate) received: Arc<ReceiveBudgets>,
    pub(crate) recoverable: Recoverable,
    socket_keys: AtomicU64,
    words: RandomState,
    broadcast_acks: AtomicU64,
    polling: AtomicUsize,
    websocket: AtomicUsize,
}

/// How many connections there are, by transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// On long-polling.
    pub polling: usize,
    /// On WebSocket.
    pub websocket: usize,
}

/// Puts a server together.
pub struct Builder {
    config: Config,
    namespaces: Namespaces,
    engine: Option<Arc<dyn EngineHandler>>,
    allow_request: Option<Box<AllowRequest>>,
    cors: Option<Box<AllowOrigin>>,
    adapter: Option<Box<dyn Adapter>>,
    observer: Option<Box<dyn Observer>>,
}

impl Builder {
    /// Adds a namespace. A slash is put before a name that has none, as Node does; a name given
    /// twice means the later one.
    #[must_use]
    pub fn namespace<H: Handler>(mut self, name: &str, handler: H) -> Self {
        let name: Box<str> = if name.starts_with('/') {
            name.into()
        } else {
            format!("/{name}").into_boxed_str()
        };
        self.namespaces.add(name, handler);
        self
    }

    /// Adds all namespaces whose names, with their slash, `has` says yes to: each is made when the
    /// first client asks for it, and is gone with its last socket. They are apart from one another,
    /// each with rooms of its own, but share the handler, which finds the name in
    /// [`crate::ConnectRequest::namespace`] and [`crate::Socket::namespace`]. Names given to
    /// [`Self::namespace`] come first, and dynamic ones are asked in the order they were added.
    ///
    /// Any name may be asked for: `has` should know how long one can be.
    #[must_use]
    pub fn dynamic_namespace<H: Handler>(
        mut self,
        has: impl Fn(&str) -> bool + Send + Sync + 'static,
        handler: H,
    ) -> Self {
        self.namespaces.add_dynamic(has, handler);
        self
    }

    /// Speaks bare Engine.IO with this handler in place of Socket.IO. Namespaces are then without
    /// meaning, and so is the connect timeout.
    #[must_use]
    pub fn engine<H: EngineHandler>(mut self, handler: H) -> Self {
        self.engine = Some(Arc::new(handler));
        self
    }

    /// Decides which requests are let in: asked for every request of every transport before
    /// anything else is done with it, the WebSocket's included. This is the place to check origins.
    #[must_use]
    pub fn allow_request<F>(mut self, allow: F) -> Self
    where
        F: Fn(&Parts, SocketAddr) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        self.allow_request = Some(Box::new(allow));
        self
    }

    /// Decides which origins (given as the header says) get answers that a browser lets them read,
    /// with credentials: it answers preflights and adds the headers to polling. By itself it keeps
    /// nobody out; that is [`Self::allow_request`]'s.
    #[must_use]
    pub fn cors<F>(mut self, allow: F) -> Self
    where
        F: Fn(&str, &Parts) -> bool + Send + Sync + 'static,
    {
        self.cors = Some(Box::new(allow));
        self
    }

    /// Carries broadcasts to other nodes.
    #[must_use]
    pub fn adapter<A: Adapter>(mut self, adapter: A) -> Self {
        self.adapter = Some(Box::new(adapter));
        self
    }

    /// Tells of what the server does, for metrics.
    #[must_use]
    pub fn observer<O: Observer>(mut self, observer: O) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// The server.
    #[must_use]
    pub fn build(self) -> SocketIo {
        let path = self.config.path.trim_end_matches('/').into();
        let admission = Admission::new(self.config.max_connections_per_address);
        let unsent = Budgets::new(self.config.max_queue_bytes_per_address);
        let received = Arc::new(ReceiveBudgets::new(
            self.config.max_received_bytes_per_address,
        ));
        SocketIo {
            server: Arc::new(Server {
                config: self.config,
                path,
                namespaces: self.namespaces,
                engine: self.engine,
                allow_request: self.allow_request,
                cors: self.cors,
                adapter: self.adapter,
                observer: self.observer,
                registry: Registry::default(),
                timers: Timers::default(),
                ping_frames: engine_frames("2"),
                stopping: Stopping::default(),
                admission,
                unsent,
                received,
                recoverable: Recoverable::default(),
                socket_keys: AtomicU64::new(1),
                words: RandomState::new(),
                broadcast_acks: AtomicU64::new(0),
                polling: AtomicUsize::new(0),
                websocket: AtomicUsize::new(0),
            }),
        }
    }
}

impl SocketIo {
    /// Starts to put a server together.
    pub fn builder(config: Config) -> Builder {
        Builder {
            config,
            namespaces: Namespaces::default(),
            engine: None,
            allow_request: None,
            cors: None,
            adapter: None,
            observer: None,
        }
    }

    /// Whether a request for this path is for [`Self::handle`].
    pub fn matches(&self, path: &str) -> bool {
        path.strip_prefix(&*self.server.path)
            .is_some_and(|rest| rest.is_empty() || rest == "/")
    }

    /// Whether a request that [`Self::matches`] would open a session, since it names none: for
    /// whoever counts them by rules of their own, with a [`crate::ConnectionGuard`].
    pub fn opens_session(&self, uri: &Uri) -> bool {
        request::opens_session(uri)
    }

    /// Answers a request, of any transport. `peer` is who is asking, as the application sees it.
    ///
    /// A WebSocket takes its connection over after the answer, so the connection must be served by
    /// hyper's `http1::Builder::serve_connection(..).with_upgrades()`. Over a `TokioIo<TcpStream>`
    /// the stream itself is taken, which is the lean way; any other kind of stream (TLS) works too.
    /// To be called within a tokio runtime with its timers on.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: http_body::Body + Unpin,
        B::Data: Buf,
    {
        request::handle(&self.server, request, peer).await
    }

    /// All sockets of a namespace, to speak to or to choose from. `None` if there is no such
    /// namespace.
    pub fn of(&self, namespace: &str) -> Option<Broadcast> {
        let found = self.server.namespaces.find(namespace)?;
        Some(Broadcast::new(self.server.clone(), found))
    }

    /// The names of all namespaces that are there now: of dynamic ones, those that somebody is in.
    pub fn namespaces(&self) -> Vec<String> {
        self.server.namespaces.names()
    }

    /// Sends another node's broadcast to the sockets of this one: see [`Adapter`].
    pub fn deliver(&self, target: &Target, packet: &Packet) {
        if let Some(namespace) = self.server.namespaces.find(&target.namespace) {
            broadcast::deliver(&*namespace, target, packet);
        }
    }

    /// To count what an application holds of requests that it reads by itself: together with what
    /// this server holds for the same address.
    pub fn received(&self, address: IpAddr) -> Received {
        self.server.received(address)
    }

    /// How many connections are open now.
    pub fn connections(&self) -> Connections {
        Connections {
            polling: self.server.polling.load(Ordering::Acquire),
            websocket: self.server.websocket.load(Ordering::Acquire),
        }
    }

    /// Bytes that wait to be sent, over all connections. Walks over all of them: for metrics, not
    /// for each message.
    pub fn queued_bytes(&self) -> usize {
        self.server
            .registry
            .all()
            .iter()
            .map(|session| session.queued_bytes())
            .sum()
    }

    /// Bytes kept for clients who may come back: see [`crate::Recovery`].
    pub fn kept_bytes(&self) -> usize {
        self.server.recoverable.bytes()
    }
}

impl Server {
    pub(crate) fn next_broadcast_ack(&self) -> u64 {
        FIRST_BROADCAST_ACK
            + self.broadcast_acks.fetch_add(1, Ordering::Relaxed) % FIRST_BROADCAST_ACK
    }

    pub(crate) fn next_socket_key(&self) -> u64 {
        self.socket_keys.fetch_add(1, Ordering::Relaxed)
    }

    /// To count what is held of something that this address sends.
    pub(crate) fn received(&self, address: IpAddr) -> Received {
        Received::new(self.received.clone(), address)
    }

    /// Tells the observer, if there is one. Never to be called with a lock held.
    pub(crate) fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            tell(&**observer);
        }
    }

    pub(crate) fn refused(&self, why: Rejection) {
        self.observe(|observer| observer.refused(why));
    }

    /// Forgets a session, for which nothing is left to do.
    pub(crate) fn forget(&self, key: u64) {
        if let Some(session) = self.registry.remove(key) {
            session.forgotten();
        }
    }

    /// Ends the connection that has waited longest for its first namespace. False if there is none.
    pub(crate) fn displace_longest_waiting(&self) -> bool {
        std::iter::from_fn(|| self.timers.take_waiting()).any(|key| {
            self.registry
                .get(key)
                .is_some_and(|session| session.displace())
        })
    }

    /// Tells an `auth` from others, without keeping it.
    pub(crate) fn word(&self, auth: Option<&str>) -> u64 {
        self.words.hash_one(auth)
    }

    pub(crate) fn sweep_pause(&self) -> Duration {
        let config = &self.config;
        let shortest = config
            .ping_interval
            .min(config.ping_timeout)
            .min(config.connect_timeout);
        sweep::pause(
            config
                .write_timeout
                .map_or(shortest, |limit| shortest.min(limit)),
        )
    }

    /// How often it is looked whether a client takes what waits for it: so often that it is cut off
    /// at most so much later than it should be.
    pub(crate) fn stall_look(&self) -> Option<Duration> {
        self.config
            .write_timeout
            .map(|limit| (limit / 4).max(Duration::from_millis(1)))
    }

    pub(crate) fn counter(&self, transport: TransportKind) -> &AtomicUsize {
        match transport {
            TransportKind::Polling => &self.polling,
            TransportKind::WebSocket => &self.websocket,
        }
    }

    /// Opens a session and starts its driver. `None` when there is no randomness to be had, or the
    /// server is draining.
    pub(crate) fn open(
        self: &Arc<Self>,
        ticket: Ticket,
        link: Link,
        handshake: Handshake,
    ) -> Option<Arc<Session>> {
        let transport = link.kind();
        let handshake = Arc::new(handshake);
        let session = loop {
            let sid = Id::random()
                .inspect_err(|error| tracing::error!(%error, "no random bytes"))
                .ok()?;
            let session = Session::new(self.clone(), sid, transport, handshake.clone());
            if self.registry.insert(&session) {
                break session;
            }
        };
        self.counter(transport).fetch_add(1, Ordering::Relaxed);
        self.observe(|observer| observer.opened(transport));
        // From here on, the driver's end is the connection's.
        ticket.hand_over();
        if self.engine.is_some() {
            session.set_joined();
        }
        self.timers.start(self);
        let (now, key) = (Instant::now(), session.sid.key());
        self.timers
            .push(Lane::Ping, now + self.config.ping_interval, key);
        if self.engine.is_none() {
            self.timers
                .push(Lane::Connect, now + self.config.connect_timeout, key);
        }
        #[cfg(feature = "deflate")]
        if let Link::WebSocket(websocket) = &link {
            session.compress_on(websocket, handshake.wants_base64());
        }
        if transport == TransportKind::WebSocket {
            let _ = session.push(
                engine_frames(&self.open_packet(&session.sid, transport)),
                None,
            );
        }
        // A stop that began meanwhile may have missed this one.
        if self.stopping.has_begun() {
            session.close(DisconnectReason::ServerShuttingDown);
        }
        tokio::spawn(Driver::new(session.clone(), link));
        Some(session)
    }

    /// The OPEN packet (Engine.IO protocol 4, "Handshake").
    pub(crate) fn open_packet(&self, sid: &Id, transport: TransportKind) -> String {
        let config = &self.config;
        let can_upgrade = transport == TransportKind::Polling && config.transports.websocket;
        format!(
            "0{{\"sid\":\"{sid}\",\"upgrades\":[{}],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{}}}",
            if can_upgrade { "\"websocket\"" } else { "" },
            config.ping_interval.as_millis(),
            config.ping_timeout.as_millis(),
            config.max_payload,
        )
    }
}

impl std::fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketIo")
            .field("path", &self.server.path)
            .finish_non_exhaustive()
    }
}

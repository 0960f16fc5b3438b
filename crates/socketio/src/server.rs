//! The server: its state, its builder and its public methods.

use std::{
    error::Error,
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
    admission::{Admission, AdmissionGuard},
    broadcast,
    driver::Driver,
    id::Id,
    link::Link,
    namespaces::Namespaces,
    nodes::{Cluster, NodeTag, Nodes, Owner},
    received::{ReceiveBudgets, Received},
    recovery::Recoverable,
    registry::Registry,
    request,
    session::{SendBudgets, Session, engine_frames},
    stopping::Stopping,
    timers::{self, TimerKind, Timers},
};

pub(crate) type AllowRequest = dyn Fn(&Parts, SocketAddr) -> Result<(), Refusal> + Send + Sync;
pub(crate) type AllowOrigin = dyn Fn(&str, &Parts) -> bool + Send + Sync;

/// First id of acknowledgements that broadcasts request. One id serves all receivers of a
/// broadcast, so it must differ from the ids that each socket counts for itself. Java and Rust
/// clients read ids as signed 32-bit integers: broadcast ids run from 2^30 to 2^31 - 1 and wrap
/// around.
const FIRST_BROADCAST_ACK: u64 = 1 << 30;

/// A Socket.IO server. Clones are cheap and refer to the same server.
#[derive(Clone)]
pub struct SocketIo {
    pub(crate) server: Arc<Server>,
}

/// State that all connections of a server share.
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
    /// Limits on bytes queued for clients that do not read.
    pub(crate) unsent: SendBudgets,
    /// Limits on bytes received and not yet processed.
    pub(crate) received: Arc<ReceiveBudgets>,
    pub(crate) recoverable: Recoverable,
    /// The other nodes, if there may be any.
    pub(crate) cluster: Option<Cluster>,
    socket_keys: AtomicU64,
    auth_hasher: RandomState,
    broadcast_acks: AtomicU64,
    polling: AtomicUsize,
    websocket: AtomicUsize,
}

/// Number of open connections by transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// Connections on HTTP long-polling.
    pub polling: usize,
    /// Connections on WebSocket.
    pub websocket: usize,
}

/// Builds a [`SocketIo`] server.
pub struct Builder {
    config: Config,
    namespaces: Namespaces,
    engine: Option<Arc<dyn EngineHandler>>,
    allow_request: Option<Box<AllowRequest>>,
    cors: Option<Box<AllowOrigin>>,
    adapter: Option<Box<dyn Adapter>>,
    observer: Option<Box<dyn Observer>>,
    nodes: Option<(NodeTag, Arc<dyn Nodes>)>,
}

impl Builder {
    /// Adds a namespace. A missing leading slash is added to the name, as in Node; a later
    /// namespace replaces an earlier one with the same name.
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

    /// Adds all namespaces whose names (with leading slash) match `matches`. A dynamic namespace is
    /// created when the first client connects to it and removed with its last socket. Each has its
    /// own rooms; all share the handler, which reads the name from
    /// [`crate::ConnectRequest::namespace`] and [`crate::Socket::namespace`]. Namespaces added with
    /// [`Self::namespace`] take precedence; among dynamic ones the first that matches wins.
    ///
    /// Clients may request any name: `matches` must limit its length.
    #[must_use]
    pub fn dynamic_namespace<H: Handler>(
        mut self,
        matches: impl Fn(&str) -> bool + Send + Sync + 'static,
        handler: H,
    ) -> Self {
        self.namespaces.add_dynamic(matches, handler);
        self
    }

    /// Serves bare Engine.IO with this handler instead of Socket.IO. Namespaces and
    /// [`Config::connect_timeout`] then have no effect.
    #[must_use]
    pub fn engine<H: EngineHandler>(mut self, handler: H) -> Self {
        self.engine = Some(Arc::new(handler));
        self
    }

    /// Sets a function that accepts or refuses each request before the server processes it, on
    /// every transport including WebSocket. Use it to check the `Origin` header.
    #[must_use]
    pub fn allow_request<F>(mut self, allow: F) -> Self
    where
        F: Fn(&Parts, SocketAddr) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        self.allow_request = Some(Box::new(allow));
        self
    }

    /// Sets a function that decides which origins may read responses, with credentials: the server
    /// answers their CORS preflight requests and adds CORS headers to polling responses. The first
    /// argument is the value of the `Origin` header. It does not refuse requests; use
    /// [`Self::allow_request`] for that.
    #[must_use]
    pub fn cors<F>(mut self, allow: F) -> Self
    where
        F: Fn(&str, &Parts) -> bool + Send + Sync + 'static,
    {
        self.cors = Some(Box::new(allow));
        self
    }

    /// Sets the adapter that sends broadcasts to other nodes.
    #[must_use]
    pub fn adapter<A: Adapter>(mut self, adapter: A) -> Self {
        self.adapter = Some(Box::new(adapter));
        self
    }

    /// Sets the observer that receives events about the server's work, for metrics.
    #[must_use]
    pub fn observer<O: Observer>(mut self, observer: O) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Makes this server one of several nodes behind a balancer without sticky sessions. Ids of
    /// sessions become `<tag>.<random>`. A request that names a session of another node is passed on
    /// to it: polls and POSTs over connections that are used again, a WebSocket over one of its own,
    /// byte for byte. The other node applies its limits, and its CORS headers are the ones sent.
    ///
    /// A request is passed on once at most. If the other node is unknown, the response is that for
    /// an unknown session (400, code 1); if it does not answer, 502. Clients open a new session after
    /// either.
    ///
    /// A client that resumes a socket of another node ([`crate::Recovery`]) gets it if the application
    /// lets it move ([`crate::Handler::hand_over`]) and the other node answers within a second, and a
    /// new socket otherwise. Private ids contain the tag too. The node that made one has to be there,
    /// because it knows where the socket is.
    ///
    /// All nodes need the same [`Config::path`] and [`Config::parser`]. A WebSocket that is passed on
    /// costs this node two streams and about 1 KiB, and counts as a connection of
    /// [`Config::max_connections`].
    #[must_use]
    pub fn nodes<N: Nodes>(mut self, tag: NodeTag, nodes: N) -> Self {
        self.nodes = Some((tag, Arc::new(nodes)));
        self
    }

    /// Builds the server.
    #[must_use]
    pub fn build(self) -> SocketIo {
        let path = self.config.path.trim_end_matches('/').into();
        let admission = Admission::new(self.config.max_connections_per_address);
        let unsent = SendBudgets::new(self.config.max_queue_bytes_per_address);
        let received = Arc::new(ReceiveBudgets::new(
            self.config.max_received_bytes_per_address,
        ));
        let cluster = self
            .nodes
            .map(|(tag, nodes)| Cluster::new(&tag, nodes, &self.config));
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
                cluster,
                socket_keys: AtomicU64::new(1),
                auth_hasher: RandomState::new(),
                broadcast_acks: AtomicU64::new(0),
                polling: AtomicUsize::new(0),
                websocket: AtomicUsize::new(0),
            }),
        }
    }
}

impl SocketIo {
    /// Returns a builder with these settings.
    pub fn builder(config: Config) -> Builder {
        Builder {
            config,
            namespaces: Namespaces::default(),
            engine: None,
            allow_request: None,
            cors: None,
            adapter: None,
            observer: None,
            nodes: None,
        }
    }

    /// Whether a request with this path belongs to this server and should be passed to
    /// [`Self::handle`].
    pub fn matches(&self, path: &str) -> bool {
        path.strip_prefix(&*self.server.path)
            .is_some_and(|rest| rest.is_empty() || rest == "/")
    }

    /// Whether a request that [`Self::matches`] would open a session, because its query names none.
    /// For applications that count sessions by rules of their own with a
    /// [`crate::ConnectionGuard`].
    pub fn opens_session(&self, uri: &Uri) -> bool {
        request::opens_session(uri)
    }

    /// Answers a request on any transport. `peer` is the client's address as the application knows
    /// it.
    ///
    /// A WebSocket takes over the connection after the response, so serve the connection with
    /// hyper's `http1::Builder::serve_connection(..).with_upgrades()`. Over a `TokioIo<TcpStream>`
    /// the server extracts the stream itself, which uses the least memory; other streams (such as
    /// TLS) work too. Call this within a tokio runtime whose timers are enabled.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        request::handle(&self.server, request, peer).await
    }

    /// Returns a [`Broadcast`] to all sockets of a namespace, or `None` if the namespace does not
    /// exist.
    pub fn of(&self, namespace: &str) -> Option<Broadcast> {
        let found = self.server.namespaces.find(namespace)?;
        Some(Broadcast::new(self.server.clone(), found))
    }

    /// The names of all existing namespaces; of dynamic ones, those that have a socket.
    pub fn namespaces(&self) -> Vec<String> {
        self.server.namespaces.names()
    }

    /// Delivers a broadcast from another node to the sockets of this node: see [`Adapter`].
    pub fn deliver(&self, target: &Target, packet: &Packet) {
        if let Some(namespace) = self.server.namespaces.find(&target.namespace) {
            broadcast::deliver(&*namespace, target, packet);
        }
    }

    /// Returns a counter for request bytes that the application itself buffers. They count towards
    /// [`Config::max_received_bytes_per_address`] together with what this server buffers for the
    /// same address.
    pub fn received(&self, address: IpAddr) -> Received {
        self.server.received(address)
    }

    /// Number of open connections.
    pub fn connections(&self) -> Connections {
        Connections {
            polling: self.server.polling.load(Ordering::Acquire),
            websocket: self.server.websocket.load(Ordering::Acquire),
        }
    }

    /// Number of WebSockets of other nodes' sessions that pass through this node: see
    /// [`Builder::nodes`]. They are not among [`Self::connections`].
    pub fn tunnels(&self) -> usize {
        self.server.cluster.as_ref().map_or(0, Cluster::tunnels)
    }

    /// How many requests this node has passed on to others since it started, handshakes of
    /// WebSockets included. `None` if it was given no other nodes.
    pub fn forwarded(&self) -> Option<u64> {
        self.server.cluster.as_ref().map(Cluster::forwarded)
    }

    /// Bytes queued for all connections. It iterates over every connection: call it for metrics,
    /// not per message.
    pub fn queued_bytes(&self) -> usize {
        self.server
            .registry
            .all()
            .iter()
            .map(|session| session.queued_bytes())
            .sum()
    }

    /// Bytes stored for recoverable sockets: see [`crate::Recovery`].
    pub fn recovery_bytes(&self) -> usize {
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

    /// An id of this node as clients see it.
    pub(crate) fn full_id(&self, id: &Id) -> String {
        let prefix = self.cluster.as_ref().map_or("", Cluster::prefix);
        format!("{prefix}{id}")
    }

    /// The part of a socket's offsets after the number: this server's own among all nodes.
    pub(crate) fn offset_suffix(&self, key: u64) -> String {
        let prefix = self.cluster.as_ref().map_or("", Cluster::prefix);
        format!(".{prefix}{key}")
    }

    /// The key of a private id, of whichever node; `None` if the text is no id.
    pub(crate) fn pid_key(&self, pid: &str) -> Option<u64> {
        match self.owner(pid)? {
            Owner::Here(id) => Id::key_of(id),
            Owner::Other(_) => Id::key_of(pid.split_once('.')?.1),
        }
    }

    /// Whose id this is; `None` if it can be nobody's.
    pub(crate) fn owner<'a>(&self, id: &'a str) -> Option<Owner<'a>> {
        match &self.cluster {
            None => Some(Owner::Here(id)),
            Some(cluster) => cluster.owner(id),
        }
    }

    /// Returns a counter for bytes buffered of what this address sends.
    pub(crate) fn received(&self, address: IpAddr) -> Received {
        Received::new(self.received.clone(), address)
    }

    /// Calls the observer, if there is one. Never call this while holding a lock.
    pub(crate) fn observe(&self, report: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            report(&**observer);
        }
    }

    pub(crate) fn refused(&self, why: Rejection) {
        self.observe(|observer| observer.refused(why));
    }

    /// Removes a session that has nothing left to do.
    pub(crate) fn remove_session(&self, key: u64) {
        if let Some(session) = self.registry.remove(key) {
            session.on_removed();
        }
    }

    /// Closes the connection that has waited longest for its first namespace. Returns false if
    /// there is none.
    pub(crate) fn displace_longest_handshake(&self) -> bool {
        std::iter::from_fn(|| self.timers.take_longest_connecting()).any(|key| {
            self.registry
                .get(key)
                .is_some_and(|session| session.displace())
        })
    }

    /// A fingerprint of an `auth` payload, to compare payloads without storing them.
    pub(crate) fn auth_fingerprint(&self, auth: Option<&str>) -> u64 {
        self.auth_hasher.hash_one(auth)
    }

    pub(crate) fn sweep_interval(&self) -> Duration {
        let config = &self.config;
        let shortest = config
            .ping_interval
            .min(config.ping_timeout)
            .min(config.connect_timeout);
        timers::sweep_interval(
            config
                .write_timeout
                .map_or(shortest, |limit| shortest.min(limit)),
        )
    }

    /// Interval between checks whether a client reads: a quarter of the write timeout, so a client
    /// is disconnected at most that much late.
    pub(crate) fn stall_check_interval(&self) -> Option<Duration> {
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

    /// Opens a session and spawns its driver. Returns `None` if the operating system returns no
    /// random bytes.
    pub(crate) fn open(
        self: &Arc<Self>,
        admission_guard: AdmissionGuard,
        link: Link,
        handshake: Handshake,
    ) -> Option<Arc<Session>> {
        let transport = link.kind();
        let handshake = Arc::new(handshake);
        let session = loop {
            let sid = Id::random()
                .inspect_err(|error| tracing::error!(%error, "no random bytes from the operating system; cannot open a session"))
                .ok()?;
            let session = Session::new(self.clone(), sid, transport, handshake.clone());
            if self.registry.insert(&session) {
                break session;
            }
        };
        self.counter(transport).fetch_add(1, Ordering::Relaxed);
        self.observe(|observer| observer.opened(transport));
        // From here on, the driver's end releases the connection's place.
        admission_guard.transfer();
        if self.engine.is_some() {
            session.set_joined();
        }
        self.timers.start(self);
        let (now, key) = (Instant::now(), session.sid.key());
        self.timers
            .push(TimerKind::Ping, now + self.config.ping_interval, key);
        if self.engine.is_none() {
            self.timers
                .push(TimerKind::Connect, now + self.config.connect_timeout, key);
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
        // A stop that began in the meantime may have missed this session.
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
            "0{{\"sid\":\"{}\",\"upgrades\":[{}],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{}}}",
            self.full_id(sid),
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

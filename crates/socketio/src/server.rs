//! The server: its state, its builder and its public methods.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Buf;
use http::{Request, Response, Uri, request::Parts};

use crate::{
    Adapter, Body, Broadcast, Config, Connections, EngineHandler, Handler, Observer, Packet,
    Refusal, Target,
    bare::BareEngine,
    broadcast,
    engine::Engine,
    hub::Hub,
    namespace::Namespaces,
    nodes::{Cluster, NodeTag, Nodes},
    protocol::Protocol,
    received::Received,
    request::{self, AllowOrigin, AllowRequest, Server},
    session::Session,
};

/// A Socket.IO server. Clones are cheap and refer to the same server.
#[derive(Clone)]
pub struct SocketIo {
    pub(crate) server: Arc<Server>,
}

/// Adds a namespace once all settings are known.
type AddNamespace = dyn FnOnce(&mut Namespaces) + Send + Sync;

/// Builds a [`SocketIo`] server.
pub struct Builder {
    config: Config,
    namespaces: Vec<Box<AddNamespace>>,
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
        self.namespaces
            .push(Box::new(move |namespaces| namespaces.add(name, handler)));
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
        self.namespaces.push(Box::new(move |namespaces| {
            namespaces.add_dynamic(matches, handler);
        }));
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
        let cluster = self
            .nodes
            .map(|(tag, nodes)| Cluster::new(&tag, nodes, &self.config));
        let hub = Hub::new(self.config.max_rooms, self.adapter);
        let mut namespaces = Namespaces::new(Arc::new(hub));
        self.namespaces
            .into_iter()
            .for_each(|add| add(&mut namespaces));
        let namespaces = Arc::new(namespaces);
        let protocol: Arc<dyn Protocol<Session>> = match self.engine {
            Some(handler) => Arc::new(BareEngine(handler)),
            None => namespaces.clone(),
        };
        let engine = Engine::new(self.config, self.observer, cluster, protocol);
        SocketIo {
            server: Arc::new(Server {
                path,
                allow_request: self.allow_request,
                cors: self.cors,
                engine: Arc::new(engine),
                namespaces,
            }),
        }
    }
}

impl SocketIo {
    /// Returns a builder with these settings.
    pub fn builder(config: Config) -> Builder {
        Builder {
            config,
            namespaces: Vec::new(),
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
        Some(Broadcast::new(found))
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
        self.server.engine.received(address)
    }

    /// Number of open connections.
    pub fn connections(&self) -> Connections {
        self.server.engine.connections()
    }

    /// Number of WebSockets of other nodes' sessions that pass through this node: see
    /// [`Builder::nodes`]. They are not among [`Self::connections`].
    pub fn tunnels(&self) -> usize {
        self.server
            .engine
            .cluster
            .as_ref()
            .map_or(0, Cluster::tunnels)
    }

    /// How many requests this node has passed on to others since it started, handshakes of
    /// WebSockets included. `None` if it was given no other nodes.
    pub fn forwarded(&self) -> Option<u64> {
        self.server.engine.cluster.as_ref().map(Cluster::forwarded)
    }

    /// Bytes queued for all connections. It iterates over every connection: call it for metrics,
    /// not per message.
    pub fn queued_bytes(&self) -> usize {
        self.server
            .engine
            .registry
            .all()
            .iter()
            .map(|session| session.queued_bytes())
            .sum()
    }

    /// Bytes stored for recoverable sockets: see [`crate::Recovery`].
    pub fn recovery_bytes(&self) -> usize {
        self.server.namespaces.hub.recoverable.bytes()
    }
}

impl std::fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketIo")
            .field("path", &self.server.path)
            .finish_non_exhaustive()
    }
}

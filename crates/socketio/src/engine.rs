//! The state that all connections of a server share.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Config, Observer, Packet, Rejection, TransportKind,
    admission::Admission,
    id::Id,
    nodes::{Cluster, Owner},
    protocol::Protocol,
    received::{ReceiveBudgets, Received},
    registry::Registry,
    session::SendBudgets,
    stopping::Stopping,
    timers::Timers,
};

/// Number of open connections by transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// Connections on HTTP long-polling.
    pub polling: usize,
    /// Connections on WebSocket.
    pub websocket: usize,
}

/// Engine.IO for one server. `S` is the type of its sessions, which hold this and so cannot be named
/// here.
pub(crate) struct Engine<S> {
    pub(crate) config: Config,
    pub(crate) observer: Option<Box<dyn Observer>>,
    /// What the messages mean.
    pub(crate) protocol: Arc<dyn Protocol<S>>,
    pub(crate) registry: Registry<S>,
    pub(crate) timers: Timers,
    pub(crate) ping_frames: Bytes,
    pub(crate) stopping: Arc<Stopping>,
    pub(crate) admission: Arc<Admission>,
    /// Limits on bytes queued for clients that do not read.
    pub(crate) unsent: SendBudgets,
    /// Limits on bytes received and not yet processed.
    received: Arc<ReceiveBudgets>,
    /// The other nodes, if there may be any.
    pub(crate) cluster: Option<Cluster>,
    polling: AtomicUsize,
    websocket: AtomicUsize,
}

impl<S> Engine<S> {
    pub(crate) fn new(
        config: Config,
        observer: Option<Box<dyn Observer>>,
        cluster: Option<Cluster>,
        protocol: Arc<dyn Protocol<S>>,
    ) -> Self {
        Self {
            registry: Registry::default(),
            timers: Timers::default(),
            ping_frames: Packet::engine("2").into_frames(),
            stopping: Arc::default(),
            admission: Arc::new(Admission::new(
                config.max_handshakes,
                config.max_connections_per_address,
            )),
            unsent: SendBudgets::new(config.max_queue_bytes_per_address),
            received: Arc::new(ReceiveBudgets::new(config.max_received_bytes_per_address)),
            polling: AtomicUsize::new(0),
            websocket: AtomicUsize::new(0),
            config,
            observer,
            cluster,
            protocol,
        }
    }

    /// An id of this node as clients see it.
    pub(crate) fn full_id(&self, id: &Id) -> String {
        format!("{}{id}", self.id_prefix())
    }

    /// What precedes the random part of this node's ids: nothing, unless there are other nodes.
    pub(crate) fn id_prefix(&self) -> &str {
        self.cluster.as_ref().map_or("", Cluster::prefix)
    }

    /// The key of an id of any node; `None` if the text is no id.
    pub(crate) fn key_of(&self, id: &str) -> Option<u64> {
        match self.owner(id)? {
            Owner::Here(id) => Id::key_of(id),
            Owner::Other(_) => Id::key_of(id.split_once('.')?.1),
        }
    }

    /// The node that an id belongs to; `None` if no node can have made it.
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

    /// Interval between sweeps of the timers: at most 2 % of the shortest timeout.
    pub(crate) fn sweep_interval(&self) -> Duration {
        let config = &self.config;
        let shortest = config
            .ping_interval
            .min(config.ping_timeout)
            .min(config.connect_timeout);
        let shortest = config
            .write_timeout
            .map_or(shortest, |limit| shortest.min(limit));
        (shortest / 50).clamp(Duration::from_millis(1), Duration::from_millis(50))
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

    pub(crate) fn connections(&self) -> Connections {
        Connections {
            polling: self.polling.load(Ordering::Acquire),
            websocket: self.websocket.load(Ordering::Acquire),
        }
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

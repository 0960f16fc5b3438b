//! Opening sessions.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};

use tokio::time::Instant;

use crate::{
    DisconnectReason, Handshake, Rejection, TransportKind,
    admission::AdmissionGuard,
    engine::Engine,
    id::Id,
    link::Link,
    session::{Session, engine_frames},
    sweep,
    timers::TimerKind,
};

impl Engine<Session> {
    /// Takes a place for a connection of this address.
    ///
    /// # Errors
    /// If a limit is reached.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<AdmissionGuard, Rejection> {
        if self.stopping.alive() >= self.config.max_connections {
            return Err(Rejection::TooManyConnections);
        }
        self.admission
            .admit(address, || self.displace_longest_handshake())
    }

    /// Closes the connection that has waited longest for its first namespace. Returns false if
    /// there is none.
    fn displace_longest_handshake(&self) -> bool {
        std::iter::from_fn(|| self.timers.take_longest_connecting()).any(|key| {
            self.registry
                .get(key)
                .is_some_and(|session| session.displace())
        })
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
            if self.registry.insert(session.sid.key(), &session) {
                break session;
            }
        };
        self.counter(transport).fetch_add(1, Ordering::Relaxed);
        self.observe(|observer| observer.opened(transport));
        // From here on, the driver's end releases the connection's place.
        admission_guard.transfer();
        if !self.protocol.has_handshake() {
            session.set_joined();
        }
        sweep::start(self);
        let (now, key) = (Instant::now(), session.sid.key());
        self.timers
            .push(TimerKind::Ping, now + self.config.ping_interval, key);
        if self.protocol.has_handshake() {
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
        self.protocol.clone().start(session.clone(), link);
        Some(session)
    }
}

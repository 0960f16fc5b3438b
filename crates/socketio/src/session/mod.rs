//! The state of a connection that its task shares with other threads: the queue of what to send,
//! and the reason to close. Its lock belongs to this connection only and is held for a few
//! instructions; no application code runs under it.

mod form;
mod heartbeat;
mod item;
mod polling;
mod queue;
mod run;
mod shared;
mod unsent;
mod upgrading;

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

#[cfg(feature = "deflate")]
use std::sync::atomic::AtomicBool;

use self::shared::Shared;
pub(crate) use self::{
    item::Item,
    polling::Polled,
    unsent::{MIN_COUNTED_BYTES, SendBudgets},
    upgrading::EndedSession,
};

use bytes::Bytes;

use crate::{
    ConnectionGuard, DisconnectReason, Handshake, Packet, TransportKind, engine::Engine, id::Id,
    received::Received, stopping::AliveGuard, sync::Mutex,
};

pub(crate) struct Session {
    pub(crate) sid: Id,
    pub(crate) peer: SocketAddr,
    pub(crate) engine: Arc<Engine<Session>>,
    /// The client has requested recovery, and the server offers it.
    pub(crate) recovers: bool,
    /// The session is on a WebSocket whose messages may be compressed. Never reset: a session does
    /// not return to polling.
    #[cfg(feature = "deflate")]
    compresses: AtomicBool,
    shared: Mutex<Shared>,
}

impl Session {
    pub(crate) fn new(
        engine: Arc<Engine<Session>>,
        sid: Id,
        transport: TransportKind,
        handshake: Arc<Handshake>,
    ) -> Arc<Self> {
        let alive = Some(AliveGuard::new(engine.stopping.clone()));
        let base64 = transport == TransportKind::WebSocket && handshake.wants_base64();
        Arc::new(Self {
            sid,
            peer: handshake.peer,
            recovers: engine.config.recovery.as_ref().is_some_and(|recovery| {
                recovery.for_everybody || handshake.query("recovery").as_deref() == Some("1")
            }),
            engine,
            #[cfg(feature = "deflate")]
            compresses: AtomicBool::new(false),
            shared: Mutex::new(Shared {
                queue: VecDeque::new(),
                queued: 0,
                oversized: 0,
                stall: None,
                stall_timer_runs: false,
                driver: None,
                running: false,
                transport,
                closing: None,
                ended: false,
                joined: false,
                upgrading: false,
                base64,
                socket_left: false,
                backlogged: false,
                pong_due: None,
                was_reading_slowly: false,
                guard: handshake
                    .extensions
                    .get::<ConnectionGuard>()
                    .map(|guard| guard.0.clone()),
                handshake: Some(handshake),
                alive,
                polling: (transport == TransportKind::Polling).then(Box::default),
            }),
        })
    }

    /// A counter for bytes buffered of what the client sends.
    pub(crate) fn received(&self) -> Received {
        self.engine.received(self.peer.ip())
    }

    pub(crate) fn transport(&self) -> TransportKind {
        self.shared.lock().transport
    }

    pub(crate) fn is_open(&self) -> bool {
        self.shared.lock().closing.is_none()
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.shared.lock().queued
    }

    /// Asks the driver to end the connection.
    pub(crate) fn close(&self, reason: DisconnectReason) {
        self.shared.lock().close(reason);
    }

    /// Asks the driver to look for sockets that the application has disconnected.
    pub(crate) fn notice_left_socket(&self) {
        let mut shared = self.shared.lock();
        shared.socket_left = true;
        shared.wake_driver();
    }

    pub(crate) fn handshake(&self) -> Arc<Handshake> {
        let handshake = self.shared.lock().handshake.clone();
        handshake.unwrap_or_else(|| Arc::new(Handshake::bare(self.peer)))
    }

    pub(crate) fn drop_handshake(&self) {
        let removed = self.shared.lock().handshake.take();
        drop(removed);
    }

    /// The connection has joined its first namespace and is no longer a pending handshake.
    pub(crate) fn set_joined(&self) {
        if !std::mem::replace(&mut self.shared.lock().joined, true) {
            self.engine.admission.finish_handshake();
        }
    }

    /// Closes the connection to free its place for another, if it is in no namespace. Returns false
    /// if it is in one or is closing already.
    pub(crate) fn displace(&self) -> bool {
        let mut shared = self.shared.lock();
        let waits = !shared.joined && shared.closing.is_none();
        if waits {
            shared.close(DisconnectReason::Displaced);
        }
        waits
    }

    /// Called after the connect timeout: closes the connection if it is in no namespace.
    pub(crate) fn connect_due(&self) {
        let mut shared = self.shared.lock();
        if !shared.joined {
            shared.close(DisconnectReason::ConnectTimeout);
        }
    }
}

impl Engine<Session> {
    /// Removes a session that has nothing left to do.
    pub(crate) fn remove_session(&self, key: u64) {
        if let Some(session) = self.registry.remove(key) {
            session.on_removed();
        }
    }
}

/// The frames of an Engine.IO text packet.
pub(crate) fn engine_frames(text: &str) -> Bytes {
    Packet::engine(text).into_frames()
}

#[cfg(test)]
mod tests;

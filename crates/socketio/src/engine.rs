//! Engine.IO without Socket.IO on top of it.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{DisconnectReason, EmitError, Packet, session::Session};

/// What the application does with bare Engine.IO connections; see [`crate::Builder::engine`]. All
/// of it is called on the connection's own task and must not block.
pub trait EngineHandler: Send + Sync + 'static {
    /// A connection is open.
    fn opened(&self, connection: &EngineConnection) {
        let _ = connection;
    }

    /// A message of it, in the order of arrival.
    fn message(&self, connection: &EngineConnection, message: EngineMessage);

    /// It is closed.
    fn closed(&self, connection: &EngineConnection, reason: DisconnectReason) {
        let _ = (connection, reason);
    }
}

/// A message of Engine.IO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineMessage {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// A handle to a bare Engine.IO connection.
#[derive(Clone)]
pub struct EngineConnection {
    pub(crate) session: Arc<Session>,
}

impl EngineConnection {
    /// The id of its session, which requests on polling carry as `sid`. Whoever has it can take the
    /// session over: keep it as a secret of this client's.
    pub fn id(&self) -> &str {
        self.session.sid.as_str()
    }

    /// Queues a message.
    ///
    /// # Errors
    /// When the connection is closed or its queue is full.
    pub fn send(&self, message: &EngineMessage) -> Result<(), EmitError> {
        let packet = match message {
            EngineMessage::Text(text) => Packet::engine(&format!("4{text}")),
            EngineMessage::Binary(data) => Packet::engine_binary(data),
        };
        let queued = self.session.send_parsed(&packet, None);
        if queued == Err(EmitError::Full) {
            self.session
                .server
                .observe(|observer| observer.queue_full());
        }
        queued
    }

    /// Closes it, after what is queued has been sent.
    pub fn close(&self) {
        self.session.close(DisconnectReason::ForcedClose);
    }
}

impl fmt::Debug for EngineConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConnection").finish_non_exhaustive()
    }
}

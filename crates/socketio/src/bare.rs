//! Engine.IO without Socket.IO.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use tokio::time::Instant;

use crate::{
    DisconnectReason, EmitError, Packet,
    driver::Driver,
    link::Link,
    protocol::{Connection, Protocol},
    session::Session,
};

/// The application's callbacks for bare Engine.IO connections; see [`crate::Builder::engine`]. The
/// library calls them on the connection's task, so they must not block.
pub trait EngineHandler: Send + Sync + 'static {
    /// The connection is open.
    fn opened(&self, connection: &EngineConnection) {
        let _ = connection;
    }

    /// The client sent a message. Messages arrive in the order in which the client sent them.
    fn message(&self, connection: &EngineConnection, message: EngineMessage);

    /// The connection is closed. Called once per connection.
    fn closed(&self, connection: &EngineConnection, reason: DisconnectReason) {
        let _ = (connection, reason);
    }
}

/// An Engine.IO message (protocol 4, packet type `message`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineMessage {
    /// A text message, without the type digit.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

/// A handle to a bare Engine.IO connection.
#[derive(Clone)]
pub struct EngineConnection {
    session: Arc<Session>,
}

impl EngineConnection {
    /// The session id, which polling requests carry as `sid`. Anyone who knows it can take over the
    /// session: treat it as a secret between the server and this client.
    pub fn id(&self) -> String {
        self.session.engine.full_id(&self.session.sid)
    }

    /// Queues a message for the client.
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the connection is closed, [`EmitError::Full`] if its queue is full.
    pub fn send(&self, message: &EngineMessage) -> Result<(), EmitError> {
        let packet = match message {
            EngineMessage::Text(text) => Packet::engine(&format!("4{text}")),
            EngineMessage::Binary(data) => Packet::engine_binary(data),
        };
        let queued = self.session.send_parsed(&packet, None);
        if queued == Err(EmitError::Full) {
            self.session
                .engine
                .observe(|observer| observer.queue_full());
        }
        queued
    }

    /// Sends the queued messages, then closes the connection.
    pub fn close(&self) {
        self.session.close(DisconnectReason::ForcedClose);
    }
}

impl fmt::Debug for EngineConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConnection").finish_non_exhaustive()
    }
}

/// An application's handler as the protocol of all connections.
pub(crate) struct BareEngine(pub(crate) Arc<dyn EngineHandler>);

impl Protocol<Session> for BareEngine {
    fn has_handshake(&self) -> bool {
        false
    }

    fn start(self: Arc<Self>, session: Arc<Session>, link: Link) {
        let connection = BareConnection {
            handler: self.0.clone(),
        };
        tokio::spawn(Driver::new(session, link, connection));
    }

    fn timer_due(&self, _: u64, _: Instant) {}
}

struct BareConnection {
    handler: Arc<dyn EngineHandler>,
}

impl BareConnection {
    fn message(&self, session: &Arc<Session>, message: EngineMessage) {
        self.handler.message(&handle(session), message);
    }
}

fn handle(session: &Arc<Session>) -> EngineConnection {
    EngineConnection {
        session: session.clone(),
    }
}

impl Connection<Session> for BareConnection {
    fn opened(&mut self, session: &Arc<Session>) {
        self.handler.opened(&handle(session));
    }

    fn text(&mut self, session: &Arc<Session>, text: &str) -> Result<(), DisconnectReason> {
        self.message(session, EngineMessage::Text(text.to_owned()));
        Ok(())
    }

    fn binary(&mut self, session: &Arc<Session>, data: Bytes) -> Result<(), DisconnectReason> {
        self.message(session, EngineMessage::Binary(data));
        Ok(())
    }

    fn end(&mut self, session: &Arc<Session>, reason: DisconnectReason) {
        self.handler.closed(&handle(session), reason);
    }
}

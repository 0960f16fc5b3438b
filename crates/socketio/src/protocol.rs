//! What the engine asks of the protocol on top of it: Socket.IO, or an application that uses
//! Engine.IO alone. `S` is the type of a session.

use std::{sync::Arc, task::Context};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{DisconnectReason, link::Link};

/// A protocol, for all connections of a server.
pub(crate) trait Protocol<S>: Send + Sync {
    /// Whether a connection is a pending handshake until the protocol has accepted its client
    /// (`Session::set_joined`).
    fn has_handshake(&self) -> bool;

    /// Spawns the driver of a new connection.
    fn start(self: Arc<Self>, session: Arc<S>, link: Link);

    /// A timer of the kind [`crate::timers::TimerKind::Protocol`] is due.
    fn timer_due(&self, key: u64, now: Instant);
}

/// The protocol's state of one connection, which its driver owns. An `Err` is the reason to close
/// the connection.
pub(crate) trait Connection<S>: Send + Unpin + 'static {
    /// The connection is open. Called once, at first.
    fn opened(&mut self, session: &Arc<S>) {
        let _ = session;
    }

    /// Handles a text message.
    fn text(&mut self, session: &Arc<S>, text: &str) -> Result<(), DisconnectReason>;

    /// Handles a binary message.
    fn binary(&mut self, session: &Arc<S>, data: Bytes) -> Result<(), DisconnectReason>;

    /// The client has answered a PING, so it has received what was sent before the PING.
    fn pong(&mut self) {}

    /// Whether so many messages are held back that the connection should not be read.
    fn is_backlogged(&self, session: &S) -> bool {
        let _ = session;
        false
    }

    /// Called once after `Session::notice_left_socket`.
    fn close_left_sockets(&mut self, session: &S) {
        let _ = session;
    }

    /// Continues pending work. `budget` is the number of messages that may still be handled in this
    /// run.
    fn advance(
        &mut self,
        session: &Arc<S>,
        cx: &mut Context<'_>,
        budget: &mut usize,
    ) -> Result<(), DisconnectReason> {
        let _ = (session, cx, budget);
        Ok(())
    }

    /// Whether [`Self::advance`] must be called before the task sleeps.
    fn needs_advance(&self) -> bool {
        false
    }

    /// The connection has ended. Called once, at last.
    fn end(&mut self, session: &Arc<S>, reason: DisconnectReason);
}

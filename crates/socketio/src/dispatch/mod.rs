//! Socket.IO on one connection: its namespaces, and the handling of its packets.

mod attachments;
mod backlog;
mod connecting;
#[cfg(feature = "msgpack")]
mod msgpack;
mod partial;
mod state;
mod text;

pub(crate) use self::state::Dispatch;

use std::{panic::AssertUnwindSafe, sync::Arc, task::Context};

use bytes::Bytes;
use tokio::time::Instant;

use self::{
    backlog::{Backlog, HELD_OVERHEAD, HeldMessage},
    state::{Outcome, State, count_received, end},
};
use crate::{
    DisconnectReason, Parser,
    driver::Driver,
    link::Link,
    namespace::Namespaces,
    protocol::{Connection, Protocol},
    session::Session,
};

/// Socket.IO as the protocol of all connections.
impl Protocol<Session> for Namespaces {
    fn has_handshake(&self) -> bool {
        true
    }

    fn start(self: Arc<Self>, session: Arc<Session>, link: Link) {
        tokio::spawn(Driver::new(session, link, Dispatch::new(self)));
    }

    /// The recovery window of a suspended socket may have ended.
    fn timer_due(&self, key: u64, now: Instant) {
        if let Some(socket) = self.hub.recoverable.get(key) {
            socket.expire(now);
        }
    }
}

impl Connection<Session> for Dispatch {
    fn text(&mut self, session: &Arc<Session>, text: &str) -> Outcome {
        if session.engine.config.parser != Parser::Json {
            return Err(DisconnectReason::ParseError);
        }
        if self.is_holding_back() {
            let is_handled = self.try_early_disconnect(session, text);
            return if is_handled {
                Ok(())
            } else {
                self.hold_back(session, HeldMessage::Text(text.into()), text.len())
            };
        }
        self.handle_text(session, text)
    }

    fn binary(&mut self, session: &Arc<Session>, data: Bytes) -> Outcome {
        // Unwanted attachments need not wait, unless their packet is held back itself.
        let is_unwanted = self.backlog.is_none()
            && self
                .partial
                .as_ref()
                .is_some_and(|partial| partial.packet.is_none());
        if self.is_holding_back() && !is_unwanted {
            let bytes = data.len();
            let is_handled = self.try_early_disconnect_binary(session, &data);
            return if is_handled {
                Ok(())
            } else {
                self.hold_back(session, HeldMessage::Binary(data), bytes)
            };
        }
        self.handle_binary(session, data)
    }

    fn pong(&mut self) {
        self.entries.retain_mut(|entry| match &mut entry.state {
            State::Open(socket) => {
                socket.pong(Instant::now());
                true
            }
            State::Connecting => true,
            State::Left { answered_one } => !std::mem::replace(answered_one, true),
        });
    }

    fn is_backlogged(&self, session: &Session) -> bool {
        self.backlog
            .as_ref()
            .is_some_and(|backlog| backlog.bytes > session.engine.config.max_payload)
    }

    /// Ends the sockets that the application has disconnected: drops their futures and calls their
    /// handlers.
    fn close_left_sockets(&mut self, session: &Session) {
        for at in 0..self.entries.len() {
            if matches!(&self.entries[at].state, State::Open(socket) if socket.has_left()) {
                self.close_socket(session, at, DisconnectReason::ServerNamespaceDisconnect);
            }
        }
    }

    /// Polls pending CONNECTs and the handler's future, then handles messages that were held back.
    fn advance(
        &mut self,
        session: &Arc<Session>,
        cx: &mut Context<'_>,
        budget: &mut usize,
    ) -> Outcome {
        self.has_unpolled_future = false;
        self.advance_connecting(session, cx);
        loop {
            if let Some(hold) = &mut self.handler_future {
                if hold.future.as_mut().poll(cx).is_pending() {
                    return Ok(());
                }
                self.handler_future = None;
            }
            let Some(backlog) = &mut self.backlog else {
                return Ok(());
            };
            if *budget == 0 || session.engine.stopping.is_paused() {
                return Ok(());
            }
            let Some(data) = backlog.messages.pop_front() else {
                self.backlog = None;
                return Ok(());
            };
            *budget -= 1;
            match data {
                HeldMessage::Text(text) => {
                    backlog.removed(text.len());
                    self.handle_text(session, &text)?;
                }
                HeldMessage::Binary(data) => {
                    backlog.removed(data.len());
                    self.handle_binary(session, data)?;
                }
            }
        }
    }

    fn needs_advance(&self) -> bool {
        self.has_unpolled_future
    }

    fn end(&mut self, session: &Arc<Session>, reason: DisconnectReason) {
        self.handler_future = None;
        self.backlog = None;
        self.partial = None;
        self.connecting.clear();
        for entry in self.entries.drain(..) {
            if let State::Open(socket) = entry.state {
                if reason == DisconnectReason::ServerNamespaceDisconnect {
                    // The application disconnected all sockets of the connection; this marks the
                    // others too.
                    socket.clone().disconnect();
                }
                // If the handler panics, the panic hook has reported it; the other sockets must end
                // anyway.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(|| end(session, socket, reason)));
            }
        }
    }
}

impl Dispatch {
    fn is_holding_back(&self) -> bool {
        self.handler_future.is_some() || self.backlog.is_some()
    }

    /// Holds a message back. Returns `Err` if that exceeds the limit of the client's address.
    fn hold_back(&mut self, session: &Session, data: HeldMessage, bytes: usize) -> Outcome {
        let backlog = self
            .backlog
            .get_or_insert_with(|| Box::new(Backlog::new(session.received())));
        backlog.bytes += bytes + HELD_OVERHEAD;
        backlog.messages.push_back(data);
        count_received(&mut backlog.received, backlog.bytes)
    }

    fn handle_binary(&mut self, session: &Arc<Session>, data: Bytes) -> Outcome {
        match session.engine.config.parser {
            Parser::Json => self.handle_attachment(session, data),
            #[cfg(feature = "msgpack")]
            Parser::MsgPack => self.handle_msgpack(session, &data),
        }
    }
}

#[cfg(not(feature = "msgpack"))]
impl Dispatch {
    /// Whether a binary message is a DISCONNECT: never in JSON.
    fn try_early_disconnect_binary(&mut self, _: &Session, _: &Bytes) -> bool {
        false
    }
}

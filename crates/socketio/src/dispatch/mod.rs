//! Socket.IO on one connection: its namespaces, and the handling of its packets. The connection's
//! task owns this state, so it needs no lock.

mod backlog;
mod connecting;
#[cfg(feature = "msgpack")]
mod msgpack;
mod partial;

use std::{panic::AssertUnwindSafe, sync::Arc, task::Context};

use bytes::Bytes;
use tokio::time::Instant;

use self::{
    backlog::{Backlog, HELD_OVERHEAD, HeldMessage},
    connecting::Connecting,
    partial::{Partial, PartialPacket},
};
use crate::{
    AckReply, BoxFuture, DisconnectReason, Parser,
    codec::{
        json::EventParts,
        packet::{self, Incoming, PacketError},
    },
    driver::Driver,
    event::Attachments,
    link::Link,
    namespace::{AnyNamespace, Namespaces},
    protocol::{Connection, Protocol},
    received::Received,
    session::Session,
    socket::AnySocket,
};

pub(crate) struct Dispatch {
    namespaces: Arc<Namespaces>,
    entries: Vec<Entry>,
    connecting: Vec<Connecting>,
    /// A binary packet of which some attachments have not arrived yet.
    partial: Option<Box<Partial>>,
    /// A handler's future. The next events wait until it completes.
    handler_future: Option<HandlerFuture>,
    backlog: Option<Box<Backlog>>,
    /// A future has been created and not polled yet.
    has_unpolled_future: bool,
}

/// A namespace that this connection has joined, is joining or has left.
struct Entry {
    namespace: Arc<dyn AnyNamespace>,
    state: State,
    /// Fingerprint of the `auth` payload of its CONNECT.
    auth_fingerprint: u64,
}

enum State {
    Connecting,
    Open(Arc<dyn AnySocket>),
    /// The server has disconnected the client from the namespace; packets that the client sent
    /// before it knew are ignored. It knows when it has answered a PING that was sent after the
    /// DISCONNECT: that is the second PONG from now, because the first may answer an earlier PING.
    Left {
        answered_one: bool,
    },
}

/// A handler's future, with the namespace of its socket. It is dropped when the socket ends.
struct HandlerFuture {
    namespace: Arc<dyn AnyNamespace>,
    future: BoxFuture<'static, ()>,
}

/// An open socket, and its index in `entries`.
type OpenSocket = (usize, Arc<dyn AnySocket>);

type Outcome = Result<(), DisconnectReason>;

impl Dispatch {
    pub(crate) fn new(namespaces: Arc<Namespaces>) -> Self {
        Self {
            namespaces,
            entries: Vec::new(),
            connecting: Vec::new(),
            partial: None,
            handler_future: None,
            backlog: None,
            has_unpolled_future: false,
        }
    }

    fn is_holding_back(&self) -> bool {
        self.handler_future.is_some() || self.backlog.is_some()
    }

    /// Handles a DISCONNECT at once, although earlier messages are held back: the client's socket
    /// ends now, and its earlier messages are ignored when they are handled.
    fn try_early_disconnect(&mut self, session: &Session, text: &str) -> bool {
        let config = &session.engine.config;
        if !text.starts_with('1') {
            return false;
        }
        let Ok(Incoming::Disconnect { namespace }) =
            packet::decode(text, config.max_attachments, config.max_nesting)
        else {
            return false;
        };
        self.early_disconnect(session, namespace)
    }

    fn early_disconnect(&mut self, session: &Session, namespace: &str) -> bool {
        let Some(at) = self
            .find(namespace)
            .filter(|&at| matches!(self.entries[at].state, State::Open(_)))
        else {
            return false;
        };
        self.close_socket(session, at, DisconnectReason::ClientNamespaceDisconnect);
        // The future that holds back the messages may be gone.
        self.has_unpolled_future = true;
        true
    }

    /// Ends an open socket, and marks its namespace so that the client's later packets to it are
    /// ignored.
    fn close_socket(&mut self, session: &Session, at: usize, reason: DisconnectReason) {
        let entry = &mut self.entries[at];
        if let State::Open(socket) = std::mem::replace(
            &mut entry.state,
            State::Left {
                answered_one: false,
            },
        ) {
            let namespace = &entry.namespace;
            self.handler_future
                .take_if(|hold| Arc::ptr_eq(&hold.namespace, namespace));
            end(session, socket, reason);
        }
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

    fn handle_text(&mut self, session: &Arc<Session>, text: &str) -> Outcome {
        if self.partial.is_some() {
            return Err(DisconnectReason::ParseError);
        }
        let config = &session.engine.config;
        let packet = packet::decode(text, config.max_attachments, config.max_nesting)
            .map_err(parse_error)?;
        match packet {
            Incoming::Connect { namespace, auth } => self.connect(session, namespace, auth),
            Incoming::Disconnect { namespace } => self.disconnect(session, namespace),
            Incoming::Event {
                namespace,
                ack,
                text,
                parts,
                attachments: 0,
            } => self.event(
                session,
                namespace,
                text.into(),
                &parts,
                Attachments::default(),
                ack,
            ),
            Incoming::Event {
                namespace,
                ack,
                text: array,
                parts,
                attachments,
            } => {
                let packet = PartialPacket::Event {
                    text: array.into(),
                    parts,
                    ack,
                };
                self.start_partial(session, namespace, packet, text.len(), attachments)
            }
            Incoming::Ack {
                namespace,
                id,
                args,
                attachments: 0,
            } => self.acknowledge(
                namespace,
                id,
                AckReply {
                    args: args.into(),
                    attachments: Vec::new(),
                },
            ),
            Incoming::Ack {
                namespace,
                id,
                args,
                attachments,
            } => {
                let packet = PartialPacket::Ack {
                    id,
                    args: args.into(),
                };
                self.start_partial(session, namespace, packet, text.len(), attachments)
            }
        }
    }

    fn handle_binary(&mut self, session: &Arc<Session>, data: Bytes) -> Outcome {
        match session.engine.config.parser {
            Parser::Json => self.handle_attachment(session, data),
            #[cfg(feature = "msgpack")]
            Parser::MsgPack => self.handle_msgpack(session, &data),
        }
    }

    /// The index of a namespace in `entries`.
    fn find(&self, name: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.namespace.name() == name)
    }

    fn disconnect(&mut self, session: &Session, name: &str) -> Outcome {
        let at = self.find(name).ok_or(DisconnectReason::ParseError)?;
        let entry = self.entries.swap_remove(at);
        match entry.state {
            State::Connecting => self
                .connecting
                .retain(|connecting| !Arc::ptr_eq(&connecting.namespace, &entry.namespace)),
            State::Open(socket) => {
                end(session, socket, DisconnectReason::ClientNamespaceDisconnect)
            }
            State::Left { .. } => {}
        }
        Ok(())
    }

    fn event(
        &mut self,
        session: &Session,
        name: &str,
        text: Box<str>,
        parts: &EventParts,
        mut attachments: Attachments,
        ack: Option<u64>,
    ) -> Outcome {
        if let Some((at, socket)) = self.socket(name)? {
            if !attachments.taken.is_empty() && !socket.takes_attachments() {
                attachments.refuse();
            }
            let engine = &session.engine;
            engine.observe(|observer| {
                observer.event(
                    name,
                    parts
                        .escaped_name
                        .as_deref()
                        .unwrap_or(&text[parts.name.clone()]),
                )
            });
            let began = engine.observer.is_some().then(Instant::now);
            let future = socket.event(text, parts, attachments, ack);
            if let Some(began) = began {
                engine.observe(|observer| observer.handled(name, began.elapsed()));
            }
            self.handler_future = future.map(|future| HandlerFuture {
                namespace: self.entries[at].namespace.clone(),
                future,
            });
            self.has_unpolled_future |= self.handler_future.is_some();
        }
        Ok(())
    }

    fn acknowledge(&self, name: &str, id: u64, mut reply: AckReply) -> Outcome {
        if let Some((_, socket)) = self.socket(name)? {
            if !reply.attachments.is_empty() && !socket.takes_attachments() {
                reply.attachments = Vec::new();
            }
            socket.acknowledge(id, reply);
        }
        Ok(())
    }

    /// Returns the socket for a packet; `None` if the server has disconnected the client and the
    /// client may not know yet.
    fn socket(&self, name: &str) -> Result<Option<OpenSocket>, DisconnectReason> {
        let at = self.find(name).ok_or(DisconnectReason::ParseError)?;
        let entry = &self.entries[at];
        match &entry.state {
            State::Connecting => Err(DisconnectReason::ParseError),
            State::Open(socket) => Ok((!socket.has_left()).then(|| (at, socket.clone()))),
            State::Left { .. } => Ok(None),
        }
    }
}

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

/// Counts bytes buffered of what the client sends. Returns `Err` if they exceed the limit of its
/// address.
fn count_received(received: &mut Received, bytes: usize) -> Outcome {
    if received.hold(bytes) {
        Ok(())
    } else {
        Err(DisconnectReason::TooMuchReceived)
    }
}

fn parse_error(error: PacketError) -> DisconnectReason {
    tracing::debug!(?error, "invalid Socket.IO packet; closing the connection");
    DisconnectReason::ParseError
}

#[cfg(not(feature = "msgpack"))]
impl Dispatch {
    /// Whether a binary message is a DISCONNECT: never in JSON.
    fn try_early_disconnect_binary(&mut self, _: &Session, _: &Bytes) -> bool {
        false
    }
}

fn end(session: &Session, socket: Arc<dyn AnySocket>, reason: DisconnectReason) {
    let reason = if socket.has_left() {
        DisconnectReason::ServerNamespaceDisconnect
    } else {
        reason
    };
    socket.detach(session, reason);
}

//! The namespaces of one connection and their sockets. The connection's task owns this state, so it
//! needs no lock.

use std::sync::Arc;

use tokio::time::Instant;

use super::{backlog::Backlog, partial::Partial};
use crate::{
    AckReply, BoxFuture, ConnectError, DisconnectReason,
    codec::json::EventParts,
    event::Attachments,
    namespace::{AnyNamespace, Namespaces},
    received::Received,
    session::Session,
    socket::{Admitted, AnySocket},
};

/// Socket.IO on one connection.
pub(crate) struct Dispatch {
    pub(super) namespaces: Arc<Namespaces>,
    pub(super) entries: Vec<Entry>,
    pub(super) connecting: Vec<Connecting>,
    /// A binary packet of which some attachments have not arrived yet.
    pub(super) partial: Option<Box<Partial>>,
    /// A handler's future. The next events wait until it completes.
    pub(super) handler_future: Option<HandlerFuture>,
    pub(super) backlog: Option<Box<Backlog>>,
    /// A future has been created and not polled yet.
    pub(super) has_unpolled_future: bool,
}

/// A namespace that this connection has joined, is joining or has left.
pub(super) struct Entry {
    pub(super) namespace: Arc<dyn AnyNamespace>,
    pub(super) state: State,
    /// Fingerprint of the `auth` payload of its CONNECT.
    pub(super) auth_fingerprint: u64,
}

pub(super) enum State {
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
pub(super) struct HandlerFuture {
    pub(super) namespace: Arc<dyn AnyNamespace>,
    pub(super) future: BoxFuture<'static, ()>,
}

/// An open socket, and its index in `entries`.
pub(super) type OpenSocket = (usize, Arc<dyn AnySocket>);

pub(super) type Outcome = Result<(), DisconnectReason>;

/// A handler's reply to a CONNECT.
pub(super) type Decision = Result<Admitted, ConnectError>;

pub(super) struct Connecting {
    pub(super) namespace: Arc<dyn AnyNamespace>,
    pub(super) future: BoxFuture<'static, Decision>,
}

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

    /// The index of a namespace in `entries`.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.namespace.name() == name)
    }

    pub(super) fn early_disconnect(&mut self, session: &Session, namespace: &str) -> bool {
        let Some(at) = self
            .find(namespace)
            .filter(|&at| matches!(self.entries[at].state, State::Open(_)))
        else {
            return false;
        };
        self.close_socket(session, at, DisconnectReason::ClientNamespaceDisconnect);
        // The future that holds back the messages may have been dropped.
        self.has_unpolled_future = true;
        true
    }

    /// Ends an open socket, and marks its namespace so that the client's later packets to it are
    /// ignored.
    pub(super) fn close_socket(&mut self, session: &Session, at: usize, reason: DisconnectReason) {
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

    pub(super) fn disconnect(&mut self, session: &Session, name: &str) -> Outcome {
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

    pub(super) fn event(
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

    pub(super) fn acknowledge(&self, name: &str, id: u64, mut reply: AckReply) -> Outcome {
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
    pub(super) fn socket(&self, name: &str) -> Result<Option<OpenSocket>, DisconnectReason> {
        let at = self.find(name).ok_or(DisconnectReason::ParseError)?;
        let entry = &self.entries[at];
        match &entry.state {
            State::Connecting => Err(DisconnectReason::ParseError),
            State::Open(socket) => Ok((!socket.has_left()).then(|| (at, socket.clone()))),
            State::Left { .. } => Ok(None),
        }
    }
}

/// Counts bytes buffered of what the client sends. Returns `Err` if they exceed the limit of its
/// address.
pub(super) fn count_received(received: &mut Received, bytes: usize) -> Outcome {
    if received.hold(bytes) {
        Ok(())
    } else {
        Err(DisconnectReason::TooMuchReceived)
    }
}

pub(super) fn end(session: &Session, socket: Arc<dyn AnySocket>, reason: DisconnectReason) {
    let reason = if socket.has_left() {
        DisconnectReason::ServerNamespaceDisconnect
    } else {
        reason
    };
    socket.detach(session, reason);
}

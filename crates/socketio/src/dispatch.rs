//! Socket.IO on one connection: which namespaces it is in, and what becomes of its packets. Owned by the connection's task,
//! so that none of it needs a lock.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    AckReply, BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Packet,
    codec::{
        json::EventParts,
        packet::{self, Incoming},
    },
    id::Id,
    session::Session,
    socket::AnySocket,
};

/// What a message that waits is counted as on top of its bytes.
const PENDING_OVERHEAD: usize = 64;

#[derive(Default)]
pub(crate) struct Dispatch {
    entries: Vec<Entry>,
    connecting: Vec<Connecting>,
    /// A binary packet some of whose attachments are still to come.
    partial: Option<Box<Partial>>,
    /// The application wants the next events held back until this is done.
    hold: Option<Hold>,
    pending: Option<Box<Pending>>,
    /// There is a future that has not been polled yet.
    fresh: bool,
}

/// A namespace this connection has to do with, by its place in the server's list.
struct Entry {
    namespace: usize,
    state: State,
}

enum State {
    Connecting,
    Open(Arc<dyn AnySocket>),
    /// The server has taken the client out; what the client had sent before it knew is ignored.
    Left,
}

/// It belongs to the socket whose event it came from, and is dropped with it.
struct Hold {
    namespace: usize,
    future: BoxFuture<'static, ()>,
}

struct Connecting {
    namespace: usize,
    future: BoxFuture<'static, Decision>,
}

/// What a handler made of a CONNECT.
type Decision = Result<(Id, Arc<dyn AnySocket>), ConnectError>;

struct Partial {
    namespace: Box<str>,
    packet: PartialPacket,
    attachments: Vec<Bytes>,
    wanted: usize,
}

enum PartialPacket {
    Event { text: Box<str>, parts: EventParts, ack: Option<u64> },
    Ack { id: u64, args: Box<str> },
}

#[derive(Default)]
struct Pending {
    messages: VecDeque<Data>,
    bytes: usize,
}

enum Data {
    Text(Box<str>),
    Binary(Bytes),
}

/// An open socket, and the place of its namespace in the server's list.
type Found = (usize, Arc<dyn AnySocket>);

type Outcome = Result<(), DisconnectReason>;

impl Dispatch {
    /// Takes a text message. `Err` ends the connection.
    pub(crate) fn text(&mut self, session: &Arc<Session>, text: &str) -> Outcome {
        if self.holds() {
            if !self.leaves_at_once(session, text) {
                self.put_off(Data::Text(text.into()), text.len());
            }
            return Ok(());
        }
        self.take_text(session, text)
    }

    /// Takes a binary message. `Err` ends the connection.
    pub(crate) fn binary(&mut self, session: &Arc<Session>, data: Bytes) -> Outcome {
        if self.holds() {
            let bytes = data.len();
            self.put_off(Data::Binary(data), bytes);
            return Ok(());
        }
        self.take_binary(session, data)
    }

    fn holds(&self) -> bool {
        self.hold.is_some() || self.pending.is_some()
    }

    /// A client that leaves a namespace waits for nothing that was to be done for it there. Its socket ends now; what it had sent
    /// before is passed over when its turn comes.
    fn leaves_at_once(&mut self, session: &Session, text: &str) -> bool {
        let config = &session.server.config;
        if !text.starts_with('1') {
            return false;
        }
        let Ok(Incoming::Disconnect { namespace }) = packet::decode(text, config.max_attachments, config.max_nesting) else { return false };
        let Some(at) = self.find(session, namespace).filter(|&at| matches!(self.entries[at].state, State::Open(_))) else { return false };
        self.take_out(at, DisconnectReason::ClientNamespaceDisconnect);
        // There may be nothing any more that holds back what waits.
        self.fresh = true;
        true
    }

    /// Ends an open socket, and leaves its namespace in a state in which what the client had sent to it is ignored.
    fn take_out(&mut self, at: usize, reason: DisconnectReason) {
        let entry = &mut self.entries[at];
        if let State::Open(socket) = std::mem::replace(&mut entry.state, State::Left) {
            let namespace = entry.namespace;
            self.hold.take_if(|hold| hold.namespace == namespace);
            end(socket, reason);
        }
    }

    fn put_off(&mut self, data: Data, bytes: usize) {
        let pending = self.pending.get_or_insert_default();
        pending.bytes += bytes + PENDING_OVERHEAD;
        pending.messages.push_back(data);
    }

    /// Whether so much is held back that no more should be read.
    pub(crate) fn is_backlogged(&self, session: &Session) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.bytes > session.server.config.max_payload)
    }

    /// Whether [`Self::advance`] must be called before the task may sleep.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Goes on with what was waiting: answers to CONNECTs, and what was held back. `budget` counts messages.
    pub(crate) fn advance(&mut self, session: &Arc<Session>, cx: &mut Context<'_>, budget: &mut usize) -> Outcome {
        self.fresh = false;
        self.advance_connecting(session, cx);
        loop {
            if let Some(hold) = &mut self.hold {
                if hold.future.as_mut().poll(cx).is_pending() {
                    return Ok(());
                }
                self.hold = None;
            }
            let Some(pending) = &mut self.pending else { return Ok(()) };
            if *budget == 0 || session.server.stopping.is_paused() {
                return Ok(());
            }
            let Some(data) = pending.messages.pop_front() else {
                self.pending = None;
                return Ok(());
            };
            *budget -= 1;
            match data {
                Data::Text(text) => {
                    pending.bytes -= text.len() + PENDING_OVERHEAD;
                    self.take_text(session, &text)?;
                }
                Data::Binary(data) => {
                    pending.bytes -= data.len() + PENDING_OVERHEAD;
                    self.take_binary(session, data)?;
                }
            }
        }
    }

    fn take_text(&mut self, session: &Arc<Session>, text: &str) -> Outcome {
        if self.partial.is_some() {
            return Err(DisconnectReason::ParseError);
        }
        let config = &session.server.config;
        let packet = packet::decode(text, config.max_attachments, config.max_nesting).map_err(|error| {
            tracing::debug!(?error, "a packet that makes no sense");
            DisconnectReason::ParseError
        })?;
        match packet {
            Incoming::Connect { namespace, auth } => self.connect(session, namespace, auth),
            Incoming::Disconnect { namespace } => self.disconnect(session, namespace),
            Incoming::Event { namespace, ack, text, parts, attachments: 0 } => {
                self.event(session, namespace, text.into(), &parts, Vec::new(), ack)
            }
            Incoming::Event { namespace, ack, text, parts, attachments } => {
                let packet = PartialPacket::Event { text: text.into(), parts, ack };
                self.start_partial(namespace, packet, attachments);
                Ok(())
            }
            Incoming::Ack { namespace, id, args, attachments: 0 } => {
                self.acknowledged(session, namespace, id, AckReply { args: args.into(), attachments: Vec::new() })
            }
            Incoming::Ack { namespace, id, args, attachments } => {
                self.start_partial(namespace, PartialPacket::Ack { id, args: args.into() }, attachments);
                Ok(())
            }
        }
    }

    fn start_partial(&mut self, namespace: &str, packet: PartialPacket, wanted: usize) {
        let partial = Partial { namespace: namespace.into(), packet, attachments: Vec::new(), wanted };
        self.partial = Some(Box::new(partial));
    }

    fn take_binary(&mut self, session: &Arc<Session>, data: Bytes) -> Outcome {
        let partial = self.partial.as_mut().ok_or(DisconnectReason::ParseError)?;
        partial.attachments.push(data);
        let Some(whole) = self.partial.take_if(|partial| partial.attachments.len() == partial.wanted) else {
            return Ok(());
        };
        let Partial { namespace, packet, attachments, .. } = *whole;
        match packet {
            PartialPacket::Event { text, parts, ack } => self.event(session, &namespace, text, &parts, attachments, ack),
            PartialPacket::Ack { id, args } => self.acknowledged(session, &namespace, id, AckReply { args, attachments }),
        }
    }

    /// Where in `entries` a namespace is.
    fn find(&self, session: &Session, name: &str) -> Option<usize> {
        let namespaces = &session.server.namespaces;
        self.entries.iter().position(|entry| namespaces[entry.namespace].name() == name)
    }

    fn connect(&mut self, session: &Arc<Session>, name: &str, auth: Option<&str>) -> Outcome {
        let server = &session.server;
        let Some(namespace) = server.namespaces.iter().position(|namespace| namespace.name() == name) else {
            let _ = session.push(Packet::connect_error(name, "Invalid namespace", None).into_frames(), None);
            return Ok(());
        };
        match self.find(session, name) {
            Some(at) if matches!(self.entries[at].state, State::Left) => {
                self.entries[at].state = State::Connecting;
            }
            // In it, or on the way in. A client whose user says `connect()` twice asks twice, and is content with one answer.
            Some(_) => return Ok(()),
            None => {
                self.entries.reserve_exact(1);
                self.entries.push(Entry { namespace, state: State::Connecting });
            }
        }
        let Ok(id) = Id::random() else { return Err(DisconnectReason::TransportError) };
        let request = ConnectRequest {
            socket_id: id.as_str().to_owned(),
            auth: auth.and_then(|auth| RawValue::from_string(auth.to_owned()).ok()),
            handshake: session.handshake(),
        };
        let deciding = server.namespaces[namespace].clone().connect(session.clone(), id, request);
        let limit = server.config.connect_timeout;
        let future = Box::pin(async move {
            match tokio::time::timeout(limit, deciding).await {
                Ok(socket) => Ok((id, socket?)),
                Err(_) => Err(ConnectError::new("the server took too long")),
            }
        });
        self.connecting.push(Connecting { namespace, future });
        self.fresh = true;
        Ok(())
    }

    fn advance_connecting(&mut self, session: &Arc<Session>, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(connecting) = self.connecting.get_mut(at) {
            match connecting.future.as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(decision) => {
                    let namespace = connecting.namespace;
                    drop(self.connecting.remove(at));
                    self.decided(session, namespace, decision);
                }
            }
        }
        if self.connecting.is_empty() {
            self.connecting = Vec::new();
        }
    }

    fn decided(&mut self, session: &Arc<Session>, namespace: usize, decision: Decision) {
        let Some(at) = self.entries.iter().position(|entry| entry.namespace == namespace) else { return };
        let server = &session.server;
        let name = server.namespaces[namespace].name();
        match decision {
            Ok((id, socket)) => {
                self.entries[at].state = State::Open(socket.clone());
                session.set_joined();
                let is_in = |entry: &Entry| matches!(entry.state, State::Open(_));
                if !server.config.retain_handshake && self.entries.iter().filter(|entry| is_in(entry)).count() == server.namespaces.len() {
                    session.forget_handshake();
                }
                let _ = session.push(Packet::connected(name, id.as_str()).into_frames(), None);
                socket.connected();
            }
            Err(ConnectError { message, data }) => {
                self.entries.swap_remove(at);
                let data = data.as_deref().map(RawValue::get);
                let _ = session.push(Packet::connect_error(name, &message, data).into_frames(), None);
            }
        }
    }

    fn disconnect(&mut self, session: &Session, name: &str) -> Outcome {
        let at = self.find(session, name).ok_or(DisconnectReason::ParseError)?;
        let entry = self.entries.swap_remove(at);
        match entry.state {
            State::Connecting => self.connecting.retain(|connecting| connecting.namespace != entry.namespace),
            State::Open(socket) => end(socket, DisconnectReason::ClientNamespaceDisconnect),
            State::Left => {}
        }
        Ok(())
    }

    fn event(
        &mut self,
        session: &Session,
        name: &str,
        text: Box<str>,
        parts: &EventParts,
        attachments: Vec<Bytes>,
        ack: Option<u64>,
    ) -> Outcome {
        if let Some((namespace, socket)) = self.socket(session, name)? {
            let future = socket.event(text, parts, attachments, ack);
            self.hold = future.map(|future| Hold { namespace, future });
            self.fresh |= self.hold.is_some();
        }
        Ok(())
    }

    fn acknowledged(&self, session: &Session, name: &str, id: u64, reply: AckReply) -> Outcome {
        if let Some((_, socket)) = self.socket(session, name)? {
            socket.acknowledged(id, reply);
        }
        Ok(())
    }

    /// The socket that a packet is for, and its namespace. `None` if the server has taken it out and the client did not know yet.
    fn socket(&self, session: &Session, name: &str) -> Result<Option<Found>, DisconnectReason> {
        let at = self.find(session, name).ok_or(DisconnectReason::ParseError)?;
        let entry = &self.entries[at];
        match &entry.state {
            State::Connecting => Err(DisconnectReason::ParseError),
            State::Open(socket) => Ok((!socket.has_left()).then(|| (entry.namespace, socket.clone()))),
            State::Left => Ok(None),
        }
    }

    /// Ends the sockets that the application has taken out: drops what was held for them and tells their handlers.
    pub(crate) fn drop_left(&mut self) {
        for at in 0..self.entries.len() {
            if matches!(&self.entries[at].state, State::Open(socket) if socket.has_left()) {
                self.take_out(at, DisconnectReason::ServerNamespaceDisconnect);
            }
        }
    }

    /// The connection is over.
    pub(crate) fn end(&mut self, reason: DisconnectReason) {
        self.hold = None;
        self.pending = None;
        self.partial = None;
        self.connecting.clear();
        for entry in self.entries.drain(..) {
            if let State::Open(socket) = entry.state {
                end(socket, reason);
            }
        }
    }
}

fn end(socket: Arc<dyn AnySocket>, reason: DisconnectReason) {
    let reason = if socket.has_left() { DisconnectReason::ServerNamespaceDisconnect } else { reason };
    socket.ended(reason);
}

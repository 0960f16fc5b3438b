//! Speaking to many sockets at once.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    AckError, AckReply, Packet, Socket, namespace::AnyNamespace, server::Server, socket::AnySocket,
};

/// Whom a broadcast is for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Target {
    /// The namespace.
    pub namespace: Box<str>,
    /// Rooms, or ids of sockets; those who are in any of them. Empty means everybody.
    pub rooms: Vec<Box<str>>,
    /// Rooms, or ids of sockets; not for those who are in any of them.
    pub except: Vec<Box<str>>,
    /// Not for those to whom it cannot be written now.
    pub volatile: bool,
}

/// Carries broadcasts to other nodes. What comes from them goes to [`crate::SocketIo::deliver`].
pub trait Adapter: Send + Sync + 'static {
    /// A broadcast of this node, that is not [`Broadcast::local`]. Called on whatever task sent it,
    /// after it was delivered here; it must not block.
    fn publish(&self, target: &Target, packet: &Packet);
}

/// Sockets of a namespace to do something with, all of them unless narrowed down. From
/// [`crate::SocketIo::of`], [`Socket::to`] or [`Socket::broadcast`].
#[derive(Clone)]
#[must_use = "it does nothing until something is sent"]
pub struct Broadcast {
    server: Arc<Server>,
    namespace: Arc<dyn AnyNamespace>,
    target: Target,
    local: bool,
}

impl Broadcast {
    pub(crate) fn new(server: Arc<Server>, namespace: Arc<dyn AnyNamespace>) -> Self {
        let target = Target {
            namespace: namespace.name().into(),
            ..Target::default()
        };
        Self {
            server,
            namespace,
            target,
            local: false,
        }
    }

    /// To those in this room. Said more than once, to those in any of the rooms, each once. A
    /// socket's id is a room that it is alone in.
    pub fn to(mut self, room: &str) -> Self {
        self.target.rooms.push(room.into());
        self
    }

    /// Not to those in this room.
    pub fn except(mut self, room: &str) -> Self {
        self.target.except.push(room.into());
        self
    }

    /// Left out for those to whom it cannot be written now (see [`Socket::emit_volatile`]), and is
    /// not kept for those who are away.
    pub fn volatile(mut self) -> Self {
        self.target.volatile = true;
        self
    }

    /// To sockets of this node only.
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Sends an event with one argument. A value that cannot be written as JSON is sent as `null`.
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, arg: &T) {
        let args = serde_json::to_string(arg).unwrap_or_else(|_| "null".to_owned());
        self.emit_packet(&Packet::event(&self.target.namespace, name, &args));
    }

    /// Sends a packet of this namespace. It is encoded already, and goes to everybody as it is. Who
    /// is gone is passed over; who does not read is cut off, as ever.
    pub fn emit_packet(&self, packet: &Packet) {
        deliver(&*self.namespace, &self.target, packet);
        if let (false, Some(adapter)) = (self.local, &self.server.adapter) {
            adapter.publish(&self.target, packet);
        }
    }

    /// Sends an event, and waits for everybody to acknowledge it: gives the id of each socket of
    /// this node and its answer, or why there is none. `args` and `attachments` are as for
    /// [`Packet::binary_event`]. The event is sent by the call itself.
    pub fn emit_with_ack(
        &self,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        timeout: Duration,
    ) -> impl Future<Output = Vec<(String, Result<AckReply, AckError>)>> + Send + use<> {
        // One id for all of them, so that one encoding does.
        let id = self.server.next_broadcast_ack();
        let packet =
            Packet::encode_event(&self.target.namespace, Some(id), name, args, attachments);
        let sockets = self.namespace.rooms().find(&self.target);
        let asked: Vec<_> = sockets
            .iter()
            .map(|socket| (socket.id().as_str().to_owned(), socket.ask(&packet, id)))
            .collect();
        let forget = Forget {
            sockets: sockets.iter().map(Arc::downgrade).collect(),
            id,
        };
        let deadline = Instant::now() + timeout;
        async move {
            let _forget = forget;
            let mut answers = Vec::with_capacity(asked.len());
            for (socket, asked) in asked {
                let answer = match asked {
                    Err(error) => Err(error),
                    Ok(reply) => match tokio::time::timeout_at(deadline, reply).await {
                        Ok(reply) => reply.map_err(|_| AckError::Closed),
                        Err(_) => Err(AckError::Timeout),
                    },
                };
                answers.push((socket, answer));
            }
            answers
        }
    }

    /// The sockets of this node that it is for. None of a handler whose data is no `D`.
    pub fn sockets<D: Send + Sync + 'static>(&self) -> Vec<Socket<D>> {
        let found = self.namespace.rooms().find(&self.target).into_iter();
        found
            .filter_map(|socket| socket.into_any().downcast().ok().map(Socket::of))
            .collect()
    }

    /// How many sockets of this node it is for.
    pub fn count(&self) -> usize {
        self.namespace.rooms().find(&self.target).len()
    }

    /// The rooms of this node's sockets, and how many are in each.
    pub fn rooms(&self) -> Vec<(Arc<str>, usize)> {
        self.namespace.rooms().sizes()
    }

    /// Puts those sockets of this node into a room, unless they are in [`crate::Config::max_rooms`]
    /// already.
    pub fn join(&self, room: &str) {
        let max = self.server.config.max_rooms;
        for socket in self.namespace.rooms().find(&self.target) {
            self.namespace.rooms().join(&socket, room, max);
        }
    }

    /// Takes those sockets of this node out of a room.
    pub fn leave(&self, room: &str) {
        for socket in self.namespace.rooms().find(&self.target) {
            self.namespace.rooms().leave(socket.id().key(), room);
        }
    }

    /// Takes those clients of this node out of the namespace: see [`Socket::disconnect`].
    pub fn disconnect(&self) {
        for socket in self.namespace.rooms().find(&self.target) {
            socket.disconnect();
        }
    }

    /// Puts those clients of this node out for good, Node's `disconnectSockets(true)`: see
    /// [`Socket::disconnect_and_close`].
    pub fn disconnect_and_close(&self) {
        for socket in self.namespace.rooms().find(&self.target) {
            socket.disconnect_and_close();
        }
    }
}

/// Sends to this node's sockets.
pub(crate) fn deliver(namespace: &dyn AnyNamespace, target: &Target, packet: &Packet) {
    for socket in namespace.rooms().find(target) {
        let _ = socket.emit(packet, target.volatile);
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("target", &self.target)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// Takes what nobody waits for any more out of the sockets' tables.
struct Forget {
    sockets: Vec<Weak<dyn AnySocket>>,
    id: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        for socket in self.sockets.iter().filter_map(Weak::upgrade) {
            socket.forget_ack(self.id);
        }
    }
}

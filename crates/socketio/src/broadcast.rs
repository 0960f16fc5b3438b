//! Broadcasts: sending to many sockets at once.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    AckError, AckReply, Packet, Socket, Target, namespace::NamespaceState, socket::AnySocket,
};

/// A selection of a namespace's sockets, to send to or to operate on. It selects all sockets until
/// narrowed. Created by [`crate::SocketIo::of`], [`Socket::to`] and [`Socket::broadcast`].
#[derive(Clone)]
#[must_use = "it does nothing until something is sent"]
pub struct Broadcast {
    namespace: Arc<dyn NamespaceState>,
    target: Target,
    local: bool,
}

impl Broadcast {
    pub(crate) fn new(namespace: Arc<dyn NamespaceState>) -> Self {
        let target = Target {
            namespace: namespace.name().into(),
            ..Target::default()
        };
        Self {
            namespace,
            target,
            local: false,
        }
    }

    /// Selects the sockets in this room. Several calls select the sockets in any of the rooms, each
    /// once. A socket id is the name of a room that contains only this socket.
    pub fn to(mut self, room: &str) -> Self {
        self.target.rooms.push(room.into());
        self
    }

    /// Excludes the sockets in this room.
    pub fn except(mut self, room: &str) -> Self {
        self.target.except.push(room.into());
        self
    }

    /// Skips sockets that cannot be written to now (see [`Socket::emit_volatile`]); the packet is
    /// not stored for recovery.
    pub fn volatile(mut self) -> Self {
        self.target.volatile = true;
        self
    }

    /// Selects sockets of this node only.
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Sends an event with one argument. A value that does not serialize to JSON is sent as `null`.
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, arg: &T) {
        let args = serde_json::to_string(arg).unwrap_or_else(|_| "null".to_owned());
        self.emit_packet(&Packet::event(&self.target.namespace, name, &args));
    }

    /// Sends a packet, which must be of this namespace (not checked). All receivers share its
    /// encoded bytes. Sockets that have ended are skipped; a client whose queue is full is
    /// disconnected as a slow reader.
    pub fn emit_packet(&self, packet: &Packet) {
        deliver(&*self.namespace, &self.target, packet);
        if let (false, Some(adapter)) = (self.local, &self.namespace.hub().adapter) {
            adapter.publish(&self.target, packet);
        }
    }

    /// Sends an event and waits until all selected sockets of this node have acknowledged it or
    /// `timeout` has passed. Resolves to the id of each socket with its reply or error. `args` and
    /// `attachments` are as in [`Packet::binary_event`]. The call itself queues the event.
    pub fn emit_with_ack(
        &self,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        timeout: Duration,
    ) -> impl Future<Output = Vec<(String, Result<AckReply, AckError>)>> + Send + use<> {
        // One id for all receivers, so that the packet is encoded once.
        let id = self.namespace.hub().next_broadcast_ack();
        let packet =
            Packet::encode_event(&self.target.namespace, Some(id), name, args, attachments);
        let sockets = self.namespace.rooms().find(&self.target);
        let pending: Vec<_> = sockets
            .iter()
            .map(|socket| {
                (
                    socket.id().as_str().to_owned(),
                    socket.emit_with_ack(&packet, id),
                )
            })
            .collect();
        let guards = AckGuards {
            sockets: sockets.iter().map(Arc::downgrade).collect(),
            id,
        };
        let deadline = Instant::now() + timeout;
        async move {
            let _guard = guards;
            let mut answers = Vec::with_capacity(pending.len());
            for (socket, pending) in pending {
                let answer = match pending {
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

    /// The selected sockets of this node whose data has type `D`.
    pub fn sockets<D: Send + Sync + 'static>(&self) -> Vec<Socket<D>> {
        let found = self.namespace.rooms().find(&self.target).into_iter();
        found
            .filter_map(|socket| socket.into_any().downcast().ok().map(Socket::of))
            .collect()
    }

    /// Number of selected sockets of this node.
    pub fn count(&self) -> usize {
        self.namespace.rooms().find(&self.target).len()
    }

    /// All rooms of this node's sockets in the namespace, with the number of sockets in each.
    pub fn rooms(&self) -> Vec<(Arc<str>, usize)> {
        self.namespace.rooms().sizes()
    }

    /// Adds the selected sockets of this node to a room, except sockets that are in
    /// [`crate::Config::max_rooms`] rooms.
    pub fn join(&self, room: &str) {
        let max = self.namespace.hub().max_rooms;
        for socket in self.namespace.rooms().find(&self.target) {
            self.namespace.rooms().join(&socket, room, max);
        }
    }

    /// Removes the selected sockets of this node from a room.
    pub fn leave(&self, room: &str) {
        for socket in self.namespace.rooms().find(&self.target) {
            self.namespace.rooms().leave(socket.id().key(), room);
        }
    }

    /// Disconnects the selected sockets of this node from the namespace: see
    /// [`Socket::disconnect`].
    pub fn disconnect(&self) {
        for socket in self.namespace.rooms().find(&self.target) {
            socket.disconnect();
        }
    }

    /// Disconnects the clients of the selected sockets of this node from all their namespaces and
    /// closes their transports (`disconnectSockets(true)` in Node): see
    /// [`Socket::disconnect_and_close`].
    pub fn disconnect_and_close(&self) {
        for socket in self.namespace.rooms().find(&self.target) {
            socket.disconnect_and_close();
        }
    }
}

impl<D: Send + Sync + 'static> Socket<D> {
    /// A broadcast to the other sockets in this room.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// A broadcast to all other sockets in this namespace.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.namespace_state()).except(self.id())
    }
}

/// Sends a packet to the selected sockets of this node.
pub(crate) fn deliver(namespace: &dyn NamespaceState, target: &Target, packet: &Packet) {
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

/// Removes pending acknowledgements from the sockets when the broadcast's future is dropped.
struct AckGuards {
    sockets: Vec<Weak<dyn AnySocket>>,
    id: u64,
}

impl Drop for AckGuards {
    fn drop(&mut self) {
        for socket in self.sockets.iter().filter_map(Weak::upgrade) {
            socket.remove_ack(self.id);
        }
    }
}

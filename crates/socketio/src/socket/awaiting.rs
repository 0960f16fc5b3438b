//! Requests for acknowledgements, and replies to those of the client.

use std::sync::{Arc, Weak, atomic::Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{AnySocket, SocketInner};
use crate::{AckError, AckReply, EmitError, Packet, event::AckTarget};

impl<D: Send + Sync + 'static> SocketInner<D> {
    pub(super) fn register_ack(&self) -> Result<(u64, oneshot::Receiver<AckReply>), AckError> {
        let max = self.max_pending_acks();
        let (sender, receiver) = oneshot::channel();
        let mut acks = self.acks.lock();
        let acks = acks.get_or_insert_default();
        if acks.waiting.len() >= max {
            return Err(AckError::TooMany);
        }
        let id = acks.last;
        acks.last += 1;
        // A socket that has left receives no acknowledgement: the dropped sender reports that.
        if !self.left.load(Ordering::Acquire) {
            acks.waiting.insert(id, sender);
        }
        Ok((id, receiver))
    }

    pub(super) fn max_pending_acks(&self) -> usize {
        self.session().engine.config.max_pending_acks
    }
}

impl<D: Send + Sync + 'static> AckTarget for SocketInner<D> {
    fn send_ack(&self, id: u64, args: &str, attachments: &[Bytes]) -> Result<(), EmitError> {
        self.push(&Packet::ack(self.namespace.name(), id, args, attachments))
    }
}

/// Removes a pending acknowledgement when its future completes or is dropped.
pub(super) struct AckGuard<D: Send + Sync + 'static> {
    socket: Weak<SocketInner<D>>,
    id: u64,
}

impl<D: Send + Sync + 'static> AckGuard<D> {
    pub(super) fn new(socket: &Arc<SocketInner<D>>, id: u64) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            id,
        }
    }
}

impl<D: Send + Sync + 'static> Drop for AckGuard<D> {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.upgrade() {
            socket.remove_ack(self.id);
        }
    }
}

//! How a socket ends, or moves to another connection or node.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
};

use tokio::time::Instant;

use super::{Socket, SocketInner, inner::Link};
use crate::{
    DisconnectReason, Packet,
    recovery::{MovedLog, RecoveryRequest},
    session::{Item, Session},
    timers::TimerKind,
};

impl<D: Send + Sync + 'static> SocketInner<D> {
    /// Completes the move: see [`Recovering::arrive`]. Returns false if the socket cannot be resumed.
    pub(crate) fn arrive(self: Arc<Self>, log: MovedLog, on_written: Option<Item>) -> bool {
        let Link::Recovering(recovering) = &self.link else {
            return false;
        };
        let (session, key) = (self.session(), recovering.key);
        let due = recovering.arrive(log, on_written);
        let Some(due) = due.filter(|_| !self.left.load(Ordering::Acquire)) else {
            return false;
        };
        session.engine.timers.push(TimerKind::Protocol, due, key);
        let hub = self.namespace.hub().clone();
        hub.recoverable.insert(key, self);
        true
    }

    /// Takes the socket out of its namespace. Returns the client's connection, unless the socket
    /// had left already or was suspended.
    pub(super) fn leave_namespace(self: &Arc<Self>) -> Option<Arc<Session>> {
        // A suspended socket ends now: its client cannot be notified, and no events need to be
        // stored for it.
        if self.left.swap(true, Ordering::AcqRel) || self.clone().end_suspension(None) {
            return None;
        }
        let session = self.session();
        let _ = session.send(&Packet::disconnect(self.namespace.name()), None);
        session.notice_left_socket();
        Some(session)
    }

    /// Takes the socket out of its namespace, and closes the transport once the client has been
    /// notified.
    pub(super) fn leave_and_close(self: &Arc<Self>) {
        if let Some(session) = self.leave_namespace() {
            session.close(DisconnectReason::ServerNamespaceDisconnect);
        }
    }

    /// Prepares the socket for a client that asks to resume it. A connection that still carries it
    /// is closed first: the client knows better than the server that it is dead. Returns the last
    /// event that the client has, or `None` if the socket cannot be resumed; then the socket ends.
    pub(crate) async fn reclaim(
        self: &Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> Option<u64> {
        let Link::Recovering(recovering) = &self.link else {
            return None;
        };
        if *recovering.pid() != *request.pid || self.namespace.name() != namespace {
            return None;
        }
        recovering.close_carrier().await;
        let after = recovering
            .resumes_after(request)
            .filter(|_| !self.left.load(Ordering::Acquire));
        if after.is_none() {
            self.clone().end_suspension(None);
        }
        after
    }

    /// Ends the socket if it is suspended: at once, or only if its recovery window has ended by
    /// `now`. Returns whether this call ended it.
    pub(super) fn end_suspension(self: Arc<Self>, now: Option<Instant>) -> bool {
        let Link::Recovering(recovering) = &self.link else {
            return false;
        };
        let Some(reason) = recovering.end_suspension(now) else {
            return false;
        };
        let reason = if self.left.load(Ordering::Acquire) {
            DisconnectReason::ServerNamespaceDisconnect
        } else {
            reason
        };
        self.finish(reason);
        true
    }

    pub(crate) fn finish(self: Arc<Self>, reason: DisconnectReason) {
        self.left.store(true, Ordering::Release);
        self.acks.lock().take();
        if let Link::Recovering(recovering) = &self.link {
            recovering.remove();
            self.namespace.hub().recoverable.remove(recovering.key);
        }
        let namespace = self.namespace.clone();
        let socket = Socket { inner: self };
        // If the handler panics, the panic hook has reported it; the socket must leave its rooms
        // anyway.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            namespace.disconnecting(&socket, reason)
        }));
        namespace.rooms().remove(socket.inner.id.key());
        namespace.disconnected(&socket, reason);
    }
}

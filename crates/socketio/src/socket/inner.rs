//! A handle to a socket, and the state that all handles to it share.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::acks::Acks;
use crate::{
    EmitError, Packet,
    id::Id,
    namespace::TypedNamespace,
    recovery::Recovering,
    session::{Item, Session},
    sync::{AtomicBool, Mutex},
};

/// A handle to one client in one namespace. Clones are cheap, every method may be called from any
/// thread, and calls after the client has disconnected do nothing or return an error. Two handles
/// are equal if they refer to the same socket.
pub struct Socket<D> {
    pub(super) inner: Arc<SocketInner<D>>,
}

impl<D> Socket<D> {
    pub(crate) fn of(inner: Arc<SocketInner<D>>) -> Self {
        Self { inner }
    }
}

pub(crate) struct SocketInner<D> {
    pub(super) link: Link,
    pub(super) namespace: Arc<dyn TypedNamespace<Socket<D>>>,
    pub(super) id: Id,
    pub(super) key: u64,
    /// Set once, when either side takes the socket out of its namespace.
    pub(super) left: AtomicBool,
    pub(super) acks: Mutex<Option<Box<Acks>>>,
    pub(super) data: D,
}

/// The connection under a socket.
pub(super) enum Link {
    /// The same connection for the whole life of the socket.
    Fixed(Arc<Session>),
    /// A sequence of connections: the client has requested recovery.
    Recovering(Box<Recovering>),
}

impl<D: Send + Sync + 'static> SocketInner<D> {
    pub(crate) fn new(
        session: Arc<Session>,
        namespace: Arc<dyn TypedNamespace<Socket<D>>>,
        id: Id,
        data: D,
    ) -> Arc<Self> {
        let hub = namespace.hub();
        let key = hub.next_socket_key();
        let link = if session.recovers {
            match Recovering::new(session.clone(), key, hub.recoverable.totals()) {
                Some(recovering) => Link::Recovering(Box::new(recovering)),
                None => Link::Fixed(session),
            }
        } else {
            Link::Fixed(session)
        };
        Arc::new(Self {
            link,
            namespace,
            id,
            key,
            left: AtomicBool::new(false),
            acks: Mutex::new(None),
            data,
        })
    }

    /// A socket that is moving here from another node, with the private id, its key and the suffix of
    /// offsets that it has there.
    pub(crate) fn arriving(
        session: Arc<Session>,
        namespace: Arc<dyn TypedNamespace<Socket<D>>>,
        id: Id,
        (pid, pid_key, suffix): (&str, u64, String),
        data: D,
    ) -> Arc<Self> {
        let hub = namespace.hub();
        let key = hub.next_socket_key();
        let totals = hub.recoverable.totals();
        let recovering = Recovering::arriving(session, (pid, pid_key, &suffix), totals);
        Arc::new(Self {
            link: Link::Recovering(Box::new(recovering)),
            namespace,
            id,
            key,
            left: AtomicBool::new(false),
            acks: Mutex::new(None),
            data,
        })
    }

    /// The current connection, or the last one of a suspended socket.
    pub(super) fn session(&self) -> Arc<Session> {
        match &self.link {
            Link::Fixed(session) => session.clone(),
            Link::Recovering(recovering) => recovering.session(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        let attached = match &self.link {
            Link::Fixed(session) => session.is_open(),
            Link::Recovering(recovering) => recovering
                .attached()
                .is_some_and(|session| session.is_open()),
        };
        attached && !self.left.load(Ordering::Acquire)
    }

    /// Queues a packet that is not stored for recovery.
    pub(super) fn push(&self, packet: &Packet) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        self.report_full(match &self.link {
            Link::Fixed(session) => session.send(packet, None),
            Link::Recovering(recovering) => recovering.push(packet),
        })
    }

    /// Reports a full queue to the observer.
    fn report_full(&self, result: Result<(), EmitError>) -> Result<(), EmitError> {
        if result == Err(EmitError::Full) {
            self.session()
                .engine
                .observe(|observer| observer.queue_full());
        }
        result
    }

    /// Queues events.
    pub(super) fn push_event(
        &self,
        packet: &Packet,
        callback: Option<Item>,
    ) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        self.report_full(match &self.link {
            Link::Fixed(session) => session.send(packet, callback),
            Link::Recovering(recovering) => recovering.push_events(packet, callback),
        })
    }

    /// Queues events if the queue has space for them now; otherwise returns [`EmitError::Full`].
    pub(super) fn try_push_now(&self, packet: &Packet) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        match &self.link {
            Link::Fixed(session) => session.try_send_now(packet),
            Link::Recovering(recovering) => recovering.try_push_now(packet),
        }
    }

    /// Waits until everything that is queued now has been written, or the connection has ended.
    pub(super) async fn written(&self) {
        let (sender, written) = oneshot::channel();
        let callback = Item::Written(Box::new(move || {
            let _ = sender.send(());
        }));
        if self.session().push(Bytes::new(), Some(callback)).is_ok() {
            let _ = written.await;
        }
    }

    /// Queues events if the client has read everything before them.
    pub(super) fn push_volatile(&self, packet: &Packet) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        let session = match &self.link {
            Link::Fixed(session) => session.clone(),
            Link::Recovering(recovering) => recovering.attached().ok_or(EmitError::Closed)?,
        };
        if !session.is_writable() {
            return self.report_full(Err(EmitError::Full));
        }
        self.report_full(match &self.link {
            Link::Fixed(session) => session.send(packet, None),
            Link::Recovering(recovering) => recovering.push_volatile(packet),
        })
    }
}

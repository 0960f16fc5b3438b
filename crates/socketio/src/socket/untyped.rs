//! A socket without the type of its data.

use std::{
    any::Any,
    sync::{Arc, Weak, atomic::Ordering},
};

use tokio::{sync::oneshot, time::Instant};

use super::{AnySocket, Socket, SocketInner, inner::Link};
use crate::{
    Ack, AckError, AckReply, BoxFuture, DisconnectReason, EmitError, Event, Packet,
    codec::json::EventParts,
    event::{AckTarget, Attachments},
    id::Id,
    recovery::{Claim, MovedLog, PendingCallbacks, RecoveryRequest, SuspendOutcome},
    session::Session,
    timers::TimerKind,
};

impl<D: Send + Sync + 'static> AnySocket for SocketInner<D> {
    fn admit(self: Arc<Self>, session: &Arc<Session>, resumes_after: Option<u64>) -> bool {
        let (name, reply) = (self.namespace.name(), self.connect_reply());
        let recovering = match &self.link {
            Link::Fixed(_) => None,
            Link::Recovering(recovering) => Some(recovering),
        };
        match (recovering, resumes_after) {
            (Some(recovering), Some(after)) => {
                let resumed = recovering.resume(session, after, &reply);
                // The application disconnected the socket at the last moment, and may have notified
                // only the old connection.
                if resumed && self.has_left() {
                    let _ = session.send(&Packet::disconnect(name), None);
                    session.notice_left_socket();
                }
                resumed
            }
            (recovering, _) => {
                if let Some(recovering) = recovering {
                    let hub = self.namespace.hub();
                    hub.recoverable.insert(recovering.key, self.clone());
                }
                let _ = session.send(&reply, None);
                // Insert it after the reply is queued, so that broadcasts follow the reply.
                self.namespace.rooms().insert(self.id.key(), self.clone());
                true
            }
        }
    }

    fn connect_reply(&self) -> Packet {
        let pid = match &self.link {
            Link::Fixed(_) => None,
            Link::Recovering(recovering) => Some(recovering.pid()),
        };
        Packet::connected(self.namespace.name(), self.id.as_str(), pid)
    }

    fn connected(self: Arc<Self>, recovered: bool) {
        let namespace = self.namespace.clone();
        let socket = Socket { inner: self };
        if recovered {
            namespace.recovered(&socket);
        } else {
            namespace.connected(&socket);
        }
    }

    fn event(
        self: Arc<Self>,
        text: Box<str>,
        parts: &EventParts,
        attachments: Attachments,
        ack: Option<u64>,
    ) -> Option<BoxFuture<'static, ()>> {
        let ack = ack.map(|id| Ack {
            target: Arc::downgrade(&self) as Weak<dyn AckTarget>,
            id,
        });
        let event = Event::new(text, parts, attachments, ack);
        // Not cloned: the reference count would be a point of contention for every event.
        let socket = Socket { inner: self };
        socket.inner.namespace.event(&socket, event)
    }

    fn takes_attachments(&self) -> bool {
        self.namespace.takes_attachments()
    }

    fn acknowledge(&self, id: u64, reply: AckReply) {
        let waiting = self
            .acks
            .lock()
            .as_mut()
            .and_then(|acks| acks.waiting.remove(&id));
        // An acknowledgement that arrives after its timeout is not an error of the client.
        if let Some(waiting) = waiting {
            let _ = waiting.send(reply);
        }
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    fn detach(self: Arc<Self>, session: &Session, reason: DisconnectReason) {
        if let (Link::Recovering(recovering), false) = (&self.link, self.has_left()) {
            match recovering.suspend(session, reason) {
                SuspendOutcome::Ended => {}
                SuspendOutcome::NotAttached => return,
                SuspendOutcome::Until(due) => {
                    // Pending acknowledgements fail. The id counter continues, so that a late reply
                    // is not taken for the reply to a newer event.
                    let waiting = self
                        .acks
                        .lock()
                        .as_mut()
                        .map(|acks| std::mem::take(&mut acks.waiting));
                    drop(waiting);
                    let key = recovering.key;
                    let namespace = self.namespace.clone();
                    // Start the timer before calling the handler, which may panic.
                    session.engine.timers.push(TimerKind::Protocol, due, key);
                    let socket = Socket { inner: self };
                    namespace.suspended(&socket, reason);
                    // The application disconnected the socket just before it was suspended, when it
                    // still had a connection.
                    if socket.inner.has_left() {
                        socket.inner.end_suspension(None);
                    }
                    return;
                }
            }
        }
        self.finish(reason);
    }

    fn pong(&self, now: Instant) {
        if let Link::Recovering(recovering) = &self.link {
            recovering.pong(now);
        }
    }

    fn expire(self: Arc<Self>, now: Instant) {
        self.end_suspension(Some(now));
    }

    fn claim(
        self: Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> BoxFuture<'static, Option<Claim>> {
        let (namespace, request) = (namespace.to_owned(), request.clone());
        Box::pin(async move {
            self.reclaim(&namespace, &request).await?;
            let Link::Recovering(recovering) = &self.link else {
                return None;
            };
            let state = self.namespace.hand_over(&Socket::of(self.clone()))?;
            let rooms = self.namespace.rooms().of(self.id.key());
            Some(Claim {
                id: self.id.to_string(),
                suffix: recovering.suffix().to_owned(),
                rooms: rooms.iter().map(|room| (**room).to_owned()).collect(),
                state,
            })
        })
    }

    fn leave_node(
        self: Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> BoxFuture<'static, Option<(MovedLog, PendingCallbacks)>> {
        let (namespace, request) = (namespace.to_owned(), request.clone());
        Box::pin(async move {
            self.reclaim(&namespace, &request).await?;
            let Link::Recovering(recovering) = &self.link else {
                return None;
            };
            let handle = Socket::of(self.clone());
            if !self.namespace.clone().settle(handle).await || self.has_left() {
                return None;
            }
            let log = recovering.take_log(&request)?;
            self.clone().finish(DisconnectReason::Moved);
            Some(log)
        })
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn id(&self) -> &Id {
        &self.id
    }

    fn emit(&self, packet: &Packet, volatile: bool) -> Result<(), EmitError> {
        if volatile {
            self.push_volatile(packet)
        } else {
            self.push_event(packet, None)
        }
    }

    fn emit_with_ack(
        &self,
        packet: &Packet,
        id: u64,
    ) -> Result<oneshot::Receiver<AckReply>, AckError> {
        let max = self.max_pending_acks();
        let (sender, receiver) = oneshot::channel();
        let mut acks = self.acks.lock();
        let waiting = &mut acks.get_or_insert_default().waiting;
        if waiting.len() >= max {
            return Err(AckError::TooMany);
        }
        waiting.insert(id, sender);
        drop(acks);
        self.push(packet).inspect_err(|_| self.remove_ack(id))?;
        Ok(receiver)
    }

    fn remove_ack(&self, id: u64) {
        if let Some(acks) = self.acks.lock().as_mut() {
            acks.waiting.remove(&id);
        }
    }

    fn disconnect(self: Arc<Self>) {
        let _ = self.leave_namespace();
    }

    fn disconnect_and_close(self: Arc<Self>) {
        self.leave_and_close();
    }
}

//! A namespace with the type of its handler.

use std::sync::Arc;

use super::{AnyNamespace, NamespaceState, TypedNamespace, children::ChildNamespaces};
use crate::{
    BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Event, Handler, Socket,
    hub::Hub,
    id::Id,
    moving,
    recovery::RecoveryRequest,
    rooms::Rooms,
    session::Session,
    socket::{Admitted, SocketInner},
};

pub(crate) struct Namespace<H> {
    pub(crate) name: Box<str>,
    pub(crate) handler: Arc<H>,
    pub(crate) rooms: Rooms,
    pub(crate) hub: Arc<Hub>,
    /// For a dynamic namespace: the table from which it removes itself when the last reference is
    /// dropped.
    pub(crate) parent: Option<Arc<ChildNamespaces>>,
}

impl<H> Drop for Namespace<H> {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            parent.remove(&self.name);
        }
    }
}

impl<H: Handler> Namespace<H> {
    /// Returns the suspended socket that a client asks to resume, if it may, and the number of the
    /// last event that the client has.
    async fn reclaim(
        &self,
        session: &Session,
        request: &RecoveryRequest,
    ) -> Option<(Arc<SocketInner<H::Data>>, u64)> {
        let key = session.engine.key_of(&request.pid)?;
        let socket = self.hub.recoverable.get(key)?;
        let socket = socket.into_any().downcast::<SocketInner<H::Data>>().ok()?;
        let after = socket.reclaim(&self.name, request).await?;
        Some((socket, after))
    }
}

impl<H: Handler> NamespaceState for Namespace<H> {
    fn name(&self) -> &str {
        &self.name
    }

    fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl<H: Handler> AnyNamespace for Namespace<H> {
    fn connect(
        self: Arc<Self>,
        session: Arc<Session>,
        id: Id,
        request: ConnectRequest,
    ) -> BoxFuture<'static, Result<Admitted, ConnectError>> {
        Box::pin(async move {
            let recovery = if session.recovers {
                RecoveryRequest::read(request.auth.as_deref())
            } else {
                None
            };
            let mut data = self.handler.connect(request).await?;
            if let Some(recovery) = recovery {
                if let Some((socket, after)) = self.reclaim(&session, &recovery).await {
                    match self.handler.recover(&Socket::of(socket.clone()), data) {
                        Ok(()) => {
                            return Ok(Admitted {
                                socket,
                                resumes_after: Some(after),
                            });
                        }
                        Err(fresh) => data = fresh,
                    }
                } else if let Some((socket, after)) = Box::pin(moving::fetch(
                    &self,
                    &*self.handler,
                    &session,
                    &recovery,
                    &data,
                ))
                .await
                {
                    return Ok(Admitted {
                        socket,
                        resumes_after: Some(after),
                    });
                }
            }
            Ok(Admitted {
                socket: SocketInner::new(session, self, id, data),
                resumes_after: None,
            })
        })
    }
}

impl<H: Handler> TypedNamespace<Socket<H::Data>> for Namespace<H> {
    fn connected(&self, socket: &Socket<H::Data>) {
        self.handler.connected(socket);
    }

    fn suspended(&self, socket: &Socket<H::Data>, reason: DisconnectReason) {
        self.handler.suspended(socket, reason);
    }

    fn recovered(&self, socket: &Socket<H::Data>) {
        self.handler.recovered(socket);
    }

    fn event(&self, socket: &Socket<H::Data>, event: Event) -> Option<BoxFuture<'static, ()>> {
        self.handler.event(socket, event)
    }

    fn disconnecting(&self, socket: &Socket<H::Data>, reason: DisconnectReason) {
        self.handler.disconnecting(socket, reason);
    }

    fn disconnected(&self, socket: &Socket<H::Data>, reason: DisconnectReason) {
        self.handler.disconnected(socket, reason);
    }

    fn takes_attachments(&self) -> bool {
        self.handler.takes_attachments()
    }

    fn hand_over(&self, socket: &Socket<H::Data>) -> Option<String> {
        self.handler.hand_over(socket)
    }

    fn settle(self: Arc<Self>, socket: Socket<H::Data>) -> BoxFuture<'static, bool> {
        Box::pin(async move { self.handler.settle(&socket).await })
    }
}

//! A handler and the name it answers to, with the type of its sockets' data hidden from the connection.

use std::sync::Arc;

use crate::{
    BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Event, Handler, Socket,
    id::Id,
    session::Session,
    socket::{AnySocket, SocketInner},
};

pub(crate) struct Namespace<H> {
    pub(crate) name: Box<str>,
    pub(crate) handler: H,
}

/// What a connection sees of a namespace.
pub(crate) trait AnyNamespace: Send + Sync {
    fn name(&self) -> &str;
    fn connect(
        self: Arc<Self>,
        session: Arc<Session>,
        id: Id,
        request: ConnectRequest,
    ) -> BoxFuture<'static, Result<Arc<dyn AnySocket>, ConnectError>>;
}

/// What a socket sees of its namespace.
pub(crate) trait NamespaceOf<D>: Send + Sync {
    fn name(&self) -> &str;
    fn connected(&self, socket: &Socket<D>);
    fn event(&self, socket: &Socket<D>, event: Event) -> Option<BoxFuture<'static, ()>>;
    fn disconnected(&self, socket: &Socket<D>, reason: DisconnectReason);
}

impl<H: Handler> AnyNamespace for Namespace<H> {
    fn name(&self) -> &str {
        &self.name
    }

    fn connect(
        self: Arc<Self>,
        session: Arc<Session>,
        id: Id,
        request: ConnectRequest,
    ) -> BoxFuture<'static, Result<Arc<dyn AnySocket>, ConnectError>> {
        Box::pin(async move {
            let data = self.handler.connect(request).await?;
            let socket: Arc<dyn AnySocket> = SocketInner::new(session, self, id, data);
            Ok(socket)
        })
    }
}

impl<H: Handler> NamespaceOf<H::Data> for Namespace<H> {
    fn name(&self) -> &str {
        &self.name
    }

    fn connected(&self, socket: &Socket<H::Data>) {
        self.handler.connected(socket);
    }

    fn event(&self, socket: &Socket<H::Data>, event: Event) -> Option<BoxFuture<'static, ()>> {
        self.handler.event(socket, event)
    }

    fn disconnected(&self, socket: &Socket<H::Data>, reason: DisconnectReason) {
        self.handler.disconnected(socket, reason);
    }
}

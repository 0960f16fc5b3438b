//! A namespace: a name, a handler and rooms. These traits hide the type of the handler from its
//! sockets, and that of the sockets' data from connections.

mod children;
mod of_handler;
mod table;

#[cfg(test)]
pub(crate) use self::of_handler::Namespace;
pub(crate) use self::table::Namespaces;

use std::sync::Arc;

use crate::{
    BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Event, hub::Hub, id::Id,
    rooms::Rooms, session::Session, socket::Admitted,
};

/// What a namespace has, whatever its handler.
pub(crate) trait NamespaceState: Send + Sync {
    fn name(&self) -> &str;
    fn rooms(&self) -> &Rooms;
    fn hub(&self) -> &Arc<Hub>;
}

/// A namespace as its connections use it.
pub(crate) trait AnyNamespace: NamespaceState {
    fn connect(
        self: Arc<Self>,
        session: Arc<Session>,
        id: Id,
        request: ConnectRequest,
    ) -> BoxFuture<'static, Result<Admitted, ConnectError>>;
}

/// A namespace as its sockets use it. `S` is the type of a socket's handle, which holds this and so
/// cannot be named here.
pub(crate) trait TypedNamespace<S>: NamespaceState {
    fn connected(&self, socket: &S);
    fn suspended(&self, socket: &S, reason: DisconnectReason);
    fn recovered(&self, socket: &S);
    fn event(&self, socket: &S, event: Event) -> Option<BoxFuture<'static, ()>>;
    fn disconnecting(&self, socket: &S, reason: DisconnectReason);
    fn disconnected(&self, socket: &S, reason: DisconnectReason);
    fn takes_attachments(&self) -> bool;
    fn hand_over(&self, socket: &S) -> Option<String>;
    fn settle(self: Arc<Self>, socket: S) -> BoxFuture<'static, bool>;
}

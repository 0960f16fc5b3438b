//! Clients on their way into a namespace.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use serde_json::value::RawValue;

use super::{Dispatch, Entry, Outcome, State};
use crate::{BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Packet, id::Id, session::Session, socket::Admitted};

/// What a handler made of a CONNECT.
type Decision = Result<Admitted, ConnectError>;

pub(super) struct Connecting {
    pub(super) namespace: usize,
    future: BoxFuture<'static, Decision>,
}

impl Dispatch {
    pub(super) fn connect(&mut self, session: &Arc<Session>, name: &str, auth: Option<&str>) -> Outcome {
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
                Ok(decision) => decision,
                Err(_) => Err(ConnectError::new("the server took too long")),
            }
        });
        self.connecting.push(Connecting { namespace, future });
        self.fresh = true;
        Ok(())
    }

    pub(super) fn advance_connecting(&mut self, session: &Arc<Session>, cx: &mut Context<'_>) {
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
            Ok(Admitted { socket, resumes_after }) => {
                if !socket.clone().admit(session, resumes_after) {
                    // Somebody else has it. A client whose transport closes asks again by itself, and is told then how it stands.
                    self.entries.swap_remove(at);
                    session.close(DisconnectReason::TransportError);
                    return;
                }
                self.entries[at].state = State::Open(socket.clone());
                session.set_joined();
                let is_in = |entry: &Entry| matches!(entry.state, State::Open(_));
                if !server.config.retain_handshake && self.entries.iter().filter(|entry| is_in(entry)).count() == server.namespaces.len() {
                    session.forget_handshake();
                }
                socket.connected(resumes_after.is_some());
            }
            Err(ConnectError { message, data }) => {
                self.entries.swap_remove(at);
                let data = data.as_deref().map(RawValue::get);
                let _ = session.push(Packet::connect_error(name, &message, data).into_frames(), None);
            }
        }
    }
}

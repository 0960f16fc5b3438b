//! Clients that are joining a namespace.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use serde_json::value::RawValue;

use super::state::{Connecting, Decision, Dispatch, Entry, Outcome, State};
use crate::{
    ConnectError, ConnectRequest, DisconnectReason, Packet, id::Id, namespace::AnyNamespace,
    session::Session, socket::Admitted,
};

impl Dispatch {
    pub(super) fn connect(
        &mut self,
        session: &Arc<Session>,
        name: &str,
        auth: Option<&str>,
    ) -> Outcome {
        let config = &session.engine.config;
        let auth_fingerprint = self.namespaces.auth_fingerprint(auth);
        let namespace = match self.find(name) {
            Some(at) => {
                // The client is in the namespace or is joining it. Node's client sends CONNECT
                // twice if `connect()` is called twice, and uses the first reply. It also sends
                // another CONNECT if it gave up before the first reply, without announcing that,
                // and then expects only the second reply. Both cases work if the server repeats its
                // reply. A different `auth`, however, may be another user: then the previous socket
                // ends.
                let entry = &self.entries[at];
                match &entry.state {
                    State::Connecting if entry.auth_fingerprint == auth_fingerprint => {
                        return Ok(());
                    }
                    State::Open(socket)
                        if entry.auth_fingerprint == auth_fingerprint && !socket.has_left() =>
                    {
                        let _ = session.send(&socket.connect_reply(), None);
                        return Ok(());
                    }
                    _ => {}
                }
                self.close_socket(session, at, DisconnectReason::ClientNamespaceDisconnect);
                let entry = &mut self.entries[at];
                entry.state = State::Connecting;
                entry.auth_fingerprint = auth_fingerprint;
                let namespace = entry.namespace.clone();
                self.connecting
                    .retain(|connecting| !Arc::ptr_eq(&connecting.namespace, &namespace));
                namespace
            }
            None => {
                let max = config.max_namespaces;
                if self.entries.len() >= max
                    && let Some(at) = self
                        .entries
                        .iter()
                        .position(|entry| matches!(entry.state, State::Left { .. }))
                {
                    // The client has known for long that it left that namespace.
                    self.entries.remove(at);
                }
                let opened = (self.entries.len() < max).then(|| self.namespaces.open(name));
                let Some(Some(namespace)) = opened else {
                    let why = if opened.is_none() {
                        "Too many namespaces"
                    } else {
                        "Invalid namespace"
                    };
                    let _ = session.send(&Packet::connect_error(name, why, None), None);
                    return Ok(());
                };
                self.entries.reserve_exact(1);
                self.entries.push(Entry {
                    namespace: namespace.clone(),
                    state: State::Connecting,
                    auth_fingerprint,
                });
                namespace
            }
        };
        let Ok(id) = Id::random() else {
            return Err(DisconnectReason::TransportError);
        };
        let request = ConnectRequest {
            socket_id: id.as_str().to_owned(),
            namespace: name.into(),
            auth: auth.and_then(|auth| RawValue::from_string(auth.to_owned()).ok()),
            handshake: session.handshake(),
        };
        let deciding = namespace.clone().connect(session.clone(), id, request);
        let limit = config.connect_timeout;
        let future = Box::pin(async move {
            match tokio::time::timeout(limit, deciding).await {
                Ok(decision) => decision,
                Err(_) => Err(ConnectError::new("the server took too long")),
            }
        });
        self.connecting.push(Connecting { namespace, future });
        self.has_unpolled_future = true;
        Ok(())
    }

    pub(super) fn advance_connecting(&mut self, session: &Arc<Session>, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(connecting) = self.connecting.get_mut(at) {
            match connecting.future.as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(decision) => {
                    let namespace = self.connecting.remove(at).namespace;
                    self.on_decision(session, &namespace, decision);
                }
            }
        }
        if self.connecting.is_empty() {
            self.connecting = Vec::new();
        }
    }

    fn on_decision(
        &mut self,
        session: &Arc<Session>,
        namespace: &Arc<dyn AnyNamespace>,
        decision: Decision,
    ) {
        let Some(at) = self
            .entries
            .iter()
            .position(|entry| Arc::ptr_eq(&entry.namespace, namespace))
        else {
            return;
        };
        let config = &session.engine.config;
        let name = namespace.name();
        match decision {
            Ok(Admitted {
                socket,
                resumes_after,
            }) => {
                if !socket.clone().admit(session, resumes_after) {
                    // Another connection has resumed the socket. A client whose transport closes
                    // sends CONNECT again by itself and then receives a valid reply.
                    self.entries.swap_remove(at);
                    session.close(DisconnectReason::TransportError);
                    return;
                }
                self.entries[at].state = State::Open(socket.clone());
                session.set_joined();
                let is_in = |entry: &Entry| matches!(entry.state, State::Open(_));
                let count = self.entries.iter().filter(|entry| is_in(entry)).count();
                if !config.retain_handshake && self.namespaces.count() == Some(count) {
                    session.drop_handshake();
                }
                socket.connected(resumes_after.is_some());
            }
            Err(ConnectError { message, data }) => {
                self.entries.swap_remove(at);
                let data = data.as_deref().map(RawValue::get);
                let _ = session.send(&Packet::connect_error(name, &message, data), None);
            }
        }
    }
}

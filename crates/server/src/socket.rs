//! The `/` namespace: turns each Socket.IO event into a command, and the reply into its
//! acknowledgement.

use crate::auth::{Authenticator, Credentials};
use crate::connection::{Connection, SocketData, TokenProof};
use crate::connections::ConnectionCounts;
use crate::event_router::EventRouter;
use crate::expiry::TokenExpiry;
use crate::hub::Hub;
use crate::metrics;
use crate::moving::MovingConnection;
use crate::origin::client_address;
use crate::roster_feed::RosterPublisher;
use lamplight_domain::identity::{ConnectionId, Generation, UserId};
use lamplight_domain::presence::OfflineReason;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::ConnectionRegistry as _;
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{
    Caller, Code, Command, Dispatch, Handler, Identity, MessageCommand, MessageReply,
    PresenceCommand, PresenceReply, Principal, Refusal, Reply,
};
use lamplight_wire::decode::{self, SocketRequest};
use lamplight_wire::{body::ConnectAuth, encode};
use socketio::{
    Ack, BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Event,
    Handler as SocketHandler, Packet,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Sends and typing are reported to presence as activity at most this often: milliseconds.
const WRITING_INTERVAL: u64 = 1_000;
/// The pause of a client that connects too often.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);
/// The most requests of one socket that run at once; the next one is not read until one is done.
const IN_FLIGHT: usize = 64;

/// The `/` namespace.
#[derive(Clone)]
pub struct ChatNamespace {
    pub handler: Arc<Handler>,
    pub authenticator: Arc<Authenticator>,
    pub hub: Arc<Hub>,
    pub roster: Arc<RosterPublisher>,
    pub router: Arc<EventRouter>,
    pub token_expiry: Arc<TokenExpiry>,
    /// A shutdown waits for these.
    pub tasks: TaskTracker,
    /// Connections by address, suspended ones included.
    pub counts: ConnectionCounts,
}

impl SocketHandler for ChatNamespace {
    type Data = SocketData;

    async fn connect(&self, request: ConnectRequest) -> Result<SocketData, ConnectError> {
        let handshake = &request.handshake;
        let address = client_address(
            &handshake.headers,
            handshake.peer,
            &self.authenticator.proxies,
        );
        let auth: ConnectAuth = match &request.auth {
            Some(auth) => serde_json::from_str(auth.get())
                .map_err(|_| refuse(&Refusal::invalid("auth.token is a string.")))?,
            None => ConnectAuth::default(),
        };
        let credentials = self
            .authenticator
            .socket(auth.token.as_deref(), &handshake.headers, address)
            .await
            .map_err(|refusal| {
                metrics::refused(refusal.code.as_str());
                refuse(&refusal)
            })?;
        if credentials.principal != Principal::Anonymous {
            // One transport may connect and disconnect many times. Admit such a client, but slowly.
            let caller = Caller {
                principal: credentials.principal.clone(),
                session: None,
                address: Some(address),
                credential: None,
            };
            if let Err(refusal) = self.handler.count_lookup(&caller) {
                tokio::time::sleep(refusal.retry_after.unwrap_or_default().max(CONNECT_PAUSE))
                    .await;
            }
        }
        Ok(SocketData::new(
            ConnectionId::trusted(request.socket_id),
            address,
            credentials,
        ))
    }

    fn connected(&self, socket: &Connection) {
        let data = socket.data();
        self.hub.add(socket);
        // A token proves the user, who receives events from the connect on.
        if let Some(user) = data.user() {
            self.roster.admit(&data.id, user);
            self.read_privacy(user);
        }
        if let Some(at) = data.proof.lock().expires {
            self.token_expiry.schedule(socket, at);
        }
        // The session may have ended after its token was checked and before the hub knew this
        // socket.
        self.hub.close_if_signed_out(socket);
    }

    /// No event has a binary part.
    fn takes_attachments(&self) -> bool {
        false
    }

    fn event(&self, socket: &Connection, event: Event) -> Option<BoxFuture<'static, ()>> {
        let paused = socket.data().paused_until.load(Ordering::Relaxed);
        let wait = if paused == 0 {
            0
        } else {
            paused.saturating_sub(self.authenticator.clock.now().moment.0)
        };
        if wait == 0 {
            return self.take(socket, event);
        }
        let (namespace, socket) = (self.clone(), socket.clone());
        Some(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if let Some(rest) = namespace.take(&socket, event) {
                rest.await;
            }
        }))
    }

    fn recover(&self, socket: &Connection, fresh: SocketData) -> Result<(), SocketData> {
        let data = socket.data();
        // With `AUTH=open` a connect has no user yet; the recovery secret is the only proof.
        let same = match fresh.principal.get() {
            None => self.handler.identity() == Identity::Open,
            principal => principal == data.principal.get(),
        };
        if !same || data.signed_out.load(Ordering::Acquire) {
            return Err(fresh);
        }
        self.replace_proof(socket, std::mem::take(&mut *fresh.proof.lock()));
        Ok(())
    }

    fn hand_over(&self, socket: &Connection) -> Option<String> {
        let data = socket.data();
        if data.signed_out.load(Ordering::Acquire) {
            return None;
        }
        let (mode, watched) = self.roster.followed_by(socket);
        let has_joined = data.has_joined.load(Ordering::Acquire);
        MovingConnection::new(data.user(), has_joined, mode, &watched).encode()
    }

    async fn settle(&self, socket: &Connection) -> bool {
        socket.data().user().is_none() || self.router.settle().await
    }

    fn take_over(&self, socket_id: &str, state: &str, fresh: &SocketData) -> Option<SocketData> {
        SocketData::moved(
            ConnectionId::trusted(socket_id),
            MovingConnection::decode(state)?,
            fresh,
            self.handler.identity(),
        )
    }

    async fn prepare(&self, socket: &Connection) -> bool {
        let data = socket.data();
        self.hub.add(socket);
        let Some(user) = data.user() else {
            return true;
        };
        self.roster.admit(&data.id, user);
        if let Some(attached) = self.hub.attached(user) {
            attached.await;
        }
        // Before the socket follows any user.
        let ticket = self.roster.hidden_ticket();
        let (hidden, privacy) = tokio::join!(
            self.handler.hidden_from_one(user),
            self.handler.privacy_of(std::slice::from_ref(user)),
        );
        let (Ok(hidden), Ok(privacy)) = (hidden, privacy) else {
            return false;
        };
        self.roster.hide(user, ticket, hidden);
        for (privacy, revision) in privacy {
            self.roster.set_privacy(user, privacy, revision);
        }
        // Events that this node delivered before it knew the connection have reached the other node
        // by then, or reach it while it settles.
        self.router.settle().await
    }

    fn suspended(&self, socket: &Connection, reason: DisconnectReason) {
        let data = socket.data();
        self.leave(data, reason);
        match self.counts.add(data.address) {
            Ok(counted) => *data.suspended.lock() = counted,
            // Suspended sockets count against the per-address limit. This one is removed by the
            // time this returns.
            Err(()) => socket.disconnect(),
        }
        // The client may have recovered the socket on another task meanwhile.
        if socket.is_connected() {
            self.recovered(socket);
        }
    }

    fn recovered(&self, socket: &Connection) {
        let data = socket.data();
        *data.suspended.lock() = None;
        let moving = data.moving.lock().take();
        if let Some(moving) = &moving
            && moving.has_joined
        {
            data.has_joined.store(true, Ordering::Release);
        }
        self.hub.close_if_signed_out(socket);
        if data.has_joined.load(Ordering::Acquire) {
            self.run_internal(data, PresenceCommand::Resume);
        }
        if let Some(moving) = moving {
            self.arrive(socket, moving);
        }
    }

    fn disconnected(&self, socket: &Connection, reason: DisconnectReason) {
        metrics::disconnected(reason.as_str());
        let data = socket.data();
        tracing::debug!(socket = %data.id, %reason, "socket disconnected");
        self.hub.remove(socket);
        self.roster.forget(socket);
        if let Some(at) = data.proof.lock().expires {
            self.token_expiry.forget(socket, at);
        }
        // Presence knows since the suspension, and the other node has the session by now.
        if reason != DisconnectReason::Moved {
            self.leave(data, reason);
        }
    }
}

/// An open request of a connection, until it is dropped: also by a panic.
struct InFlight(Connection);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.data().in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ChatNamespace {
    /// Reads the privacy settings of a new connection's user, in the background: the connection may
    /// never join. Reads them again once changes reach this node, because one may have been missed.
    fn read_privacy(&self, user: &UserId) {
        let attached = self.hub.attached(user);
        if attached.is_none() && self.hub.knows_privacy(user) {
            return;
        }
        self.router.read_privacy(user.clone());
        if let Some(attached) = attached {
            let (router, user) = (Arc::clone(&self.router), user.clone());
            self.tasks.spawn(async move {
                attached.await;
                router.read_privacy(user);
            });
        }
    }

    /// Handles an event. Each event gets exactly one answer.
    fn take(&self, socket: &Connection, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        let answer = Answer {
            ack: event.take_ack(),
            socket: socket.clone(),
            store: self.handler.generation(),
            namespace: self.clone(),
        };
        let data = socket.data();
        if let Err((refusal, pause)) = self.handler.count_event(data.address, event.args().len()) {
            answer.give(Err(refusal), None);
            data.pause_until(self.authenticator.clock.now().moment.plus(pause));
            return None;
        }
        let asked = if event.name() != "join_user" && data.user().is_none() {
            // Report missing authentication before validation errors. Only `AUTH=open` gets here:
            // elsewhere a connect without a token is refused.
            Err(Refusal::new(
                Code::Unauthenticated,
                "Say who you are first, by join_user.",
            ))
        } else if event.refused_attachments == 0 {
            decode::event_by(data.user(), event.name(), event.arg(0).unwrap_or("null"))
        } else {
            Err(Refusal::invalid("This event has no binary part."))
        };
        let command = match asked {
            Ok(SocketRequest::Command(command)) => Ok(command),
            // A valid token causes no refusal, but checking it costs time.
            Ok(SocketRequest::Authenticate(token)) => {
                match self.handler.count_lookup(&data.caller()) {
                    Ok(()) => return Some(Box::pin(self.clone().authenticate(token, answer))),
                    Err(refusal) => Err(refusal),
                }
            }
            Err(refusal) => Err(refusal),
        };
        let command = match command {
            Ok(command) => command,
            Err(refusal) => {
                answer.give(Err(refusal), None);
                return None;
            }
        };
        let caller = data.caller();
        let dispatch = command.metadata().dispatch;
        let sends = matches!(command, Command::Messages(MessageCommand::Send { .. }));
        let changes = matches!(command, Command::Messages(MessageCommand::Change { .. }));
        if let Command::Presence(PresenceCommand::Join { user, .. }) = &command {
            self.claim(data, user);
        }
        let types = matches!(
            command,
            Command::Presence(PresenceCommand::Typing {
                is_typing: true,
                ..
            })
        );
        if sends || changes || types {
            self.writes(data);
        }
        let began = tokio::time::Instant::now();
        let handler = Arc::clone(&self.handler);
        let span = tracing::info_span!("event", socket = %data.id, name = event.name());
        let finish = async move {
            let reply = handler.handle(&caller, command).await;
            answer.give(reply, sends.then(|| began.elapsed()));
        };
        let mut finish: BoxFuture<'static, ()> = Box::pin(finish.instrument(span));
        // The first poll queues a message for the store, so messages keep the order of their
        // arrival. It also completes most requests that need no store.
        if let Poll::Ready(()) = finish
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return None;
        }
        if dispatch == Dispatch::SerialCancelOnClose {
            return Some(finish);
        }
        // The request completes even if its socket closes, and a shutdown waits for it.
        let busy = data.in_flight.fetch_add(1, Ordering::AcqRel) >= IN_FLIGHT;
        let socket = socket.clone();
        let task = self.tasks.spawn(async move {
            let _in_flight = InFlight(socket);
            finish.await;
        });
        // A socket with too many open requests waits, too.
        (dispatch == Dispatch::Serial || busy).then(|| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                let _ = task.await;
            })
        })
    }

    /// A connection moved here from another node. It gets a new roster, or the states of the users that
    /// it watches, since missed presence events are not replayed.
    fn arrive(&self, socket: &Connection, moving: Box<MovingConnection>) {
        let data = socket.data();
        if let Some(at) = data.proof.lock().expires {
            self.token_expiry.schedule(socket, at);
        }
        self.roster.follow(&data.id, moving.mode());
        let watched = moving.watched();
        if watched.is_empty() {
            return;
        }
        let (namespace, socket) = (self.clone(), socket.clone());
        self.tasks.spawn(async move {
            let command = PresenceCommand::Watch(watched);
            let caller = socket.data().caller();
            match namespace.handler.handle(&caller, command.into()).await {
                Ok(Reply::Presence(PresenceReply::Watching { users, later, .. })) => {
                    namespace.roster.send_watched(&socket, users);
                    namespace.roster.send_states(&socket, later).await;
                }
                Ok(_) => {}
                Err(refusal) => {
                    tracing::debug!(
                        code = refusal.code.as_str(),
                        "a moved connection cannot watch"
                    );
                    // Its client comes back, and this is tried again.
                    *socket.data().moving.lock() = Some(moving);
                    socket.close_transport();
                }
            }
        });
    }

    /// The client is no longer connected to this socket.
    fn leave(&self, data: &SocketData, reason: DisconnectReason) {
        if !data.has_joined.load(Ordering::Acquire) {
            return;
        }
        let reason = if reason == DisconnectReason::PingTimeout {
            OfflineReason::Timeout
        } else {
            OfflineReason::Closed
        };
        let signed_out = data.signed_out.load(Ordering::Acquire);
        self.run_internal(
            data,
            if signed_out {
                PresenceCommand::SignOut
            } else {
                PresenceCommand::Leave { reason }
            },
        );
    }

    /// A user who writes is active, even if the page sends no heartbeats.
    fn writes(&self, data: &SocketData) {
        let now = self.authenticator.clock.now().moment.0;
        let since = now.saturating_sub(data.active_at.load(Ordering::Relaxed));
        if data.has_joined.load(Ordering::Acquire) && since >= WRITING_INTERVAL {
            data.active_at.store(now, Ordering::Relaxed);
            self.run_internal(data, PresenceCommand::Heartbeat { active: true });
        }
    }

    /// Runs a command that no client sent.
    fn run_internal(&self, data: &SocketData, command: PresenceCommand) {
        let (handler, caller) = (Arc::clone(&self.handler), data.caller());
        let span = tracing::info_span!("socket", socket = %data.id);
        let work = async move {
            if let Err(refusal) = handler.handle(&caller, command.into()).await
                && let Some(Due { left_out }) =
                    throttle::due("presence", refusal.code.as_str(), caller.address)
            {
                tracing::warn!(
                    code = refusal.code.as_str(),
                    left_out,
                    "an internal presence command of a socket failed"
                );
            }
        };
        let mut work: BoxFuture<'static, ()> = Box::pin(work.instrument(span));
        if work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            self.tasks.spawn(work);
        }
    }

    /// Replaces the proof of a socket, and its expiry.
    fn replace_proof(&self, socket: &Connection, fresh: TokenProof) {
        let mut proof = socket.data().proof.lock();
        if let Some(before) = proof.expires {
            self.token_expiry.forget(socket, before);
        }
        if let Some(at) = fresh.expires {
            self.token_expiry.schedule(socket, at);
        }
        *proof = fresh;
    }

    /// With `AUTH=open` the first `join_user` decides whose socket this is. The use case may still
    /// refuse it.
    fn claim(&self, data: &SocketData, user: &UserId) {
        if self.handler.identity() == Identity::Open {
            let _ = data.principal.set(Principal::UnverifiedUser(user.clone()));
        }
        if data.user() == Some(user) {
            data.has_joined.store(true, Ordering::Release);
        }
    }

    async fn authenticate(self, token: String, answer: Answer) {
        let data = answer.socket.data();
        let result = match self.authenticator.token(&token, data.address).await {
            Ok(credentials) => self.renew(&answer.socket, credentials),
            Err(refusal) => Err(refusal),
        };
        answer.give_json(match result {
            Ok(expires) => Ok(encode::authenticated(expires)),
            Err(refusal) => Err(refusal),
        });
    }

    fn renew(
        &self,
        socket: &Connection,
        credentials: Credentials,
    ) -> Result<Option<Timestamp>, Refusal> {
        let data = socket.data();
        let user = match &credentials.principal {
            Principal::User(user) => user,
            _ => {
                return Err(Refusal::invalid(
                    "There are no tokens here: the server runs with AUTH=open.",
                ));
            }
        };
        if data.user() != Some(user) {
            return Err(Refusal::new(
                Code::Forbidden,
                "The token belongs to another user.",
            ));
        }
        self.replace_proof(
            socket,
            TokenProof {
                credential: credentials.credential,
                expires: credentials.expires,
                issued_at: credentials.issued_at,
            },
        );
        if !socket.is_connected()
            && let Some(at) = credentials.expires
        {
            // The socket closed meanwhile; cancel its timer or it leaks.
            self.token_expiry.forget(socket, at);
        }
        self.hub.close_if_signed_out(socket);
        Ok(credentials.expires)
    }
}

/// The answer to one event.
struct Answer {
    ack: Option<Ack>,
    socket: Connection,
    /// The store's generation when the event came.
    store: Generation,
    namespace: ChatNamespace,
}

impl Answer {
    fn give(self, mut result: Result<Reply, Refusal>, send_took: Option<std::time::Duration>) {
        match (&result, send_took) {
            (Ok(Reply::Messages(MessageReply::Sent { duplicate, .. })), Some(took)) => {
                metrics::sent("socket", *duplicate, took);
            }
            (Ok(Reply::Messages(MessageReply::Changed { entry, duplicate })), _) => {
                metrics::changed("socket", entry, *duplicate);
            }
            _ => {}
        }
        // A success without a requested acknowledgement needs no encoding.
        if self.ack.is_some() || result.is_err() {
            let store = self.store.clone();
            let later = match &mut result {
                Ok(Reply::Presence(PresenceReply::Watching { later, .. })) => std::mem::take(later),
                _ => Vec::new(),
            };
            let (roster, socket) = (Arc::clone(&self.namespace.roster), self.socket.clone());
            self.give_json(result.map(|reply| encode::reply(&reply, &store)));
            if !later.is_empty() {
                // The answer is queued by now, so these come after it.
                tokio::spawn(async move { roster.send_states(&socket, later).await });
            }
        }
    }

    fn give_json(self, result: Result<String, Refusal>) {
        let (json, refused) = match result {
            Ok(json) => (json, false),
            Err(refusal) => {
                metrics::refused(refusal.code.as_str());
                let data = self.socket.data();
                // Slow down a client that continues after many refusals.
                if let Some(pause) = self
                    .namespace
                    .handler
                    .pause_after_refusal(data.user(), data.address)
                {
                    let until = self.namespace.authenticator.clock.now().moment.plus(pause);
                    data.pause_until(until);
                }
                (encode::refusal(&refusal), true)
            }
        };
        let _ = match self.ack {
            Some(ack) => ack.send(&json),
            None if refused => self
                .socket
                .emit_packet(&Packet::event("/", "error_message", &json)),
            None => Ok(()),
        };
    }
}

fn refuse(refusal: &Refusal) -> ConnectError {
    ConnectError {
        message: refusal.message.clone().into_owned(),
        data: serde_json::value::RawValue::from_string(encode::refusal(refusal)).ok(),
    }
}

//! What a socket needs to outlive its connection: what its client may have missed, and who carries
//! it now.
//!
//! Events are numbered for each socket from 1. A client says with the last offset it saw what it
//! has; the offset names its socket too, since clients go on giving an old socket's offset until a
//! new socket's first event comes.

mod kept;
mod then;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::{
    kept::{Kept, Offsets},
    then::{Then, Unwritten},
};
use crate::{
    ConnectRequest, DisconnectReason, EmitError, Packet,
    id::Id,
    session::{Item, Session},
    socket::AnySocket,
    sync::Mutex,
};

/// How soon it is looked again whether a connection that is being closed has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// All sockets that may outlive their connections, found by the number in their private id.
#[derive(Default)]
pub(crate) struct Recoverable {
    sockets: Mutex<HashMap<u64, Arc<dyn AnySocket>>>,
    /// Bytes kept for all of them.
    bytes: AtomicUsize,
    /// How many wait for their clients.
    waiting: AtomicUsize,
}

impl Recoverable {
    pub(crate) fn insert(&self, key: u64, socket: Arc<dyn AnySocket>) {
        // Two ids that share their first 64 bits are not to be expected; the second socket would go
        // without recovery.
        self.sockets.lock().entry(key).or_insert(socket);
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<dyn AnySocket>> {
        self.sockets.lock().get(&key).cloned()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn remove(&self, key: u64) {
        let removed = self.sockets.lock().remove(&key);
        drop(removed);
    }
}

/// What a client that was there before puts into its `auth` by itself.
#[derive(Deserialize)]
pub(crate) struct Asked {
    pub(crate) pid: String,
    pub(crate) offset: Option<String>,
}

impl Asked {
    /// `None` from a client that is new, and from one that makes no sense: an application may use
    /// these names for itself.
    pub(crate) fn read(request: &ConnectRequest) -> Option<Self> {
        serde_json::from_str(request.auth.as_deref().map(RawValue::get)?).ok()
    }
}

pub(crate) struct Recovering {
    /// The secret that a client comes back with.
    pub(crate) pid: Id,
    /// Behind the number in each offset.
    suffix: Box<str>,
    state: Mutex<State>,
}

struct State {
    session: Arc<Session>,
    carried: Carried,
    kept: Kept,
    /// To be called once what was emitted has been written. As many as there are events kept or
    /// queued, at most.
    unwritten: Unwritten,
}

enum Carried {
    /// By the session.
    Now,
    /// By none, while it waits for its client.
    Not {
        since: Instant,
        reason: DisconnectReason,
    },
    /// Never again.
    Over,
}

/// What becomes of a socket when its connection ends.
pub(crate) enum Suspend {
    /// It ends too.
    Over,
    /// It was another connection's.
    NotCarried,
    /// It waits.
    Until(Instant),
}

impl State {
    /// Every change of this goes through here, so that the count of those who wait is right.
    fn set(&mut self, carried: Carried) -> Carried {
        let waiting = &self.session.server.recoverable.waiting;
        if matches!(carried, Carried::Not { .. }) {
            waiting.fetch_add(1, Ordering::Relaxed);
        }
        let before = std::mem::replace(&mut self.carried, carried);
        if matches!(before, Carried::Not { .. }) {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        before
    }
}

impl Recovering {
    /// For a socket with this key. `None` when there is no randomness to be had.
    pub(crate) fn new(session: Arc<Session>, key: u64) -> Option<Self> {
        let pid = Id::random().ok()?;
        let state = State {
            session,
            carried: Carried::Now,
            kept: Kept::default(),
            unwritten: Unwritten::default(),
        };
        Some(Self {
            pid,
            suffix: format!(".{key}").into(),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn session(&self) -> Arc<Session> {
        self.state.lock().session.clone()
    }

    /// The session, if it carries the socket now.
    pub(crate) fn attached(&self) -> Option<Arc<Session>> {
        let state = self.state.lock();
        matches!(state.carried, Carried::Now).then(|| state.session.clone())
    }

    fn offsets(&self, session: &Session) -> Offsets<'_> {
        Offsets {
            suffix: &self.suffix,
            parser: session.server.config.parser,
        }
    }

    /// Queues what is not kept.
    pub(crate) fn push(&self, packet: &Packet) -> Result<(), EmitError> {
        self.attached().ok_or(EmitError::Closed)?.send(packet, None)
    }

    /// Gives each event its offset, keeps it, and queues it if there is a connection.
    pub(crate) fn push_events(&self, packet: &Packet, then: Option<Item>) -> Result<(), EmitError> {
        let then = then.and_then(Then::of);
        // What is not to be called after all is dropped outside of the lock: dropping may run
        // foreign code.
        let mut uncalled = None;
        self.try_push_events(packet, then.as_ref(), &mut uncalled)
    }

    /// The same if there is room for it, or nothing to need room. [`EmitError::Full`], and nothing
    /// done, if there is none at the moment.
    pub(crate) fn push_if_room(&self, packet: &Packet) -> Result<(), EmitError> {
        let mut state = self.state.lock();
        let State {
            session,
            carried: Carried::Now,
            kept,
            ..
        } = &mut *state
        else {
            return self.push_events_to(&mut state, packet, None, &mut None);
        };
        let server = &session.server;
        let Some(limits) = &server.config.recovery else {
            return Err(EmitError::Closed);
        };
        let (packet, offsets) = (session.parsed(packet), self.offsets(session));
        let frames = session.compressed_text(packet).unwrap_or(packet.frames());
        // Nobody comes in between: what is queued and what is kept are numbered under one lock.
        let result = session.push_if_room(kept.tag_next(frames, offsets));
        if result == Err(EmitError::Full) {
            return result;
        }
        let _ = kept.add(packet.frames(), offsets, limits, &server.recoverable.bytes);
        // The connection may be going down with this event kept: its client gets it when it comes
        // back.
        if kept.is_empty() { result } else { Ok(()) }
    }

    fn try_push_events(
        &self,
        packet: &Packet,
        then: Option<&Then>,
        uncalled: &mut Option<Then>,
    ) -> Result<(), EmitError> {
        // The lock is held until they are queued, so that the numbers have the queue's order.
        self.push_events_to(&mut self.state.lock(), packet, then, uncalled)
    }

    fn push_events_to(
        &self,
        state: &mut State,
        packet: &Packet,
        then: Option<&Then>,
        uncalled: &mut Option<Then>,
    ) -> Result<(), EmitError> {
        let State {
            session,
            carried,
            kept,
            unwritten,
        } = state;
        let server = &session.server;
        let Some(limits) = &server.config.recovery else {
            return Err(EmitError::Closed);
        };
        let (packet, offsets) = (session.parsed(packet), self.offsets(session));
        match carried {
            Carried::Now => {
                let compressed = session
                    .compressed_text(packet)
                    .map(|frames| kept.tag_next(frames, offsets));
                let (tagged, complete) =
                    kept.add(packet.frames(), offsets, limits, &server.recoverable.bytes);
                let tagged = compressed.unwrap_or(tagged);
                match session.try_push(tagged, &mut then.map(Then::item)) {
                    // The connection is going down with this event kept: its client gets it when it
                    // comes back.
                    Err(_) if !kept.is_empty() => {
                        if !complete {
                            *uncalled = unwritten.pop();
                        }
                    }
                    result => result?,
                }
                if let Some(then) = then {
                    unwritten.add(then);
                }
                Ok(())
            }
            Carried::Not { .. } if kept.is_broken() => Err(EmitError::Closed),
            Carried::Not { .. } => {
                let (_, complete) =
                    kept.add(packet.frames(), offsets, limits, &server.recoverable.bytes);
                if complete {
                    if let Some(then) = then {
                        unwritten.add(then);
                    }
                    return Ok(());
                }
                // Whoever comes back now has missed too much; there is no use in keeping the rest.
                kept.break_off(&server.recoverable.bytes);
                Err(EmitError::Full)
            }
            Carried::Over => Err(EmitError::Closed),
        }
    }

    /// Queues events that are not kept. They have an offset too, or the client would take a last
    /// argument of theirs for one.
    pub(crate) fn push_volatile(&self, packet: &Packet) -> Result<(), EmitError> {
        let state = self.state.lock();
        match state.carried {
            Carried::Now => {
                let packet = state.session.parsed(packet);
                let frames = state
                    .session
                    .compressed_text(packet)
                    .unwrap_or(packet.frames());
                state
                    .session
                    .push(state.kept.pass(frames, self.offsets(&state.session)), None)
            }
            _ => Err(EmitError::Closed),
        }
    }

    /// Closes the connection that carries it, if there is one, and waits for its end.
    pub(crate) async fn displace(&self) {
        while let Some(session) = self.attached() {
            session.close(DisconnectReason::TransportClose);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The last event that the client has, if everything after it is still there.
    pub(crate) fn resumes_after(&self, asked: &Asked) -> Option<u64> {
        let state = self.state.lock();
        let after = match asked
            .offset
            .as_deref()
            .and_then(|offset| offset.strip_suffix(&*self.suffix))
        {
            Some(number) => number.parse().ok()?,
            // None, or another socket's: it has got nothing from this one yet.
            None => 0,
        };
        (matches!(state.carried, Carried::Not { .. }) && state.kept.reaches_back_to(after))
            .then_some(after)
    }

    /// Goes on over another connection: what came after is queued, then the answer to the CONNECT.
    /// False if it cannot be any more.
    pub(crate) fn resume(&self, session: &Arc<Session>, after: u64, answer: &Packet) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.carried, Carried::Not { .. }) || !state.kept.reaches_back_to(after) {
            return false;
        }
        state
            .kept
            .drop_until(after, &session.server.recoverable.bytes);
        let mut all = BytesMut::new();
        state
            .kept
            .frames()
            .for_each(|frames| all.extend_from_slice(frames));
        all.extend_from_slice(session.parsed(answer).frames());
        state.set(Carried::Now);
        let old = std::mem::replace(&mut state.session, session.clone());
        // What the last connection did not get to write, or to say that it has. If it is not queued
        // the connection is going down, and the socket waits again.
        let then = state.unwritten.item();
        let _ = session.send_missed(&Packet::of(all.freeze()), then);
        drop(state);
        drop(old);
        true
    }

    /// The connection ends.
    pub(crate) fn suspend(&self, session: &Session, reason: DisconnectReason) -> Suspend {
        let mut state = self.state.lock();
        if !std::ptr::eq(Arc::as_ptr(&state.session), session)
            || !matches!(state.carried, Carried::Now)
        {
            return Suspend::NotCarried;
        }
        let server = &session.server;
        match &server.config.recovery {
            // On a server that stops there is nothing to come back to.
            Some(limits)
                if reason.is_recoverable()
                    && !server.stopping.has_begun()
                    && server.recoverable.waiting.load(Ordering::Relaxed) < limits.max_waiting =>
            {
                let since = Instant::now();
                state.set(Carried::Not { since, reason });
                Suspend::Until(since + limits.window)
            }
            _ => Suspend::Over,
        }
    }

    /// Ends the wait, if its time has run out by `now` or in any case. Gives why the connection had
    /// ended, if this ended it.
    pub(crate) fn give_up(&self, now: Option<Instant>) -> Option<DisconnectReason> {
        let mut state = self.state.lock();
        let Carried::Not { since, reason } = state.carried else {
            return None;
        };
        let window = state.session.server.config.recovery.as_ref()?.window;
        if now.is_some_and(|now| since + window > now) {
            return None;
        }
        state.set(Carried::Over);
        Some(reason)
    }

    /// The socket is over: nothing is kept for it any more.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        state.set(Carried::Over);
        let session = state.session.clone();
        state.kept.break_off(&session.server.recoverable.bytes);
        // Dropped outside of the lock: dropping may run foreign code.
        let unwritten = std::mem::take(&mut state.unwritten);
        drop(state);
        drop(unwritten);
        session.server.recoverable.remove(self.pid.key());
    }

    /// The client has answered a ping, which it got at most one ping timeout ago: what was sent
    /// before that it has too.
    pub(crate) fn pong(&self, now: Instant) {
        let mut state = self.state.lock();
        let State {
            session,
            kept,
            unwritten,
            ..
        } = &mut *state;
        unwritten.forget_called();
        let server = &session.server;
        if let Some(sent_before) = now.checked_sub(server.config.ping_timeout) {
            kept.drop_older(sent_before, &server.recoverable.bytes);
        }
    }
}

impl Drop for Recovering {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.set(Carried::Over);
        let State { session, kept, .. } = state;
        kept.break_off(&session.server.recoverable.bytes);
    }
}

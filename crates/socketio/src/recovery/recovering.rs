//! The state that lets one socket outlive its connection.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::Instant;

use super::{
    arriving::Arriving,
    event_log::{EventLog, Offsets},
    totals::RecoveryTotals,
    written::{PendingCallbacks, WrittenCallback},
};
use crate::{
    DisconnectReason, EmitError, Packet,
    id::Id,
    session::{Item, Session},
    sync::Mutex,
};

/// A socket's part in recovery.
pub(crate) struct Recovering {
    /// The private id, then the suffix of offsets.
    texts: Box<str>,
    pid_length: usize,
    /// The key of the private id.
    pub(crate) key: u64,
    pub(super) totals: Arc<RecoveryTotals>,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) session: Arc<Session>,
    pub(super) carrier: Carrier,
    pub(super) log: EventLog,
    /// Callbacks of events that have not been written yet: at most as many as there are events
    /// stored or queued.
    pub(super) callbacks: PendingCallbacks,
}

pub(super) enum Carrier {
    /// By `session`.
    Attached,
    /// By no connection: the socket is suspended.
    Suspended {
        since: Instant,
        reason: DisconnectReason,
    },
    /// By no connection yet: the socket is moving here from another node. What is emitted to it
    /// meanwhile waits.
    Arriving(Box<Arriving>),
    /// By no connection: the socket has ended.
    Ended,
}

impl State {
    /// The only place that changes this state, so that the number of suspended sockets is correct.
    pub(super) fn set(&mut self, carrier: Carrier, totals: &RecoveryTotals) -> Carrier {
        let waiting = &totals.waiting;
        if matches!(carrier, Carrier::Suspended { .. }) {
            waiting.fetch_add(1, Ordering::Relaxed);
        }
        let before = std::mem::replace(&mut self.carrier, carrier);
        if matches!(before, Carrier::Suspended { .. }) {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        before
    }
}

impl Recovering {
    /// Creates the recovery state of the socket with this key. Returns `None` if the operating
    /// system returns no random bytes.
    pub(crate) fn new(
        session: Arc<Session>,
        key: u64,
        totals: Arc<RecoveryTotals>,
    ) -> Option<Self> {
        let id = Id::random().ok()?;
        let engine = &session.engine;
        // The suffix differs from those of all other sockets of all nodes.
        let (pid, suffix) = (engine.full_id(&id), format!(".{}{key}", engine.id_prefix()));
        let names = (&*pid, id.key(), &*suffix);
        Some(Self::with(session, names, Carrier::Attached, totals))
    }

    /// The recovery state of a socket that is moving here, with the private id, its key, and the
    /// suffix of offsets that it has on the other node.
    pub(crate) fn arriving(
        session: Arc<Session>,
        names: (&str, u64, &str),
        totals: Arc<RecoveryTotals>,
    ) -> Self {
        Self::with(session, names, Carrier::Arriving(Box::default()), totals)
    }

    fn with(
        session: Arc<Session>,
        (pid, key, suffix): (&str, u64, &str),
        carrier: Carrier,
        totals: Arc<RecoveryTotals>,
    ) -> Self {
        let state = State {
            session,
            carrier,
            log: EventLog::default(),
            callbacks: PendingCallbacks::default(),
        };
        Self {
            texts: [pid, suffix].concat().into(),
            pid_length: pid.len(),
            key,
            totals,
            state: Mutex::new(state),
        }
    }

    /// The private id: the secret with which a client resumes the socket (`pid` in the protocol).
    /// Among several nodes it begins with the tag of the node that made it.
    pub(crate) fn pid(&self) -> &str {
        &self.texts[..self.pid_length]
    }

    /// The part of each offset after the number.
    pub(crate) fn suffix(&self) -> &str {
        &self.texts[self.pid_length..]
    }

    pub(crate) fn session(&self) -> Arc<Session> {
        self.state.lock().session.clone()
    }

    /// The session, if it carries the socket now.
    pub(crate) fn attached(&self) -> Option<Arc<Session>> {
        let state = self.state.lock();
        matches!(state.carrier, Carrier::Attached).then(|| state.session.clone())
    }

    pub(super) fn offsets(&self, session: &Session) -> Offsets<'_> {
        Offsets {
            suffix: self.suffix(),
            parser: session.engine.config.parser,
        }
    }

    /// Queues a packet that is not stored.
    pub(crate) fn push(&self, packet: &Packet) -> Result<(), EmitError> {
        self.attached().ok_or(EmitError::Closed)?.send(packet, None)
    }

    /// Assigns an offset to each event, stores it, and queues it if the socket is attached to a
    /// connection.
    pub(crate) fn push_events(
        &self,
        packet: &Packet,
        callback: Option<Item>,
    ) -> Result<(), EmitError> {
        let callback = callback.and_then(WrittenCallback::of);
        // A callback that will not be called is dropped without the lock: dropping may run
        // application code.
        let mut uncalled = None;
        self.try_push_events(packet, callback.as_ref(), &mut uncalled)
    }

    /// Like [`Self::push_events`] if the queue has space for the events, or the socket is
    /// suspended. Otherwise returns [`EmitError::Full`] and does nothing.
    pub(crate) fn try_push_now(&self, packet: &Packet) -> Result<(), EmitError> {
        let mut state = self.state.lock();
        let State {
            session,
            carrier: Carrier::Attached,
            log,
            ..
        } = &mut *state
        else {
            return self.push_events_to(&mut state, packet, None, &mut None);
        };
        let engine = &session.engine;
        let Some(limits) = &engine.config.recovery else {
            return Err(EmitError::Closed);
        };
        let (packet, offsets) = (session.parsed(packet), self.offsets(session));
        let frames = session.compressed_text(packet).unwrap_or(packet.frames());
        // Queued and stored events get the same numbers, because both happen under one lock.
        let result = session.try_push_now(log.tag_next(frames, offsets));
        if result == Err(EmitError::Full) {
            return result;
        }
        let _ = log.add(packet.frames(), offsets, limits, &self.totals.bytes);
        // The connection may be closing with this event stored: its client gets the event when it
        // returns.
        if log.is_empty() { result } else { Ok(()) }
    }

    fn try_push_events(
        &self,
        packet: &Packet,
        callback: Option<&WrittenCallback>,
        uncalled: &mut Option<WrittenCallback>,
    ) -> Result<(), EmitError> {
        // The lock is held until they are queued, so that the numbers follow the order of the
        // queue.
        self.push_events_to(&mut self.state.lock(), packet, callback, uncalled)
    }

    fn push_events_to(
        &self,
        state: &mut State,
        packet: &Packet,
        callback: Option<&WrittenCallback>,
        uncalled: &mut Option<WrittenCallback>,
    ) -> Result<(), EmitError> {
        let State {
            session,
            carrier,
            log,
            callbacks,
        } = state;
        let engine = &session.engine;
        let Some(limits) = &engine.config.recovery else {
            return Err(EmitError::Closed);
        };
        let (packet, offsets) = (session.parsed(packet), self.offsets(session));
        match carrier {
            Carrier::Attached => {
                let compressed = session
                    .compressed_text(packet)
                    .map(|frames| log.tag_next(frames, offsets));
                let (tagged, complete) =
                    log.add(packet.frames(), offsets, limits, &self.totals.bytes);
                let tagged = compressed.unwrap_or(tagged);
                match session.try_push(tagged, &mut callback.map(WrittenCallback::item)) {
                    // The connection is closing with this event stored: its client gets the event
                    // when it returns.
                    Err(_) if !log.is_empty() => {
                        if !complete {
                            *uncalled = callbacks.pop();
                        }
                    }
                    result => result?,
                }
                if let Some(callback) = callback {
                    callbacks.add(callback);
                }
                Ok(())
            }
            Carrier::Suspended { .. } if log.is_discarded() => Err(EmitError::Closed),
            Carrier::Suspended { .. } => {
                let (_, complete) = log.add(packet.frames(), offsets, limits, &self.totals.bytes);
                if complete {
                    if let Some(callback) = callback {
                        callbacks.add(callback);
                    }
                    return Ok(());
                }
                // A client that returns now has missed too much, so storing the rest is useless.
                log.discard_all(&self.totals.bytes);
                Err(EmitError::Full)
            }
            Carrier::Arriving(arriving) => arriving.add(packet, callback, limits.max_bytes),
            Carrier::Ended => Err(EmitError::Closed),
        }
    }

    /// Queues events that are not stored. They carry an offset too; otherwise the client would take
    /// their last argument for one.
    pub(crate) fn push_volatile(&self, packet: &Packet) -> Result<(), EmitError> {
        let state = self.state.lock();
        match state.carrier {
            Carrier::Attached => {
                let packet = state.session.parsed(packet);
                let frames = state
                    .session
                    .compressed_text(packet)
                    .unwrap_or(packet.frames());
                state.session.push(
                    state.log.tag_volatile(frames, self.offsets(&state.session)),
                    None,
                )
            }
            _ => Err(EmitError::Closed),
        }
    }

    /// The socket has ended: drops everything stored for it.
    pub(crate) fn remove(&self) {
        let mut state = self.state.lock();
        state.set(Carrier::Ended, &self.totals);
        state.log.discard_all(&self.totals.bytes);
        // Dropped without the lock: dropping may run application code.
        let callbacks = std::mem::take(&mut state.callbacks);
        drop(state);
        drop(callbacks);
    }

    /// The client has answered a PING that it received at most one ping timeout ago, so it has
    /// everything that was sent before that.
    pub(crate) fn pong(&self, now: Instant) {
        let mut state = self.state.lock();
        let State {
            session,
            log,
            callbacks,
            ..
        } = &mut *state;
        callbacks.drop_called();
        let engine = &session.engine;
        if let Some(sent_before) = now.checked_sub(engine.config.ping_timeout) {
            log.drop_older(sent_before, &self.totals.bytes);
        }
    }
}

impl Drop for Recovering {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.set(Carrier::Ended, &self.totals);
        state.log.discard_all(&self.totals.bytes);
    }
}

//! A socket changes its connection: it is suspended, resumed, or moved to another node.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::time::Instant;

use super::{
    arriving::MovedLog,
    event_log::EventLog,
    recovering::{Carrier, Recovering},
    request::RecoveryRequest,
    written::{PendingCallbacks, WrittenCallback},
};
use crate::{
    DisconnectReason, Packet,
    session::{Item, Session},
};

/// Interval between checks whether a closing connection has ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Within this time every node has emitted what was published to all: what a client has had for
/// longer does not move.
const EMITTED_WITHIN: Duration = Duration::from_secs(10);

/// What happens to a socket when its connection ends.
pub(crate) enum SuspendOutcome {
    /// The socket ends too.
    Ended,
    /// The socket belongs to another connection.
    NotAttached,
    /// The socket is suspended until then.
    Until(Instant),
}

impl Recovering {
    /// Closes the connection that carries the socket, if any, and waits for its end.
    pub(crate) async fn close_carrier(&self) {
        while let Some(session) = self.attached() {
            session.close(DisconnectReason::TransportClose);
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }

    /// The number of the last event that the client has, if all later events are still stored.
    pub(crate) fn resumes_after(&self, request: &RecoveryRequest) -> Option<u64> {
        let state = self.state.lock();
        let after = match request
            .offset
            .as_deref()
            .and_then(|offset| offset.strip_suffix(self.suffix()))
        {
            Some(number) => number.parse().ok()?,
            // No offset, or another socket's: the client has received nothing from this socket.
            None => 0,
        };
        (matches!(state.carrier, Carrier::Suspended { .. }) && state.log.covers(after))
            .then_some(after)
    }

    /// Takes the events out, for another node on which the client resumes the socket. The socket has
    /// to end here then. The callbacks are those of events that have not been written.
    pub(crate) fn take_log(
        &self,
        request: &RecoveryRequest,
    ) -> Option<(MovedLog, PendingCallbacks)> {
        let after = self.resumes_after(request)?;
        let mut state = self.state.lock();
        if !matches!(state.carrier, Carrier::Suspended { .. }) || !state.log.covers(after) {
            return None;
        }
        state.set(Carrier::Ended, &self.totals);
        if let Some(earlier) = Instant::now().checked_sub(EMITTED_WITHIN) {
            let total = &self.totals.bytes;
            state.log.drop_until_older(after, earlier, total);
        }
        let mut callbacks = std::mem::take(&mut state.callbacks);
        callbacks.drop_called();
        let log = MovedLog {
            after,
            last: state.log.last(),
            has_callbacks: !callbacks.is_empty(),
            events: state.log.frames().cloned().collect(),
        };
        Some((log, callbacks))
    }

    /// Completes a move, with the events that the other node stored and those emitted meanwhile. It is
    /// suspended until the returned time, and [`Self::resume`] continues it. `on_written` follows
    /// the events of the other node. `None` if events are missing.
    pub(crate) fn arrive(&self, moved: MovedLog, on_written: Option<Item>) -> Option<Instant> {
        let mut state = self.state.lock();
        let session = state.session.clone();
        let limits = session.engine.config.recovery.as_ref()?;
        let total = &self.totals.bytes;
        let Carrier::Arriving(arriving) = &mut state.carrier else {
            return None;
        };
        let arriving = std::mem::take(&mut **arriving);
        let offsets = self.offsets(&session);
        let after = moved.after;
        let mut log = EventLog::restored(moved.last, moved.events, total);
        let complete = arriving.add_to(&mut log, offsets, limits, total);
        if let Some(written) = on_written.and_then(WrittenCallback::of) {
            state.callbacks.add(&written);
        }
        for callback in arriving.callbacks() {
            state.callbacks.add(callback);
        }
        let covers = complete && log.covers(after);
        state.log = log;
        if !covers {
            return None;
        }
        let since = Instant::now();
        let reason = DisconnectReason::TransportClose;
        state.set(Carrier::Suspended { since, reason }, &self.totals);
        Some(since + limits.window)
    }

    /// Continues on another connection: queues the missed events, then the CONNECT reply. Returns
    /// false if the socket can no longer be resumed.
    pub(crate) fn resume(&self, session: &Arc<Session>, after: u64, answer: &Packet) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.carrier, Carrier::Suspended { .. }) || !state.log.covers(after) {
            return false;
        }
        // Among several nodes another one may emit late what the client has: a move to it needs
        // these events to leave that out.
        if session.engine.cluster.is_none() {
            let total = &self.totals.bytes;
            state.log.drop_until(after, total);
        }
        let mut all = BytesMut::new();
        state
            .log
            .frames_after(after)
            .for_each(|frames| all.extend_from_slice(frames));
        all.extend_from_slice(session.parsed(answer).frames());
        state.set(Carrier::Attached, &self.totals);
        let old = std::mem::replace(&mut state.session, session.clone());
        // Callbacks of events that the last connection did not write, or did not report as written.
        // If nothing is queued, the connection is closing, and the socket is suspended again.
        let callback = state.callbacks.item();
        let _ = session.send_missed(&Packet::of(all.freeze()), callback);
        drop(state);
        drop(old);
        true
    }

    /// The connection has ended.
    pub(crate) fn suspend(&self, session: &Session, reason: DisconnectReason) -> SuspendOutcome {
        let mut state = self.state.lock();
        if !std::ptr::eq(Arc::as_ptr(&state.session), session)
            || !matches!(state.carrier, Carrier::Attached)
        {
            return SuspendOutcome::NotAttached;
        }
        let engine = &session.engine;
        match &engine.config.recovery {
            // There is nothing to return to on a server that is stopping.
            Some(limits)
                if reason.is_recoverable()
                    && !engine.stopping.has_begun()
                    && self.totals.waiting() < limits.max_waiting =>
            {
                let since = Instant::now();
                state.set(Carrier::Suspended { since, reason }, &self.totals);
                SuspendOutcome::Until(since + limits.window)
            }
            _ => SuspendOutcome::Ended,
        }
    }

    /// Ends the suspension, at once or only if the recovery window has ended by `now`. Returns why
    /// the connection had ended, if this call ended the suspension.
    pub(crate) fn end_suspension(&self, now: Option<Instant>) -> Option<DisconnectReason> {
        let mut state = self.state.lock();
        let Carrier::Suspended { since, reason } = state.carrier else {
            return None;
        };
        let window = state.session.engine.config.recovery.as_ref()?.window;
        if now.is_some_and(|now| since + window > now) {
            return None;
        }
        state.set(Carrier::Ended, &self.totals);
        Some(reason)
    }
}

//! Stopping a server without losing work in progress.

use std::{future::Future, time::Duration};

use crate::{DisconnectReason, SocketIo};

/// Interval between checks whether a connection is still handling an event. Only a stop waits for
/// it.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// # Stopping
/// This order loses no work in progress:
/// 1. Await [`pause_events`](Self::pause_events): handlers receive no more events.
/// 2. Finish the work that handlers have started, and acknowledge it.
/// 3. Call [`drain`](Self::drain): connections send what is queued, and close.
/// 4. Await [`closed`](Self::closed), with a time limit: a client may be slow to read its last
///    bytes.
///
/// A client knows that events which no handler received are unacknowledged, and may send them again
/// to another server.
impl SocketIo {
    /// Stops opening sessions (requests for new ones are answered with 503) and stops passing
    /// events to handlers. Connections are not read any more, so acknowledgements, CONNECTs and
    /// DISCONNECTs wait too. Running work continues: futures that handlers returned, and pending
    /// [`crate::Handler::connect`] calls. Emitted events, acknowledgements and PINGs are still
    /// sent, and no client is disconnected for a PONG that the server does not read. This cannot be
    /// undone: it is the first step of a stop.
    ///
    /// The call itself does all of this. When the future completes, no handler is running on
    /// another thread either.
    pub fn pause_events(&self) -> impl Future<Output = ()> + Send + use<> {
        self.server.engine.stopping.pause();
        let mut sessions = self.server.engine.registry.all();
        async move {
            loop {
                // A driver that was not running at some moment after the call sees the pause at the
                // start of its next run.
                sessions.retain(|session| session.is_running());
                if sessions.is_empty() {
                    return;
                }
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        }
    }

    /// Stops opening sessions (requests for new ones are answered with 503), and closes the
    /// transport of every session after its queued bytes have been sent. Clients see a closed
    /// transport and reconnect, to another server. A client on polling gets its poll refused
    /// instead of a close packet, after which some clients would not reconnect.
    ///
    /// A connection closes in its task's next run. Packets emitted or acknowledged before that are
    /// still sent. Then [`crate::Handler::disconnected`] is called for its sockets, which accept
    /// nothing from then on, and the last bytes and the close are sent. Futures that handlers
    /// returned are dropped: see [`Self::pause_events`] for a stop that lets them finish. No more
    /// sockets are suspended for recovery; suspended ones keep their remaining time. Requests for
    /// sessions of other nodes are not passed on any more, and those under way end.
    pub fn drain(&self) {
        self.server.engine.stopping.begin_drain();
        if let Some(cluster) = &self.server.engine.cluster {
            cluster.stop();
        }
        self.close_all();
    }

    /// Closes the transport of every session after its queued bytes have been sent. Clients may
    /// reconnect at once.
    pub fn close_all(&self) {
        for session in self.server.engine.registry.all() {
            session.close(DisconnectReason::ServerShuttingDown);
        }
    }

    /// Completes when no connection is open, and closed ones have sent their last bytes or given
    /// up. A WebSocket has 2 s for that; a client on polling without an open poll has one ping
    /// timeout to fetch them. The HTTP server itself must finish the response to an open poll.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let stopping = self.server.engine.stopping.clone();
        async move { stopping.all_closed().await }
    }
}

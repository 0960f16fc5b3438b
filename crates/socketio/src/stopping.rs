//! How a server comes to its end without losing what it has begun.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{DisconnectReason, SocketIo, server::Server, sync::AtomicBool};

/// How soon it is looked again whether a connection is still in the middle of an event. Only a stop
/// ever waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How far a server has come with stopping.
#[derive(Default)]
pub(crate) struct Stopping {
    paused: AtomicBool,
    draining: AtomicBool,
    alive: AtomicUsize,
    nobody_left: Notify,
}

impl Stopping {
    /// Whether events are not to be handed to handlers any more.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Connections for which something is left to do.
    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// Whether nobody new is to be let in.
    pub(crate) fn has_begun(&self) -> bool {
        self.is_paused() || self.draining.load(Ordering::SeqCst)
    }
}

/// Lives as long as there is something left to do for a connection, its farewell included.
pub(crate) struct Alive(Arc<Server>);

impl Alive {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        server.stopping.alive.fetch_add(1, Ordering::SeqCst);
        Self(server)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if self.0.stopping.alive.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.stopping.nobody_left.notify_waiters();
        }
    }
}

/// # Stopping
/// In this order nothing that was begun is lost:
/// 1. [`pause_events`](Self::pause_events), awaited: handlers get no more events.
/// 2. The application finishes what handlers have begun, and acknowledges it.
/// 3. [`drain`](Self::drain): connections send what is queued, and close.
/// 4. [`closed`](Self::closed), awaited, best with a time limit: a client may be slow to take its
///    last bytes.
///
/// What a client had sent and no handler got, it knows to be unacknowledged, and may send again
/// elsewhere.
impl SocketIo {
    /// From now on opens no session (new ones are answered with 503) and hands no event to a
    /// handler: connections are not read any more, so neither are acknowledgements, CONNECTs and
    /// DISCONNECTs. What handlers have begun goes on, futures that they gave back and CONNECTs that
    /// they are deciding on included; what is emitted and acknowledged still goes out, and pings do
    /// too, though nobody is cut off for a pong that is not read. There is no way back: this is the
    /// first step of a stop.
    ///
    /// The call itself does all of this; once the future completes, no handler is in the middle of
    /// an event on another thread either.
    pub fn pause_events(&self) -> impl Future<Output = ()> + Send + use<> {
        self.server.stopping.paused.store(true, Ordering::SeqCst);
        let mut sessions = self.server.registry.all();
        async move {
            loop {
                // Whoever was not in its turn once since the call sees the pause at the start of
                // its next turn.
                sessions.retain(|session| session.is_in_turn());
                if sessions.is_empty() {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// From now on opens no session (new ones are answered with 503), and closes the transport of
    /// every one there is, after what is queued for it has been sent. Clients see a closed
    /// transport and come back by themselves, elsewhere. On polling it is a poll that is refused:
    /// some clients take a close packet for the end of all.
    ///
    /// A connection closes in its next turn. What is emitted or acknowledged before that goes out
    /// too; then its sockets' [`crate::Handler::disconnected`] is called, from which on they take
    /// nothing, and then the last bytes and the close are sent. Futures that handlers gave back are
    /// dropped: see [`Self::pause_events`] for a stop that lets them finish. No socket waits for
    /// its client to come back any more; those that do already are left to their time.
    pub fn drain(&self) {
        self.server.stopping.draining.store(true, Ordering::SeqCst);
        self.close_all();
    }

    /// Closes the transport of every session, after what is queued for it has been sent. Clients
    /// may come back at once.
    pub fn close_all(&self) {
        for session in self.server.registry.all() {
            session.close(DisconnectReason::ServerShuttingDown);
        }
    }

    /// Completes once there is no connection, and what closed ones had to be sent is sent or given
    /// up. A WebSocket has 2 s to take its last bytes; a client on polling that has no poll open
    /// has one ping timeout to fetch them. An answer to an open poll is left to the HTTP server,
    /// which has its own way to finish requests that are under way.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let server = self.server.clone();
        async move {
            let stopping = &server.stopping;
            loop {
                let nobody_left = stopping.nobody_left.notified();
                if stopping.alive.load(Ordering::SeqCst) == 0 {
                    return;
                }
                nobody_left.await;
            }
        }
    }
}

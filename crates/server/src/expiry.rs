//! Expiry of tokens: their sockets are notified, may send a new token, and are closed otherwise.

use crate::connection::Connection;
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::Clock;
use parking_lot::Mutex;
use socketio::Packet;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long a socket has to send a new token.
pub const GRACE: Duration = Duration::from_secs(30);

/// The sockets whose tokens expire, by time.
#[derive(Default)]
pub struct TokenExpiry {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// By time, and by a key that distinguishes sockets with the same time.
    due: BTreeMap<(Timestamp, u64), Connection>,
    /// Notified sockets, by their key.
    notified: HashMap<u64, Notified>,
}

/// A socket that has to send a new token before a monotonic time, which jumps of the wall clock do
/// not change.
struct Notified {
    socket: Connection,
    ends: Timestamp,
    closing: Moment,
}

impl TokenExpiry {
    /// Schedules the expiry of a socket's token. Call [`TokenExpiry::forget`] with the same time
    /// when the socket closes or sends another token.
    pub fn schedule(&self, socket: &Connection, at: Timestamp) {
        self.held
            .lock()
            .due
            .insert((at, socket.key()), socket.clone());
    }

    /// Cancels the expiry of a socket.
    pub fn forget(&self, socket: &Connection, at: Timestamp) {
        let mut held = self.held.lock();
        held.due.remove(&(at, socket.key()));
        if held
            .notified
            .get(&socket.key())
            .is_some_and(|notified| notified.ends == at)
        {
            held.notified.remove(&socket.key());
        }
    }

    /// How many sockets are minded.
    #[must_use]
    pub fn len(&self) -> usize {
        let held = self.held.lock();
        held.due.len() + held.notified.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notifies and closes sockets when they are due, for as long as it is polled. Tokens expire by
    /// the wall clock, which may jump.
    pub async fn run(&self, clock: Arc<dyn Clock>) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let grace_ms = u64::try_from(GRACE.as_millis()).unwrap_or(0);
        let notice = Packet::event(
            "/",
            "token_expired",
            &lamplight_wire::encode::token_expired(grace_ms),
        );
        loop {
            second.tick().await;
            self.step(clock.now(), &notice);
        }
    }

    fn step(&self, now: Now, notice: &Packet) {
        let mut held = self.held.lock();
        let Held { due, notified } = &mut *held;
        while let Some(entry) = due.first_entry() {
            if entry.key().0 > now.wall {
                break;
            }
            let ((ends, key), socket) = entry.remove_entry();
            let _ = socket.emit_packet(notice);
            notified.insert(
                key,
                Notified {
                    socket,
                    ends,
                    closing: now.moment.plus(GRACE),
                },
            );
        }
        notified.retain(|key, notified| {
            if notified.closing > now.moment {
                return true;
            }
            if notified.ends > now.wall {
                // The clock was ahead and has been corrected: the token has not expired yet.
                due.insert((notified.ends, *key), notified.socket.clone());
            } else {
                // Closes the transport, not the namespace: a client with a new token reconnects by
                // itself.
                notified.socket.close_transport();
            }
            false
        });
    }
}

//! Tokens run out: their sockets are told, may bring a fresh one, and are closed otherwise.

use crate::connection::Connection;
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::Clock;
use parking_lot::Mutex;
use socketio::Packet;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long a socket has to bring a fresh token.
pub const GRACE: Duration = Duration::from_secs(30);

/// The sockets whose proof ends, by when.
#[derive(Default)]
pub struct TokenExpiry {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// When, and which socket: its key tells apart those of the same moment.
    due: BTreeMap<(Timestamp, u64), Connection>,
    /// Those that were told, by their key.
    told: HashMap<u64, Told>,
}

/// A socket that has to bring a fresh token by a moment, which a clock that jumps does not bring
/// nearer.
struct Told {
    socket: Connection,
    ends: Timestamp,
    closing: Moment,
}

impl TokenExpiry {
    /// Minds a socket until its proof ends. Call [`TokenExpiry::forget`] with the same time when it
    /// goes away or brings another.
    pub fn schedule(&self, socket: &Connection, at: Timestamp) {
        self.held
            .lock()
            .due
            .insert((at, socket.key()), socket.clone());
    }

    /// Minds a socket no longer.
    pub fn forget(&self, socket: &Connection, at: Timestamp) {
        let mut held = self.held.lock();
        held.due.remove(&(at, socket.key()));
        if held
            .told
            .get(&socket.key())
            .is_some_and(|told| told.ends == at)
        {
            held.told.remove(&socket.key());
        }
    }

    /// How many sockets are minded.
    #[must_use]
    pub fn len(&self) -> usize {
        let held = self.held.lock();
        held.due.len() + held.told.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells and closes what is due, for as long as it is polled. A token's end is a time of day,
    /// so this looks at the wall clock, which may jump.
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
        let Held { due, told } = &mut *held;
        while let Some(entry) = due.first_entry() {
            if entry.key().0 > now.wall {
                break;
            }
            let ((ends, key), socket) = entry.remove_entry();
            let _ = socket.emit_packet(notice);
            told.insert(
                key,
                Told {
                    socket,
                    ends,
                    closing: now.moment.plus(GRACE),
                },
            );
        }
        told.retain(|key, told| {
            if told.closing > now.moment {
                return true;
            }
            if told.ends > now.wall {
                // The clock was ahead, and is right again: the token has not ended yet.
                due.insert((told.ends, *key), told.socket.clone());
            } else {
                // Closing the transport, not the namespace: a client that has a fresh token comes
                // back by itself.
                told.socket.close_transport();
            }
            false
        });
    }
}

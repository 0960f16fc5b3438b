//! Tokens run out: their sockets are told, may bring a fresh one, and are closed otherwise.

use crate::socket::Member;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::Clock;
use parking_lot::Mutex;
use socketio::{Packet, Socket};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a socket has to bring a fresh token.
pub const GRACE: Duration = Duration::from_secs(30);

/// The sockets whose proof ends, by when.
#[derive(Default)]
pub struct Expiries {
    due: Mutex<BTreeMap<Due, (Socket<Member>, Stage)>>,
}

/// When, and which socket: its key tells apart those of the same moment.
type Due = (Timestamp, u64);

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Tell,
    Close,
}

impl Expiries {
    /// Minds a socket until its proof ends. Call [`Expiries::forget`] with the same time when it goes away or brings
    /// another.
    pub fn mind(&self, socket: &Socket<Member>, at: Timestamp) {
        self.due.lock().insert((at, socket.key()), (socket.clone(), Stage::Tell));
    }

    /// Minds a socket no longer.
    pub fn forget(&self, socket: &Socket<Member>, at: Timestamp) {
        let mut due = self.due.lock();
        due.remove(&(at, socket.key()));
        due.remove(&(closing(at), socket.key()));
    }

    /// How many sockets are minded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.lock().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells and closes what is due, for as long as it is polled. A token's end is a time of day, so this looks at the
    /// wall clock, which may jump.
    pub async fn run(&self, clock: Arc<dyn Clock>) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let grace_ms = u64::try_from(GRACE.as_millis()).unwrap_or(0);
        let notice = Packet::event("/", "token_expired", &lamplight_wire::encode::token_expired(grace_ms));
        loop {
            second.tick().await;
            self.step(clock.now().wall, &notice);
        }
    }

    fn step(&self, now: Timestamp, notice: &Packet) {
        let mut due = self.due.lock();
        while let Some(entry) = due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, key), (socket, stage)) = entry.remove_entry();
            match stage {
                Stage::Tell => {
                    let _ = socket.emit_packet(notice);
                    due.insert((closing(at), key), (socket, Stage::Close));
                }
                // Closing the transport, not the namespace: a client that has a fresh token comes back by itself.
                Stage::Close => socket.close_transport(),
            }
        }
    }
}

fn closing(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(GRACE.as_millis()).unwrap_or(0)))
}

//! The clocks and the ids of the machine that Lamplight runs on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::{Clock, Ids};
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::{ContextV7, Uuid};

/// The machine's clocks. Its moments follow tokio's time, so that a test that pauses it pauses
/// Lamplight.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose moments count from now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let moment = Moment(
            self.start
                .elapsed()
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX),
        );
        Now {
            moment,
            wall: wall(),
        }
    }
}

/// The wall clock. A machine that believes to be before 1970 gets 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the clock behind the Clock port"
)]
pub fn wall() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(since.as_millis().try_into().unwrap_or(i64::MAX))
}

/// Ids as UUIDs of version 7, and secrets from the machine's random source.
#[derive(Debug, Default)]
pub struct SystemIds {
    /// Counts within a millisecond, and holds still when the clock steps back, so that later ids
    /// sort after earlier ones.
    order: Mutex<ContextV7>,
}

impl SystemIds {
    /// A new source.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn uuid(&self, at: Timestamp) -> String {
        let millis = u64::try_from(at.0).unwrap_or(0);
        let nanos = u32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
        let at = uuid::Timestamp::from_unix(&*self.order.lock(), millis / 1_000, nanos);
        Uuid::new_v7(at).to_string()
    }
}

impl Ids for SystemIds {
    fn message(&self, at: Timestamp) -> MessageId {
        MessageId::trusted(self.uuid(at))
    }

    fn conversation(&self, at: Timestamp) -> ConversationId {
        ConversationId::trusted(self.uuid(at))
    }

    fn user(&self, at: Timestamp) -> UserId {
        UserId::trusted(self.uuid(at))
    }

    fn secret(&self) -> String {
        let mut bytes = [0_u8; 32];
        // Without randomness there are no secrets; going on with a weak one would be worse than
        // stopping.
        getrandom::fill(&mut bytes).expect("the system's random source answers");
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn moments_follow_the_paused_time_of_tests() {
        let clock = SystemClock::new();
        assert_eq!(clock.now().moment, Moment(0));
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now().moment, Moment(3_600_000));
    }

    #[test]
    fn the_wall_clock_is_in_milliseconds() {
        assert!(wall() > Timestamp(1_700_000_000_000));
        assert!(wall() < Timestamp(10_000_000_000_000));
    }

    #[test]
    fn ids_contain_their_time_and_sort_when_the_clock_steps_back() {
        let ids = SystemIds::new();
        let first = ids.message(Timestamp(0x0190_0000_0000));
        assert!(first.as_str().starts_with("01900000-0000-7"), "{first}");
        let mut last = first;
        for step in [0, 0, 1, 5, -4_000, 5, 6] {
            let next = ids.message(Timestamp(0x0190_0000_0000 + step));
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert!(MessageId::parse(ids.message(Timestamp(-1)).as_str()).is_ok());
    }

    #[test]
    fn secrets_have_256_bits_and_differ() {
        let ids = SystemIds::new();
        let secrets: HashSet<String> = (0..100).map(|_| ids.secret()).collect();
        assert_eq!(secrets.len(), 100);
        assert!(secrets.iter().all(|secret| {
            secret.len() == 43
                && secret
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        }));
    }
}

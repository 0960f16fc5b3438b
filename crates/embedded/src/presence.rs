//! Who is in, in memory.

use crate::messages::SqliteStore;
use async_trait::async_trait;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, Profile, UserId};
use lamplight_domain::presence::{
    Activity, Change, OfflineReason, Presence, Roster, Rules, SavedStatus, clock_version,
};
use lamplight_domain::time::Now;
use lamplight_usecases::ports::{
    Clock, EventBus, Page, Person, PresenceState, PresenceStore, StoreError, StoreResult,
};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How far ahead versions are reserved: a minute of the clock's.
const RESERVED: u64 = 60_000 * 4_096;
/// After so long a store that took no write is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The roster of a single node.
pub struct EmbeddedPresence {
    roster: Mutex<Roster>,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn EventBus>,
    /// Something may have to be done earlier than was known.
    replan: Notify,
    /// Versions up to here may be told: a restart begins after it, whatever its clock says.
    reserved: AtomicU64,
    /// Little is left of what is reserved.
    reserve: Notify,
}

impl EmbeddedPresence {
    /// An empty roster. No version above `version` was told in an earlier life.
    #[must_use]
    pub fn new(rules: Rules, version: u64, clock: Arc<dyn Clock>, bus: Arc<dyn EventBus>) -> Self {
        Self {
            roster: Mutex::new(Roster::new(rules, version)),
            clock,
            bus,
            replan: Notify::new(),
            reserved: AtomicU64::new(version),
            reserve: Notify::new(),
        }
    }

    /// Keeps in the store how far versions may have got, ahead of them, for as long as it is
    /// polled: once in half a minute at most while people come and go.
    pub async fn reserve_versions(&self, store: &SqliteStore) {
        loop {
            let reached = self
                .roster
                .lock()
                .version()
                .max(clock_version(self.clock.now().wall));
            let reserved = reached.saturating_add(RESERVED);
            match store.keep_presence_version(reserved).await {
                Ok(()) => {
                    self.reserved.store(reserved, Ordering::Relaxed);
                    self.reserve.notified().await;
                }
                Err(error) => {
                    tracing::debug!(%error, "how far versions have got is not kept yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// The newest version of anyone.
    pub fn version(&self) -> u64 {
        self.roster.lock().version()
    }

    /// Ends what is over by itself, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let wake = self.roster.lock().next_wake();
            match wake {
                Some(moment) => {
                    // A deadline has passed only when it is *over*: a refresh at that very moment
                    // wins.
                    let left = moment
                        .0
                        .saturating_add(1)
                        .saturating_sub(self.clock.now().moment.0);
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(left)) => {}
                        () = self.replan.notified() => {}
                    }
                }
                None => self.replan.notified().await,
            }
            self.tick();
        }
    }

    /// Ends what is over by now.
    pub fn tick(&self) {
        self.with(|roster, now| roster.tick(now));
    }

    /// How many sessions there are, those in their grace period and the invisible included.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.roster.lock().session_count()
    }

    /// Entries of the roster's tables.
    pub fn held(&self) -> usize {
        self.roster.lock().held()
    }

    /// How many users are shown as in.
    #[must_use]
    pub fn online_count(&self) -> usize {
        self.roster.lock().count()
    }

    /// Everyone who is shown as in has been seen until now: for a shutdown, after which nobody is
    /// in any more.
    pub fn everyone(&self) -> Vec<UserId> {
        self.roster
            .lock()
            .list(0)
            .map(|shown| shown.profile.id.clone())
            .collect()
    }

    fn with(&self, step: impl FnOnce(&mut Roster, Now) -> Vec<Change>) {
        let mut roster = self.roster.lock();
        let before = roster.next_wake();
        let changes = step(&mut roster, self.clock.now());
        let sooner = match (roster.next_wake(), before) {
            (Some(now), Some(before)) => now < before,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !changes.is_empty()
            && roster.version().saturating_add(RESERVED / 2) > self.reserved.load(Ordering::Relaxed)
        {
            self.reserve.notify_one();
        }
        // Published under the lock, so that everyone hears the changes in the order of their
        // versions.
        for change in changes {
            self.bus.publish(Event::Presence(change));
        }
        drop(roster);
        if sooner {
            self.replan.notify_one();
        }
    }
}

#[async_trait]
impl PresenceStore for EmbeddedPresence {
    async fn join(&self, session: &ConnectionId, person: Person) -> StoreResult<()> {
        self.with(|roster, now| {
            roster.join(
                now,
                session.clone(),
                person.profile,
                person.status,
                person.last_seen,
            )
        });
        Ok(())
    }

    async fn activity(&self, session: &ConnectionId, active: bool) -> StoreResult<()> {
        self.with(|roster, now| roster.activity(now, session, active));
        Ok(())
    }

    async fn close(&self, session: &ConnectionId, reason: OfflineReason) -> StoreResult<()> {
        self.with(|roster, now| roster.close(now, session, reason));
        Ok(())
    }

    async fn sign_out(&self, session: &ConnectionId) -> StoreResult<()> {
        self.with(|roster, now| roster.sign_out(now, session));
        Ok(())
    }

    async fn set_status(&self, user: &UserId, status: SavedStatus) -> StoreResult<()> {
        self.with(|roster, now| roster.set_status(now, user, status));
        Ok(())
    }

    async fn set_activity(
        &self,
        session: &ConnectionId,
        activity: Option<Activity>,
    ) -> StoreResult<()> {
        self.with(|roster, now| roster.set_activity(now, session, activity));
        Ok(())
    }

    async fn set_profile(&self, profile: Profile) -> StoreResult<()> {
        self.with(|roster, now| roster.set_profile(now, profile));
        Ok(())
    }

    async fn get(&self, user: &UserId) -> StoreResult<Option<Arc<Presence>>> {
        Ok(self.roster.lock().get(user.as_str()).cloned())
    }

    async fn states(&self, users: &[UserId]) -> StoreResult<Vec<PresenceState>> {
        let roster = self.roster.lock();
        let states = users.iter().map(|user| {
            let shown = roster.get(user.as_str()).cloned();
            let version = shown
                .as_ref()
                .map_or(roster.version(), |shown| shown.version);
            PresenceState { shown, version }
        });
        Ok(states.collect())
    }

    async fn list(
        &self,
        cursor: Option<&str>,
        limit: usize,
        except: Option<&UserId>,
    ) -> StoreResult<Page<Arc<Presence>>> {
        let after = cursor.map_or(Ok(0), read_cursor)?;
        let mut items: Vec<_> = self
            .roster
            .lock()
            .list(after)
            .filter(|shown| Some(&shown.profile.id) != except)
            .take(limit.saturating_add(1))
            .cloned()
            .collect();
        let kept = limit.min(weight::fitting(&items, ANSWER_BYTES, |shown| {
            weight::presence(shown)
        }));
        let has_more = items.len() > kept;
        items.truncate(kept);
        let next = items
            .last()
            .filter(|_| has_more)
            .map(|last| write_cursor(last.since));
        Ok(Page { items, next })
    }

    async fn count(&self) -> StoreResult<usize> {
        Ok(self.roster.lock().count())
    }

    async fn is_invisible(&self, user: &UserId) -> StoreResult<bool> {
        Ok(self.roster.lock().is_invisible(user.as_str()))
    }

    fn is_degraded(&self) -> bool {
        false
    }
}

/// A page continues after the `since` of the last entry of the page before, in base 36.
fn write_cursor(mut since: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((since % 36) as u32, 36).unwrap_or('0'));
        since /= 36;
        if since == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

fn read_cursor(cursor: &str) -> StoreResult<u64> {
    u64::from_str_radix(cursor, 36).map_err(|_| StoreError::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        for since in [0, 35, 36, u64::MAX] {
            assert_eq!(read_cursor(&write_cursor(since)).ok(), Some(since));
        }
        for bad in ["", "-1", "!", "3w5e11264sgsg"] {
            assert!(
                matches!(read_cursor(bad), Err(StoreError::BadCursor)),
                "{bad}"
            );
        }
    }
}

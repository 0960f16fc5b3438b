//! Presence in memory.

mod cursor;
mod shared;
mod versions;

pub use versions::VersionStore;

use async_trait::async_trait;
use cursor::{read_cursor, write_cursor};
use lamplight_domain::identity::{ConnectionId, NodeId, Profile, UserId};
use lamplight_domain::presence::{
    Activity, Change, NodeIndex, NodeLease, OfflineReason, Presence, Roster, RosterSnapshot, Rules,
    SavedStatus,
};
use lamplight_domain::time::Now;
use lamplight_usecases::ports::{
    Clock, EventBus, LastSeenQueue, Page, Person, PresenceState, PresenceStore, StoreError,
    StoreResult,
};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use shared::Shared;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The name of the process that holds the store.
const THIS_NODE: &str = "embedded";

/// The presence store as one node sees it. The memory is shared by all nodes made from the same
/// [`EmbeddedPresence::new`]; the server has one.
pub struct EmbeddedPresence {
    shared: Arc<Shared>,
    node: NodeId,
    /// How long this node's lease lasts.
    lease: Duration,
    /// The [`NodeIndex`] of the lease that this handle acquired last.
    index: AtomicU32,
    last_seen: LastSeenQueue,
}

impl EmbeddedPresence {
    /// A store without sessions, and its first node. No version above `version` was used before.
    ///
    /// The store ends with this process, so the lease of its first node does not lapse: a process
    /// that stood still for a while has lost nothing.
    #[must_use]
    pub fn new(rules: Rules, version: u64, clock: Arc<dyn Clock>, bus: Arc<dyn EventBus>) -> Self {
        let shared = Arc::new(Shared::new(rules, version, clock, bus));
        let first = Self::with_lease(shared, NodeId::trusted(THIS_NODE), Duration::MAX);
        first.acquire();
        first
    }

    /// Another node of the same store, without a lease.
    #[must_use]
    pub fn another_node(&self, node: NodeId) -> Self {
        Self::with_lease(Arc::clone(&self.shared), node, self.shared.rules.lease)
    }

    fn with_lease(shared: Arc<Shared>, node: NodeId, lease: Duration) -> Self {
        Self {
            shared,
            node,
            lease,
            index: AtomicU32::default(),
            last_seen: LastSeenQueue::default(),
        }
    }

    fn index(&self) -> NodeIndex {
        NodeIndex(self.index.load(Ordering::Relaxed))
    }

    fn acquire(&self) -> NodeLease {
        self.shared.step(&self.last_seen, |state, now| {
            let (index, lease, earlier) = state.leases.acquire(now, self.node.clone(), self.lease);
            self.index.store(index.0, Ordering::Relaxed);
            let changes = earlier.map_or_else(Vec::new, |ended| {
                // Users who return to the restarted node within the grace period cause no event.
                let end = now.moment.plus(self.shared.rules.grace);
                let end = end.min(ended.lease.expires);
                state.close_left(now, &ended, end, OfflineReason::NodeLost)
            });
            (changes, lease)
        })
    }

    fn write(
        &self,
        step: impl FnOnce(&mut Roster, Now, NodeIndex) -> Vec<Change>,
    ) -> StoreResult<()> {
        let node = self.index();
        self.shared
            .write(node, &self.last_seen, |roster, now| step(roster, now, node))
    }

    /// Reserves versions in the database, ahead of their use, for as long as it is polled.
    pub async fn reserve_versions(&self, store: &dyn VersionStore) {
        self.shared
            .versions
            .run(store, &*self.shared.clock, || self.version())
            .await;
    }

    /// The newest version of any user.
    pub fn version(&self) -> u64 {
        self.shared.state.lock().roster.version()
    }

    /// Runs expiries, for as long as it is polled.
    pub async fn run(&self) {
        self.shared.run(&self.last_seen).await;
    }

    /// Runs the expiries that are due now.
    pub fn tick(&self) {
        self.shared.tick(&self.last_seen);
    }

    /// How many sessions there are, those in their grace period and the invisible included.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.shared.state.lock().roster.session_count()
    }

    /// Entries of the roster's tables.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.state.lock().roster.held()
    }

    /// How many users are shown as online.
    #[must_use]
    pub fn online_count(&self) -> usize {
        self.shared.state.lock().roster.count()
    }

    /// The process stops, and presence in memory ends with it: queues everyone who is shown as online
    /// as last seen now. The times are written by the next flush of the handler.
    pub fn queue_everyone(&self) {
        let now = self.shared.clock.now().wall;
        for shown in self.shared.state.lock().roster.list(0) {
            self.last_seen.add_at(&shown.profile.id, now);
        }
    }
}

#[async_trait]
impl PresenceStore for EmbeddedPresence {
    async fn join(&self, session: &ConnectionId, person: Person) -> StoreResult<()> {
        self.write(|roster, now, node| {
            let Person {
                profile,
                status,
                last_seen,
            } = person;
            roster.join(now, node, session.clone(), profile, status, last_seen)
        })
    }

    async fn activity(&self, session: &ConnectionId, active: bool) -> StoreResult<()> {
        self.write(|roster, now, node| roster.activity(now, node, session, active))
    }

    async fn close(&self, session: &ConnectionId, reason: OfflineReason) -> StoreResult<()> {
        self.write(|roster, now, node| roster.close(now, node, session, reason))
    }

    async fn sign_out(&self, session: &ConnectionId) -> StoreResult<()> {
        self.write(|roster, now, node| roster.sign_out(now, node, session))
    }

    async fn set_status(&self, user: &UserId, status: SavedStatus) -> StoreResult<()> {
        self.write(|roster, now, _| roster.set_status(now, user, status))
    }

    async fn set_activity(
        &self,
        session: &ConnectionId,
        activity: Option<Activity>,
    ) -> StoreResult<()> {
        self.write(|roster, now, node| roster.set_activity(now, node, session, activity))
    }

    async fn set_sharing(&self, user: &UserId, is_sharing: bool) -> StoreResult<()> {
        self.write(|roster, now, node| roster.set_sharing(now, node, user, is_sharing))
    }

    async fn set_profile(&self, profile: Profile) -> StoreResult<()> {
        self.write(|roster, now, _| roster.set_profile(now, profile))
    }

    async fn get(&self, user: &UserId) -> StoreResult<Option<Arc<Presence>>> {
        let state = self.shared.state.lock();
        Ok(state.roster.get(user.as_str()).cloned())
    }

    async fn states(&self, users: &[UserId]) -> StoreResult<Vec<PresenceState>> {
        let roster = &self.shared.state.lock().roster;
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
        except: &HashSet<UserId>,
    ) -> StoreResult<Page<Arc<Presence>>> {
        let after = cursor.map_or(Ok(0), read_cursor)?;
        let mut items: Vec<_> = self
            .shared
            .state
            .lock()
            .roster
            .list(after)
            .filter(|shown| !except.contains(&shown.profile.id))
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

    async fn snapshot(&self) -> StoreResult<RosterSnapshot> {
        Ok(self.shared.state.lock().roster.snapshot())
    }

    async fn count(&self) -> StoreResult<usize> {
        Ok(self.shared.state.lock().roster.count())
    }

    async fn is_invisible(&self, user: &UserId) -> StoreResult<bool> {
        let state = self.shared.state.lock();
        Ok(state.roster.is_invisible(user.as_str()))
    }

    async fn last_active(&self, user: &UserId) -> StoreResult<Option<Duration>> {
        let now = self.shared.clock.now();
        let state = self.shared.state.lock();
        Ok(state.roster.last_active(now, user.as_str()))
    }

    async fn acquire_lease(&self) -> StoreResult<NodeLease> {
        Ok(self.acquire())
    }

    async fn renew_lease(&self) -> StoreResult<NodeLease> {
        let now = self.shared.clock.now();
        let leases = &mut self.shared.state.lock().leases;
        leases
            .renew(now, self.index(), self.lease)
            .ok_or(StoreError::Fenced)
    }

    async fn release_lease(&self) -> StoreResult<()> {
        self.shared.step(&self.last_seen, |state, now| {
            let changes = state.leases.release(self.index()).map(|mut ended| {
                ended.seen = now.wall;
                let end = now.moment.plus(self.shared.rules.grace);
                state.close_left(now, &ended, end, OfflineReason::Closed)
            });
            (changes.unwrap_or_default(), ())
        });
        Ok(())
    }

    async fn sweep_expired(&self) -> StoreResult<Vec<NodeLease>> {
        let swept = self.shared.step(&self.last_seen, |state, now| {
            let ended = state.leases.sweep(now.moment);
            let changes = ended.iter().flat_map(|ended| {
                // The grace period is over before the lease is.
                state.close_left(now, ended, ended.lease.expires, OfflineReason::NodeLost)
            });
            let changes = changes.collect();
            (changes, ended)
        });
        Ok(swept.into_iter().map(|ended| ended.lease).collect())
    }

    fn last_seen(&self) -> &LastSeenQueue {
        &self.last_seen
    }

    fn is_degraded(&self) -> bool {
        false
    }
}

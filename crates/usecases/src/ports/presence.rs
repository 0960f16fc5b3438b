//! The presence of users.

use super::directory::Person;
use super::last_seen::LastSeenQueue;
use super::store::{Page, StoreResult};
use async_trait::async_trait;
use lamplight_domain::identity::{ConnectionId, Profile, UserId};
use lamplight_domain::presence::{
    Activity, NodeLease, OfflineReason, Presence, RosterSnapshot, SavedStatus,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The visible state of one user, read in one step with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceState {
    /// `None` if shown as offline.
    pub shown: Option<Arc<Presence>>,
    /// At least as high as every version that this user had until now, and lower than every later
    /// one. It is unrelated to versions of other users.
    pub version: u64,
}

/// The sessions of users, and how users are shown.
///
/// Each value stands for one node. Several nodes may share one store: each holds a lease, and writes
/// of a node without one are [`StoreError::Fenced`](super::StoreError::Fenced). Changes leave through the
/// [`EventBus`](super::EventBus); those of one user in the order of their versions. Versions of two
/// users are never compared: an adapter may count for each user, or for some of them together.
#[async_trait]
pub trait PresenceStore: Send + Sync + 'static {
    /// Begins an incarnation of this node, before its first write and again after
    /// [`StoreError::Fenced`](super::StoreError::Fenced). Writes of an earlier incarnation are fenced
    /// from now on. Its sessions end after the grace period, or with its lease if that is earlier,
    /// unless they are announced again.
    async fn acquire_lease(&self) -> StoreResult<NodeLease>;
    /// Extends this node's lease: called on a timer, several times within a lease, whatever the
    /// traffic. `Fenced` if the lease ended: this node then acquires another one and announces all
    /// its sessions again.
    async fn renew_lease(&self) -> StoreResult<NodeLease>;
    /// Ends this node's lease at a stop. Sessions that it has not closed end after the grace period.
    async fn release_lease(&self) -> StoreResult<()>;
    /// Closes the sessions of nodes whose lease has lapsed; returns these leases. Every node calls it
    /// on a timer, and one of them sweeps each lease.
    async fn sweep_expired(&self) -> StoreResult<Vec<NodeLease>>;
    /// A session begins, or announces itself again. It belongs to the node that announced it last:
    /// late calls of another node for it do nothing.
    async fn join(&self, session: &ConnectionId, person: Person) -> StoreResult<()>;
    /// The heartbeat of a session.
    async fn activity(&self, session: &ConnectionId, active: bool) -> StoreResult<()>;
    /// The connection of a session closed.
    async fn close(&self, session: &ConnectionId, reason: OfflineReason) -> StoreResult<()>;
    /// A session ends at once, without a grace period.
    async fn sign_out(&self, session: &ConnectionId) -> StoreResult<()>;
    /// A manual status, for all of a user's sessions. Ignored unless its revision is newer than that
    /// of every status that this user had here: nodes may report in any order what the directory
    /// saved, and [`join`](Self::join) may bring a status that was read before the latest.
    async fn set_status(&self, user: &UserId, status: SavedStatus) -> StoreResult<()>;
    /// The activity of a session's user.
    async fn set_activity(
        &self,
        session: &ConnectionId,
        activity: Option<Activity>,
    ) -> StoreResult<()>;
    /// Whether a user uploads a file, which [`Activity::sharing_file`] shows. It applies to the current
    /// sessions of the user on this node, beside their own activities.
    async fn set_sharing(&self, user: &UserId, is_sharing: bool) -> StoreResult<()>;
    /// A profile changed.
    async fn set_profile(&self, profile: Profile) -> StoreResult<()>;
    /// The visible state of a user, `None` if offline.
    async fn get(&self, user: &UserId) -> StoreResult<Option<Arc<Presence>>>;
    /// The visible state of each of these users, in the same order.
    async fn states(&self, users: &[UserId]) -> StoreResult<Vec<PresenceState>>;
    /// Users who are shown as online, without those in `except`, each on one page only, however they
    /// change meanwhile. Neither the items nor the cursor depend on users in `except`. A page has at most `limit` entries and at most
    /// [`ANSWER_BYTES`](crate::weight::ANSWER_BYTES), but at least one. A cursor of no earlier page
    /// is [`StoreError::BadCursor`](super::StoreError::BadCursor).
    async fn list(
        &self,
        cursor: Option<&str>,
        limit: usize,
        except: &HashSet<UserId>,
    ) -> StoreResult<Page<Arc<Presence>>>;
    /// Everyone who is shown as online, for [`RosterFeed::resync`]. Changes published before it is
    /// read are in it; later ones may be.
    ///
    /// [`RosterFeed::resync`]: lamplight_domain::roster_feed::RosterFeed::resync
    async fn snapshot(&self) -> StoreResult<RosterSnapshot>;
    /// How many users are shown as online.
    async fn count(&self) -> StoreResult<usize>;
    /// Whether a user has a session and is to look offline all the same.
    async fn is_invisible(&self, user: &UserId) -> StoreResult<bool>;
    /// The time since the user was last active at any device: since the latest heartbeat, or the
    /// announcement, of an open session whose client does not report idle. `None` if there is no such
    /// session, and while the shared store is unreachable. Independent of the user's status.
    async fn last_active(&self, user: &UserId) -> StoreResult<Option<Duration>>;
    /// When the users whose presence this node ended were last seen, until the directory has it. The
    /// store decides the time; [`Handler::run_background`](crate::Handler::run_background) writes it.
    fn last_seen(&self) -> &LastSeenQueue;
    /// Whether answers contain this node's own view only, because the shared store is unreachable.
    fn is_degraded(&self) -> bool;
}

//! The presence of users.

use super::directory::Person;
use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::identity::{ConnectionId, Profile, UserId};
use lamplight_domain::presence::{Activity, OfflineReason, Presence, StatusOverride};
use std::sync::Arc;

/// Who is in. Changes leave through the [`EventBus`](super::EventBus) in order.
#[async_trait]
pub trait PresenceStore: Send + Sync + 'static {
    /// A session begins, or announces itself again.
    async fn join(&self, session: &ConnectionId, person: Person) -> StoreResult<()>;
    /// The heartbeat of a session.
    async fn activity(&self, session: &ConnectionId, active: bool) -> StoreResult<()>;
    /// A session's socket is gone.
    async fn close(&self, session: &ConnectionId, reason: OfflineReason) -> StoreResult<()>;
    /// A session is over at once.
    async fn sign_out(&self, session: &ConnectionId) -> StoreResult<()>;
    /// A manual status, for all of a user's sessions.
    async fn set_status(&self, user: &UserId, chosen: StatusOverride) -> StoreResult<()>;
    /// What a session's user is doing.
    async fn set_activity(
        &self,
        session: &ConnectionId,
        activity: Option<Activity>,
    ) -> StoreResult<()>;
    /// A profile changed.
    async fn set_profile(&self, profile: Profile) -> StoreResult<()>;
    /// How someone is shown, `None` if as offline.
    async fn get(&self, user: &UserId) -> StoreResult<Option<Arc<Presence>>>;
    /// Those who came in after the version `after`, in the order in which they came.
    async fn list(&self, after: u64, limit: usize) -> StoreResult<Vec<Arc<Presence>>>;
    /// How many are shown as in.
    async fn count(&self) -> StoreResult<usize>;
    /// Whether someone has a session and is to look offline all the same.
    async fn is_invisible(&self, user: &UserId) -> StoreResult<bool>;
    /// Whether what is answered is this node's own view only, because the shared store is out of
    /// reach.
    fn is_degraded(&self) -> bool;
}

//! Presence in Redis: any number of nodes show one roster.
//!
//! The rules are those of `domain::presence`. A step reads one user's record, restores a roster of
//! that user, and commits the new record with a script that refuses it if another node wrote
//! meanwhile. `docs/redis.md` names every key and script.
//!
//! - [`Feed`]: the copy of visible states that serves reads.
//! - `node`, `step`, `leases`: writes, and who may write.
//! - `register`, `driver`: the sessions of this node, and their announcement after an outage of Redis.

mod change;
mod cursor;
mod driver;
mod feed;
mod keys;
mod leases;
mod node;
mod presence_json;
mod record;
mod register;
mod scripts;
mod step;
mod timers;
mod user_step;

pub use feed::Feed;

use async_trait::async_trait;
use cursor::{read_cursor, write_cursor};
use lamplight_domain::identity::{ConnectionId, NodeId, Profile, UserId};
use lamplight_domain::presence::{
    Activity, Change, NodeIndex, NodeLease, OfflineReason, Presence, RosterSnapshot, Rules,
    SavedStatus,
};
use lamplight_usecases::ports::{
    Clock, LastSeenQueue, Page, Person, PresenceState, PresenceStore, StoreResult,
};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use node::Node;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a node looks at all buckets.
pub const POLL_EVERY: Duration = Duration::from_secs(1);

/// The presence store as one node sees it.
pub struct RedisPresence {
    node: Arc<Node>,
}

impl RedisPresence {
    /// A node without a lease. Poll [`RedisPresence::run`], which acquires one and keeps it.
    #[must_use]
    pub fn new(feed: Arc<Feed>, node: NodeId, rules: Rules, clock: Arc<dyn Clock>) -> Self {
        Self::with_poll(feed, node, rules, clock, POLL_EVERY)
    }

    /// As [`RedisPresence::new`], with another pace of looking at all buckets.
    #[must_use]
    pub fn with_poll(
        feed: Arc<Feed>,
        node: NodeId,
        rules: Rules,
        clock: Arc<dyn Clock>,
        poll_every: Duration,
    ) -> Self {
        Self {
            node: Arc::new(Node::new(feed, node, rules, clock, poll_every)),
        }
    }

    /// Keeps this node and its copy of the presence up to date, for as long as it is polled: acquires
    /// and renews the lease, sweeps, ticks, follows the changes, and heals after an outage. From its
    /// start on, writes succeed while Redis is away.
    pub async fn run(&self) {
        tokio::join!(self.node.feed.run(&self.node.last_seen), self.node.run());
    }

    /// Follows the changes only. For several nodes that share one [`Feed`] in tests.
    pub async fn run_feed(&self) {
        self.node.feed.run(&self.node.last_seen).await;
    }

    /// Ticks only, without a lease of its own. For nodes whose leases a test keeps.
    pub async fn run_timers(&self) {
        self.node.run_timers().await;
    }

    /// How many sessions this node holds.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.node.register().session_count()
    }

    /// How many users are shown as online.
    #[must_use]
    pub fn online_count(&self) -> usize {
        self.node.feed.count()
    }

    /// A write of a session, which has to be one of this node.
    async fn of_session(
        &self,
        session: &ConnectionId,
        note: impl FnOnce(&mut register::Register) + Send,
        run: impl Fn(&mut user_step::Step, NodeIndex) -> Vec<Change> + Send + Sync,
    ) -> StoreResult<()> {
        let user = self.node.register().user_of(session);
        self.check_lease()?;
        // A late call for a session that another node holds, or none: it does nothing.
        let Some(user) = user else {
            return Ok(());
        };
        let _turn = self.node.lock(&user).await;
        {
            let mut register = self.node.register();
            if !register.has_session(session) {
                return Ok(());
            }
            note(&mut register);
        }
        self.node
            .write(&user, |step| {
                let index = step.mine();
                run(step, index)
            })
            .await
    }

    /// Refuses a node without a lease, unless it is about to acquire one by itself.
    fn check_lease(&self) -> StoreResult<()> {
        match self.node.writer() {
            Err(error) if !self.is_driven() => Err(error),
            _ => Ok(()),
        }
    }

    fn is_driven(&self) -> bool {
        self.node.is_driven.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl PresenceStore for RedisPresence {
    async fn acquire_lease(&self) -> StoreResult<NodeLease> {
        let acquired = self.node.acquire().await?;
        let node = Arc::clone(&self.node);
        let earlier = acquired.earlier;
        if !earlier.is_empty() {
            // A node may have left many users. If this one dies meanwhile, a sweep continues.
            tokio::spawn(async move {
                for ended in &earlier {
                    if let Err(error) = node.close_ended(ended).await {
                        tracing::debug!(%error, "closing an earlier incarnation failed");
                    }
                }
            });
        }
        Ok(acquired.lease)
    }

    async fn renew_lease(&self) -> StoreResult<NodeLease> {
        self.node.renew().await
    }

    async fn release_lease(&self) -> StoreResult<()> {
        self.node.release().await
    }

    async fn sweep_expired(&self) -> StoreResult<Vec<NodeLease>> {
        self.node.sweep().await
    }

    async fn join(&self, session: &ConnectionId, person: Person) -> StoreResult<()> {
        let user = person.profile.id.clone();
        let _turn = self.node.lock(&user).await;
        self.check_lease()?;
        let is_new = {
            let mut register = self.node.register();
            let is_new = !register.has_session(session);
            if !register.join(session, person.clone()) {
                return Ok(()); // One session has one user; the use case has refused this already.
            }
            is_new
        };
        let joined = self.node.write(&user, |step| {
            let (index, now) = (step.mine(), step.now);
            let Person {
                profile,
                status,
                last_seen,
            } = person.clone();
            step.roster
                .join(now, index, session.clone(), profile, status, last_seen)
        });
        let joined = joined.await;
        let mut register = self.node.register();
        match &joined {
            Ok(()) if !self.node.is_down() => register.set_committed(session),
            Err(_) if is_new => register.remove(session),
            _ => {}
        }
        joined
    }

    async fn activity(&self, session: &ConnectionId, active: bool) -> StoreResult<()> {
        self.of_session(
            session,
            |register| register.set_active(session, active),
            |step, index| step.roster.activity(step.now, index, session, active),
        )
        .await
    }

    async fn close(&self, session: &ConnectionId, reason: OfflineReason) -> StoreResult<()> {
        self.of_session(
            session,
            |register| register.remove(session),
            |step, index| step.roster.close(step.now, index, session, reason),
        )
        .await
    }

    async fn sign_out(&self, session: &ConnectionId) -> StoreResult<()> {
        self.of_session(
            session,
            |register| register.remove(session),
            |step, index| step.roster.sign_out(step.now, index, session),
        )
        .await
    }

    async fn set_status(&self, user: &UserId, status: SavedStatus) -> StoreResult<()> {
        let _turn = self.node.lock(user).await;
        self.check_lease()?;
        {
            let mut register = self.node.register();
            register.set_status(user, &status);
            if self.node.is_down() {
                register.wait_with_status(user, status.clone());
            }
        }
        self.node
            .write(user, |step| {
                step.roster.set_status(step.now, user, status.clone())
            })
            .await
    }

    async fn set_activity(
        &self,
        session: &ConnectionId,
        activity: Option<Activity>,
    ) -> StoreResult<()> {
        self.of_session(
            session,
            |register| register.set_activity(session, activity.clone()),
            |step, index| {
                step.roster
                    .set_activity(step.now, index, session, activity.clone())
            },
        )
        .await
    }

    async fn set_sharing(&self, user: &UserId, is_sharing: bool) -> StoreResult<()> {
        let _turn = self.node.lock(user).await;
        self.check_lease()?;
        if !self.node.register().set_sharing(user, is_sharing) {
            return Ok(());
        }
        self.node
            .write(user, |step| {
                let index = step.mine();
                step.roster.set_sharing(step.now, index, user, is_sharing)
            })
            .await
    }

    async fn set_profile(&self, profile: Profile) -> StoreResult<()> {
        let _turn = self.node.lock(&profile.id).await;
        self.check_lease()?;
        {
            let mut register = self.node.register();
            register.set_profile(&profile);
            if self.node.is_down() {
                register.wait_with_profile(profile.clone());
            }
        }
        self.node
            .write(&profile.id, |step| {
                step.roster.set_profile(step.now, profile.clone())
            })
            .await
    }

    async fn get(&self, user: &UserId) -> StoreResult<Option<Arc<Presence>>> {
        Ok(self.node.feed.get(user))
    }

    async fn states(&self, users: &[UserId]) -> StoreResult<Vec<PresenceState>> {
        Ok(self.node.feed.states(users))
    }

    async fn list(
        &self,
        cursor: Option<&str>,
        limit: usize,
        except: &HashSet<UserId>,
    ) -> StoreResult<Page<Arc<Presence>>> {
        let after = cursor.map(read_cursor).transpose()?;
        let more = limit.saturating_add(1);
        let mut items = self.node.feed.list(after, more, except);
        let kept = limit.min(weight::fitting(&items, ANSWER_BYTES, |shown| {
            weight::presence(shown)
        }));
        let has_more = items.len() > kept;
        items.truncate(kept);
        let next = items
            .last()
            .filter(|_| has_more)
            .map(|last| write_cursor(last.since, &last.profile.id));
        Ok(Page { items, next })
    }

    async fn snapshot(&self) -> StoreResult<RosterSnapshot> {
        Ok(self.node.feed.snapshot())
    }

    async fn count(&self) -> StoreResult<usize> {
        Ok(self.node.feed.count())
    }

    async fn is_invisible(&self, user: &UserId) -> StoreResult<bool> {
        Ok(self.node.feed.is_hidden(user))
    }

    async fn last_active(&self, user: &UserId) -> StoreResult<Option<Duration>> {
        Ok(self.node.last_active(user).await.unwrap_or_default())
    }

    fn last_seen(&self) -> &LastSeenQueue {
        &self.node.last_seen
    }

    fn is_degraded(&self) -> bool {
        !self.node.is_up() || !self.node.feed.is_whole()
    }
}

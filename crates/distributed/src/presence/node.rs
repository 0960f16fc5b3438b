//! One node: its incarnation, its sessions, and whether Redis answers.

use super::change::Moved;
use super::feed::{Feed, Own};
use super::register::{Announcement, Register};
use super::scripts::Writer;
use super::timers::Timers;
use super::user_step::Step;
use lamplight_domain::identity::{ConnectionId, NodeId, UserId};
use lamplight_domain::presence::{Change, OfflineReason, Rules, SessionLife};
use lamplight_usecases::ports::{Clock, LastSeenQueue, StoreError, StoreResult};
use lamplight_usecases::throttle::{self, Due};
use parking_lot::{Mutex, MutexGuard};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Steps of one user are made one after the other on a node; users share this many locks.
const LOCKS: usize = 1_024;
/// How long one write may take; afterwards it is kept here. A join has two, the profile and the
/// session, and with both it has to end before its use case gives up on the store.
const DEADLINE: Duration = Duration::from_millis(1_500);

/// How many incarnations are remembered.
const EARLIER: usize = 32;

/// Redis does not answer, or this node was fenced: writes are kept here.
const DOWN: u8 = 0;
/// Redis answers, and may not have all sessions of this node yet.
const HEALING: u8 = 1;
const UP: u8 = 2;

/// The state of a node, shared with its copy of the presence.
#[derive(Default)]
pub(super) struct Held {
    register: Mutex<Register>,
    /// 0 without a lease.
    incarnation: AtomicU64,
}

impl Own for Held {
    fn has(&self, user: &UserId) -> bool {
        self.register.lock().has_user(user)
    }

    fn moved(&self, moved: &Moved) {
        if moved.to == self.incarnation.load(Ordering::Relaxed) {
            return;
        }
        let mut register = self.register.lock();
        for session in &moved.sessions {
            register.remove_moved(session);
        }
    }
}

pub(super) struct Node {
    pub(super) feed: Arc<Feed>,
    pub(super) id: NodeId,
    pub(super) rules: Rules,
    pub(super) clock: Arc<dyn Clock>,
    /// How often all buckets are looked at.
    pub(super) poll_every: Duration,
    /// The incarnations of this process so far.
    earlier: Mutex<Vec<u64>>,
    state: AtomicU8,
    /// It is logged that Redis does not answer.
    is_reported: AtomicBool,
    /// Users are being announced.
    pub(super) is_healing: AtomicBool,
    /// Calls that failed, since the last look at all buckets that did not.
    failures: AtomicU32,
    /// Whether [`Node::run`] heals what fails. Otherwise callers get the errors.
    pub(super) is_driven: AtomicBool,
    /// The node gave its lease up, and acquires none any more by itself.
    pub(super) is_leaving: AtomicBool,
    pub(super) own: Arc<Held>,
    locks: Vec<tokio::sync::Mutex<()>>,
    hasher: RandomState,
    pub(super) last_seen: LastSeenQueue,
    pub(super) timers: Timers,
    /// There is something to heal.
    pub(super) heal: Notify,
}

impl Node {
    pub(super) fn new(
        feed: Arc<Feed>,
        id: NodeId,
        rules: Rules,
        clock: Arc<dyn Clock>,
        poll_every: Duration,
    ) -> Self {
        let mut locks = Vec::new();
        locks.resize_with(LOCKS, tokio::sync::Mutex::default);
        Self {
            feed,
            id,
            rules,
            clock,
            poll_every,
            earlier: Mutex::default(),
            state: AtomicU8::new(UP),
            is_reported: AtomicBool::new(false),
            is_healing: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            is_driven: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            own: Arc::default(),
            locks,
            hasher: RandomState::new(),
            last_seen: LastSeenQueue::default(),
            timers: Timers::default(),
            heal: Notify::new(),
        }
    }

    /// The sessions of this node. Never locked while the copy of the presence is called.
    pub(super) fn register(&self) -> MutexGuard<'_, Register> {
        self.own.register.lock()
    }

    /// The writer.
    pub(super) fn writer(&self) -> StoreResult<Writer<'_>> {
        match self.own.incarnation.load(Ordering::Relaxed) {
            0 => Err(StoreError::Fenced),
            incarnation => Ok(Writer {
                node: &self.id,
                incarnation,
            }),
        }
    }

    pub(super) fn set_incarnation(&self, incarnation: u64) {
        let mut earlier = self.earlier.lock();
        // The sessions of an old incarnation are closed long before it is forgotten here.
        if earlier.len() >= EARLIER {
            earlier.remove(0);
        }
        earlier.push(incarnation);
        self.own.incarnation.store(incarnation, Ordering::Relaxed);
    }

    /// The incarnation has ended, unless there is another one by now.
    pub(super) fn fenced(&self, writer: Writer<'_>) -> StoreError {
        let _ = self.own.incarnation.compare_exchange(
            writer.incarnation,
            0,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        StoreError::Fenced
    }

    pub(super) fn is_down(&self) -> bool {
        self.state.load(Ordering::Relaxed) == DOWN
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UP
    }

    /// Writes go to Redis again.
    pub(super) fn set_healing(&self) {
        self.is_reported.store(false, Ordering::Relaxed);
        self.state.store(HEALING, Ordering::Relaxed);
    }

    /// Redis has everything. Not if it stopped to answer meanwhile.
    pub(super) fn set_up(&self) {
        let _ = self
            .state
            .compare_exchange(HEALING, UP, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A node is down until it has its first lease, which is nothing to report.
    pub(super) fn begin(&self) {
        self.state.store(DOWN, Ordering::Relaxed);
        self.heal.notify_one();
    }

    pub(super) fn go_down(&self, reason: &StoreError) {
        self.state.store(DOWN, Ordering::Relaxed);
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            let line = reason.to_string();
            if let Some(Due { left_out }) = throttle::due("presence", &line, None) {
                tracing::warn!(%reason, left_out, "presence is degraded");
            }
        }
        self.heal.notify_one();
    }

    /// Records the result of a call. A single failure while connected may be slowness; two in a row
    /// count as an outage.
    pub(super) fn check(&self, result: StoreResult<()>) {
        match result {
            Ok(()) => self.failures.store(0, Ordering::Relaxed),
            Err(StoreError::Internal(_)) => {}
            Err(error) => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
                let is_connected = self.feed.client.status().is_up();
                if failures > 1 || !is_connected || matches!(error, StoreError::Fenced) {
                    self.go_down(&error);
                }
            }
        }
    }

    pub(super) async fn lock(&self, user: &UserId) -> tokio::sync::MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(user);
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or(0);
        self.locks[index].lock().await
    }

    /// A write of a user's state. While Redis is away, what the register has is enough: it is
    /// announced later.
    pub(super) async fn write(
        &self,
        user: &UserId,
        run: impl Fn(&mut Step) -> Vec<Change> + Send + Sync,
    ) -> StoreResult<()> {
        if self.is_down() {
            self.keep(user);
            return Ok(());
        }
        let result = match tokio::time::timeout(DEADLINE, self.step(user, run)).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Unavailable("Redis is too slow".to_owned())),
        };
        match result {
            Err(error) if self.is_driven.load(Ordering::Relaxed) => {
                self.check(Err(error));
                self.keep(user);
                Ok(())
            }
            result => result,
        }
    }

    /// Keeps a user for the time when Redis is back, and shows them on this node meanwhile.
    fn keep(&self, user: &UserId) {
        let mut register = self.register();
        register.mark_dirty(user.clone());
        let wall = self.clock.now().wall;
        let presence = register.presence(user, wall, self.rules.away_after);
        let is_invisible = register.is_invisible(user);
        drop(register);
        match presence {
            Some(presence) => self.feed.show_locally(presence),
            None if is_invisible => self.feed.set_hidden_locally(user, true),
            None => {}
        }
        self.heal.notify_one();
    }

    /// Makes Redis have the sessions of a user that are on this node, and no others of this node.
    pub(super) async fn announce(&self, user: &UserId) -> StoreResult<()> {
        let _turn = self.lock(user).await;
        let announcement = self.register().announcement(user, self.rules.away_after);
        let moved = Mutex::new(Vec::new());
        self.step(user, |step| {
            let earlier = &*self.earlier.lock();
            let (changes, gone) = announce(step, earlier, announcement.as_ref(), user);
            *moved.lock() = gone;
            changes
        })
        .await?;
        let mut register = self.register();
        for session in announcement.iter().flat_map(|one| &one.sessions) {
            register.set_committed(&session.id);
        }
        for session in moved.into_inner() {
            register.remove(&session);
        }
        Ok(())
    }

    /// Runs the due expiries of a user. `is_in_redis` if Redis has a timer that is due.
    pub(super) async fn tick(&self, user: &UserId, is_in_redis: bool) -> StoreResult<()> {
        let _turn = self.lock(user).await;
        self.step(user, |step| {
            step.is_tick = true;
            step.moves_timer = is_in_redis;
            step.roster.tick_user(step.now, user)
        })
        .await
    }
}

/// Returns the sessions that another node has taken over as well.
fn announce(
    step: &mut Step,
    earlier: &[u64],
    announcement: Option<&Announcement>,
    user: &UserId,
) -> (Vec<Change>, Vec<ConnectionId>) {
    let held = step.sessions();
    let (mine, now) = (step.mine(), step.now);
    let ours: Vec<_> = earlier.iter().map(|held| step.index(*held)).collect();
    let roster = &mut step.roster;
    let (mut changes, mut moved) = (Vec::new(), Vec::new());
    for session in announcement.iter().flat_map(|one| &one.sessions) {
        let id = &session.id;
        match held.iter().find(|held| held.id == *id) {
            Some(held) if held.node == mine && !matches!(held.life, SessionLife::Ending(_)) => {
                continue;
            }
            // Redis had it from this node, and another node announced it later.
            Some(held) if !ours.contains(&held.node) && session.is_committed => {
                moved.push(id.clone());
                continue;
            }
            _ => {}
        }
        let person = announcement.map(|one| one.person.clone());
        let Some(person) = person else { continue };
        changes.extend(roster.join(
            now,
            mine,
            id.clone(),
            person.profile,
            person.status,
            person.last_seen,
        ));
        if session.idle {
            changes.extend(roster.activity(now, mine, id, false));
        }
        if session.activity.is_some() {
            changes.extend(roster.set_activity(now, mine, id, session.activity.clone()));
        }
    }
    if announcement.is_some_and(|one| one.is_sharing) {
        changes.extend(roster.set_sharing(now, mine, user, true));
    }
    // This writes the record in any case, and with it the timer and the sets that Redis may have lost.
    if let Some(one) = announcement {
        changes.extend(roster.set_status(now, user, one.person.status.clone()));
    }
    let is_announced = |id: &ConnectionId| {
        let mut sessions = announcement.iter().flat_map(|one| &one.sessions);
        sessions.any(|session| session.id == *id)
    };
    for session in &held {
        let is_ours = session.node == mine && session.life != SessionLife::Dormant;
        if is_ours && !is_announced(&session.id) {
            changes.extend(roster.close(now, mine, &session.id, OfflineReason::Closed));
        }
    }
    (changes, moved)
}

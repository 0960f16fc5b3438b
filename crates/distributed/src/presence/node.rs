//! One node: its incarnation, its sessions, and whether Redis answers it.

use super::feed::Feed;
use super::register::{Announcement, Register};
use super::scripts::Writer;
use super::step::Step;
use super::timers::Timers;
use lamplight_domain::identity::{NodeId, UserId};
use lamplight_domain::presence::{Change, OfflineReason, Rules, SessionLife};
use lamplight_usecases::ports::{Clock, LastSeenQueue, StoreError, StoreResult};
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{MutexGuard, Notify};

/// Steps of one user are made one after the other on a node; users share this many locks.
const LOCKS: usize = 1_024;
/// How long one write may take, its wait for earlier ones of the same user included.
const DEADLINE: Duration = Duration::from_millis(3_500);

/// Redis does not answer, or this node was fenced: writes are kept here.
const DOWN: u8 = 0;
/// Redis answers, and may not have all sessions of this node yet.
const HEALING: u8 = 1;
const UP: u8 = 2;

pub(super) struct Node {
    pub(super) feed: Arc<Feed>,
    pub(super) id: NodeId,
    pub(super) rules: Rules,
    pub(super) clock: Arc<dyn Clock>,
    /// How often all buckets are looked at.
    pub(super) poll_every: Duration,
    /// 0 without a lease.
    incarnation: AtomicU64,
    state: AtomicU8,
    /// Whether [`Node::run`] heals what fails. Otherwise callers get the errors.
    pub(super) is_driven: AtomicBool,
    pub(super) register: Arc<Mutex<Register>>,
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
            incarnation: AtomicU64::new(0),
            state: AtomicU8::new(UP),
            is_driven: AtomicBool::new(false),
            register: Arc::default(),
            locks,
            hasher: RandomState::new(),
            last_seen: LastSeenQueue::default(),
            timers: Timers::default(),
            heal: Notify::new(),
        }
    }

    /// Who writes.
    pub(super) fn writer(&self) -> StoreResult<Writer<'_>> {
        match self.incarnation.load(Ordering::Relaxed) {
            0 => Err(StoreError::Fenced),
            incarnation => Ok(Writer {
                node: &self.id,
                incarnation,
            }),
        }
    }

    pub(super) fn set_incarnation(&self, incarnation: u64) {
        self.incarnation.store(incarnation, Ordering::Relaxed);
    }

    /// The incarnation has ended, unless there is another one by now.
    pub(super) fn fenced(&self, writer: Writer<'_>) -> StoreError {
        let _ = self.incarnation.compare_exchange(
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
        self.state.store(HEALING, Ordering::Relaxed);
    }

    /// Redis has everything. Not if it stopped to answer meanwhile.
    pub(super) fn set_up(&self) {
        let _ = self
            .state
            .compare_exchange(HEALING, UP, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn go_down(&self, reason: &StoreError) {
        if self.state.swap(DOWN, Ordering::Relaxed) != DOWN {
            let line = reason.to_string();
            if let Some(Due { left_out }) = throttle::due("presence", &line, None) {
                tracing::warn!(%reason, left_out, "presence is degraded");
            }
        }
        self.heal.notify_one();
    }

    pub(super) async fn lock(&self, user: &UserId) -> MutexGuard<'_, ()> {
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
                if !matches!(error, StoreError::Internal(_)) {
                    self.go_down(&error);
                }
                self.keep(user);
                Ok(())
            }
            result => result,
        }
    }

    /// Keeps a user for the time when Redis is back, and shows them on this node meanwhile.
    fn keep(&self, user: &UserId) {
        let mut register = self.register.lock();
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
        let announcement = self
            .register
            .lock()
            .announcement(user, self.rules.away_after);
        let incarnation = self.writer()?.incarnation;
        self.step(user, |step| {
            announce(step, incarnation, announcement.as_ref(), user)
        })
        .await
    }

    /// Ends what is over of a user.
    pub(super) async fn tick(&self, user: &UserId) -> StoreResult<()> {
        let _turn = self.lock(user).await;
        self.step(user, |step| step.roster.tick_user(step.now, user))
            .await
    }
}

fn announce(
    step: &mut Step,
    incarnation: u64,
    announcement: Option<&Announcement>,
    user: &UserId,
) -> Vec<Change> {
    let held = step.sessions();
    let (mine, now) = (step.index(incarnation), step.now);
    let roster = &mut step.roster;
    let mut changes = Vec::new();
    for (id, idle, activity) in announcement.iter().flat_map(|one| &one.sessions) {
        if Announcement::is_in(&held, id, mine.0) {
            continue;
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
        if *idle {
            changes.extend(roster.activity(now, mine, id, false));
        }
        if activity.is_some() {
            changes.extend(roster.set_activity(now, mine, id, activity.clone()));
        }
    }
    if let Some(one) = announcement {
        changes.extend(roster.set_status(now, user, one.person.status.clone()));
    }
    let is_announced = |id| {
        let mut sessions = announcement.iter().flat_map(|one| &one.sessions);
        sessions.any(|(held, ..)| held == id)
    };
    for session in &held {
        let is_ours = session.node == mine && session.life != SessionLife::Dormant;
        if is_ours && !is_announced(&session.id) {
            changes.extend(roster.close(now, mine, &session.id, OfflineReason::Closed));
        }
    }
    changes
}

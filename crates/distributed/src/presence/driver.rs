//! The background work of a node: renewing its lease, sweeping, polling all buckets, ticking, and
//! healing.

use super::change::Position;
use super::keys::BUCKETS;
use super::node::Node;
use crate::redis::Backoff;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::{StoreError, StoreResult};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// The most ticks at the same time.
const TICKS: usize = 64;
/// The most users that are announced at the same time, so that announcements leave Redis time for
/// others.
const ANNOUNCEMENTS: usize = 32;
/// So many users are announced before others are looked for: a user who is marked again meanwhile and
/// waits is announced once.
const BATCH: usize = 1_024;
/// Redis has fewer users of this node than there are for so many looks in a row: it lost some.
const FEWER: u32 = 3;

/// The state of a bucket at the last poll.
#[derive(Clone, Default)]
struct Seen {
    position: Option<Position>,
    losses: u64,
    fewer: u32,
}

impl Node {
    /// Keeps the node in the store, for as long as it is polled.
    pub(super) async fn run(&self) {
        self.is_driven.store(true, Ordering::Relaxed);
        self.feed.set_own(Arc::clone(&self.own) as _);
        self.begin();
        tokio::join!(self.run_leases(), self.keep_renewing(), self.run_timers());
    }

    async fn run_leases(&self) {
        let mut backoff = Backoff::default();
        let mut sweep = tokio::time::interval(self.rules.lease / 15);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.is_leaving.load(Ordering::Relaxed) {
                return;
            }
            if self.is_down() || !self.is_up() || self.register().is_dirty() {
                self.is_healing.store(true, Ordering::Relaxed);
                let healed = self.heal().await;
                self.is_healing.store(false, Ordering::Relaxed);
                match healed {
                    Ok(()) => backoff = Backoff::default(),
                    Err(error) => {
                        self.go_down(&error);
                        self.pause_unless_connected(backoff.next()).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                () = self.heal.notified() => {}
                _ = sweep.tick() => {
                    self.check(self.sweep().await.map(|_| ()));
                }
            }
        }
    }

    /// Ends early when the client connects again: nodes that lost the same Redis heal at about the
    /// same time, so a user who moved between nodes is not announced as offline.
    async fn pause_unless_connected(&self, pause: Duration) {
        let mut status = self.feed.client.watch();
        let connected = async {
            loop {
                // Without its client nothing will connect.
                if status.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                if status.borrow_and_update().is_up() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(pause, connected).await;
    }

    /// Renews the lease concurrently with other work: announcing many users, or closing those of
    /// another node, can take longer than a lease.
    async fn keep_renewing(&self) {
        loop {
            tokio::time::sleep(self.rules.lease / 3).await;
            if self.is_leaving.load(Ordering::Relaxed) {
                return;
            }
            if !self.is_down() {
                self.check(self.renew().await.map(|_| ()));
            }
        }
    }

    /// Brings Redis to the state of this node.
    async fn heal(&self) -> StoreResult<()> {
        let was_down = self.is_down();
        let mut earlier = Vec::new();
        if was_down {
            if let Err(error) = self.renew().await {
                if !matches!(error, StoreError::Fenced) {
                    return Err(error);
                }
                let acquired = self.acquire().await?;
                earlier = acquired.earlier;
                self.register().mark_all_dirty();
            }
            self.set_healing();
        }
        self.feed.hold_unconfirmed();
        self.find_lost().await?;
        loop {
            let dirty = self.register().take_dirty(BATCH);
            if dirty.is_empty() {
                break;
            }
            self.announce_all(dirty).await?;
        }
        for ended in &earlier {
            self.close_ended(ended).await?;
        }
        self.report_waiting().await?;
        self.set_up();
        Ok(())
    }

    /// Redis went back in time: it may have sessions of this node that ended.
    async fn find_lost(&self) -> StoreResult<()> {
        let incarnation = self.writer()?.incarnation;
        loop {
            let lost = self.register().take_lost();
            let Some(bucket) = lost else { return Ok(()) };
            let key = self.feed.keys.bucket(bucket).users_of(incarnation);
            let command = ::redis::Cmd::smembers(&key);
            let users: Vec<String> = match self.feed.client.query(&command).await {
                Ok(users) => users,
                Err(error) => {
                    self.register().mark_lost(bucket);
                    return Err(error.into());
                }
            };
            let mut register = self.register();
            for user in users {
                register.mark_dirty(UserId::trusted(user));
            }
        }
    }

    /// Announces users; those that Redis did not accept stay dirty.
    async fn announce_all(&self, users: Vec<UserId>) -> StoreResult<()> {
        let failed: Mutex<Option<StoreError>> = Mutex::new(None);
        stream::iter(users)
            .for_each_concurrent(ANNOUNCEMENTS, |user| {
                let failed = &failed;
                async move {
                    // After a failure the others wait too, instead of failing one by one.
                    let result = match failed.lock().clone() {
                        Some(error) => Err(error),
                        None => Ok(()),
                    };
                    let result = match result {
                        Ok(()) => self.announce(&user).await,
                        failed => failed,
                    };
                    if let Err(error) = result {
                        self.register().mark_dirty(user);
                        *failed.lock() = Some(error);
                    }
                }
            })
            .await;
        failed.into_inner().map_or(Ok(()), Err)
    }

    /// Reports statuses and profiles that were set while Redis was away.
    async fn report_waiting(&self) -> StoreResult<()> {
        let (statuses, profiles) = self.register().take_waiting();
        let mut failed = None;
        for (user, status) in statuses {
            let _turn = self.lock(&user).await;
            let result = self.step(&user, |step| {
                step.roster.set_status(step.now, &user, status.clone())
            });
            if let Err(error) = result.await {
                self.register().wait_with_status(&user, status);
                failed = Some(error);
            }
        }
        for profile in profiles {
            let _turn = self.lock(&profile.id).await;
            let result = self.step(&profile.id, |step| {
                step.roster.set_profile(step.now, profile.clone())
            });
            if let Err(error) = result.await {
                self.register().wait_with_profile(profile);
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Ticks on time, and looks at all buckets regularly.
    pub(super) async fn run_timers(&self) {
        let mut ticks = FuturesUnordered::new();
        let mut poll = tokio::time::interval(self.poll_every);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = vec![Seen::default(); BUCKETS];
        // Each with whether Redis has confirmed it.
        let mut due: Vec<(UserId, bool)> = Vec::new();
        loop {
            while ticks.len() < TICKS
                && let Some((user, is_in_redis)) = due.pop()
            {
                ticks.push(self.tick_logged(user, is_in_redis));
            }
            tokio::select! {
                Some(()) = ticks.next() => {}
                user = self.timers.next(), if due.len() < TICKS => due.push((user, false)),
                _ = poll.tick(), if due.is_empty() => {
                    if !self.is_down() {
                        self.poll_all(&mut seen, &mut due).await;
                    }
                }
            }
        }
    }

    async fn tick_logged(&self, user: UserId, is_in_redis: bool) {
        // Another look at the timers finds it again.
        if !self.is_down()
            && let Err(error) = self.tick(&user, is_in_redis).await
        {
            tracing::debug!(%user, %error, "a tick failed");
        }
    }

    async fn poll_all(&self, seen: &mut [Seen], due: &mut Vec<(UserId, bool)>) {
        let Ok(writer) = self.writer() else { return };
        let polls = (0..BUCKETS).map(|bucket| async move {
            let before = self.feed.position(bucket);
            let expected = self.register().count(bucket);
            let poll = self.feed.scripts.poll(writer, bucket).await;
            (bucket, (before, expected), poll)
        });
        let mut polls = stream::iter(polls).buffer_unordered(BUCKETS);
        while let Some((bucket, (before, expected), poll)) = polls.next().await {
            let poll = match poll {
                Ok(poll) => poll,
                Err(error) => {
                    if self.is_driven.load(Ordering::Relaxed) {
                        self.check(Err(error.into()));
                    }
                    return;
                }
            };
            let seen = &mut seen[bucket];
            let position = Position {
                epoch: poll.epoch,
                number: poll.number,
            };
            let earlier = seen.position.as_ref();
            self.feed
                .compare(bucket, before.as_ref(), &position, earlier);
            seen.position = Some(position);
            due.extend(poll.due.into_iter().map(|user| (user, true)));
            if poll.is_fenced {
                let error = self.fenced(writer);
                if self.is_driven.load(Ordering::Relaxed) {
                    self.go_down(&error);
                }
                return;
            }
            self.check_own(bucket, (poll.own, expected), seen);
        }
        self.check(Ok(()));
    }

    /// Announces the users of a bucket again if Redis lost some of them: it has `own` of this node,
    /// where `expected` were before it was asked.
    fn check_own(&self, bucket: usize, (own, expected): (usize, usize), seen: &mut Seen) {
        let losses = self.feed.losses(bucket);
        // Users who left meanwhile are missing rightly, and announcements of others are in progress.
        let is_fewer = own < expected && own < self.register().count(bucket);
        let is_lost = is_fewer && !self.is_healing.load(Ordering::Relaxed);
        seen.fewer = if is_lost { seen.fewer + 1 } else { 0 };
        let mut register = self.register();
        if losses != seen.losses {
            register.mark_lost(bucket);
        }
        if losses != seen.losses || seen.fewer >= FEWER {
            (seen.losses, seen.fewer) = (losses, 0);
            for user in register.users_in(bucket) {
                register.mark_dirty(user);
            }
            drop(register);
            self.heal.notify_one();
        }
    }
}

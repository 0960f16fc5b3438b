//! The state of a store in memory that several nodes share: the roster and the leases, under one
//! lock.

use super::versions::ReservedVersions;
use lamplight_domain::event::Event;
use lamplight_domain::presence::{
    Change, EndedLease, Leases, NodeIndex, OfflineReason, Roster, Rules,
};
use lamplight_domain::time::{Moment, Now};
use lamplight_usecases::ports::{Clock, EventBus, LastSeenQueue, StoreError, StoreResult};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

pub(super) struct State {
    pub(super) roster: Roster,
    pub(super) leases: Leases,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) rules: Rules,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) versions: ReservedVersions,
    bus: Arc<dyn EventBus>,
    /// Something is due earlier than the driver knows.
    replan: Notify,
}

impl Shared {
    pub(super) fn new(
        rules: Rules,
        version: u64,
        clock: Arc<dyn Clock>,
        bus: Arc<dyn EventBus>,
    ) -> Self {
        let state = State {
            roster: Roster::new(rules, version),
            leases: Leases::default(),
        };
        Self {
            state: Mutex::new(state),
            rules,
            clock,
            versions: ReservedVersions::new(version),
            bus,
            replan: Notify::new(),
        }
    }

    /// Runs expiries, for as long as it is polled.
    pub(super) async fn run(&self, last_seen: &LastSeenQueue) {
        loop {
            let wake = self.state.lock().roster.next_wake();
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
            self.tick(last_seen);
        }
    }

    /// Runs the expiries that are due now.
    pub(super) fn tick(&self, last_seen: &LastSeenQueue) {
        self.step(last_seen, |state, now| (state.roster.tick(now), ()));
    }

    /// A write by a node, refused if its lease has ended.
    pub(super) fn write(
        &self,
        node: NodeIndex,
        last_seen: &LastSeenQueue,
        step: impl FnOnce(&mut Roster, Now) -> Vec<Change>,
    ) -> StoreResult<()> {
        self.step(last_seen, |state, now| {
            if state.leases.is_held(node) {
                (step(&mut state.roster, now), Ok(()))
            } else {
                (Vec::new(), Err(StoreError::Fenced))
            }
        })
    }

    /// Changes the state, and publishes the changes that follow. `last_seen` is the queue of the node
    /// that makes the step.
    pub(super) fn step<T>(
        &self,
        last_seen: &LastSeenQueue,
        step: impl FnOnce(&mut State, Now) -> (Vec<Change>, T),
    ) -> T {
        let mut state = self.state.lock();
        let before = state.roster.next_wake();
        let (changes, answer) = step(&mut state, self.clock.now());
        let sooner = match (state.roster.next_wake(), before) {
            (Some(now), Some(before)) => now < before,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !changes.is_empty() {
            self.versions.reached(state.roster.version());
        }
        // Published under the lock, so that changes leave in the order of their versions.
        for change in changes {
            // Queued before anyone can ask because of the event.
            if let Change::Offline(offline) = &change {
                last_seen.add(offline);
            }
            self.bus.publish(Event::Presence(change));
        }
        drop(state);
        if sooner {
            self.replan.notify_one();
        }
        answer
    }
}

impl State {
    /// Closes the sessions of the node of an ended lease.
    pub(super) fn close_left(
        &mut self,
        now: Now,
        ended: &EndedLease,
        end: Moment,
        reason: OfflineReason,
    ) -> Vec<Change> {
        self.roster
            .close_node(now, ended.index, end, reason, ended.seen)
    }
}

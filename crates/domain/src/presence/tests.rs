//! Every test of the roster uses [`World`], which checks after each step that the folded changes
//! equal the roster's answers.

mod clocks;
mod invisible;
mod model;
mod nodes;
mod record;
mod revisions;
mod sessions;
mod statuses;

use super::*;
use crate::identity::ConnectionId;
use crate::time::{Moment, Now};
use std::collections::HashMap;
use std::time::Duration;

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const GRACE: u64 = 5 * SECOND;

pub(super) fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

pub(super) fn session(id: &str) -> ConnectionId {
    ConnectionId::trusted(id)
}

pub(super) fn chose(status: ManualStatus) -> StatusOverride {
    StatusOverride {
        status,
        text: None,
        until: None,
    }
}

pub(super) fn doing(kind: &str) -> Activity {
    Activity {
        kind: kind.into(),
        label: None,
        conversation: None,
    }
}

/// A roster, its clocks, and a listener that folds every change.
pub(super) struct World {
    pub(super) roster: Roster,
    pub(super) now: Now,
    /// The node that makes every call.
    pub(super) node: NodeIndex,
    /// Everything published so far, with the time.
    pub(super) published: Vec<(Moment, Change)>,
    /// How many of `published` a test has read.
    looked_at: usize,
    /// The state of a listener.
    view: HashMap<UserId, Arc<Presence>>,
    newest: HashMap<UserId, u64>,
    /// The statuses that the directory has.
    directory: HashMap<UserId, SavedStatus>,
    /// The revision that it gave last.
    revision: u64,
    left: HashMap<UserId, Timestamp>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Rules::default(), 1)
    }

    pub(super) fn with(rules: Rules, version: u64) -> Self {
        Self {
            roster: Roster::new(rules, version),
            now: Now {
                moment: Moment(1_000_000),
                wall: Timestamp(1_700_000_000_000),
            },
            node: NodeIndex::default(),
            published: Vec::new(),
            looked_at: 0,
            view: HashMap::new(),
            newest: HashMap::new(),
            directory: HashMap::new(),
            revision: 0,
            left: HashMap::new(),
        }
    }

    /// The same listener and clocks with a restarted process.
    pub(super) fn restart(&mut self, rules: Rules, version: u64) {
        self.roster = Roster::new(rules, version);
        self.view.clear();
    }

    fn publish(&mut self, changes: Vec<Change>) {
        for change in changes {
            let who = change.user().clone();
            let newest = self.newest.insert(who.clone(), change.version());
            assert!(
                newest < Some(change.version()),
                "versions grow: {newest:?} then {change:?}"
            );
            match &change {
                Change::Online(presence) => {
                    assert!(
                        self.view.insert(who, Arc::clone(presence)).is_none(),
                        "online, but was in: {change:?}"
                    );
                }
                Change::Updated(presence) => {
                    let before = self
                        .view
                        .insert(who, Arc::clone(presence))
                        .expect("an update of an online user");
                    assert_eq!(before.since, presence.since);
                    assert_eq!(
                        before.last_active_at.advance_to(presence.last_active_at),
                        presence.last_active_at
                    );
                    let telling = (
                        before.status,
                        &before.text,
                        &before.activities,
                        &before.profile,
                    ) != (
                        presence.status,
                        &presence.text,
                        &presence.activities,
                        &presence.profile,
                    );
                    assert!(telling, "an update that changes nothing: {change:?}");
                }
                Change::Offline(absence) => {
                    assert!(
                        self.view.remove(&who).is_some(),
                        "offline, but was not in: {change:?}"
                    );
                    let seen = absence.last_seen_at.expect("who was in was seen");
                    let before = self.left.insert(who, seen).unwrap_or(seen);
                    assert_eq!(
                        before.advance_to(seen),
                        seen,
                        "p13: last seen decreases: {change:?}"
                    );
                }
            }
            assert_eq!(
                change.version().max(self.roster.version()),
                self.roster.version()
            );
            self.published.push((self.now.moment, change));
        }
        self.check();
    }

    /// A stale snapshot and the changes since are a fresh snapshot.
    fn check(&self) {
        let fresh: Vec<_> = self.roster.list(0).cloned().collect();
        let mut folded: Vec<_> = self.view.values().cloned().collect();
        folded.sort_by_key(|presence| presence.since);
        assert_eq!(folded, fresh);
        assert_eq!(self.roster.count(), fresh.len());
        for presence in &fresh {
            assert_eq!(
                self.roster.get(presence.profile.id.as_str()),
                Some(presence)
            );
        }
    }

    pub(super) fn join(&mut self, who: &str, tab: &str) {
        let stored = self.left.get(who).copied();
        let status = self.directory.get(who).cloned().unwrap_or_default();
        self.join_saved(who, tab, status, stored);
    }

    pub(super) fn join_as(
        &mut self,
        who: &str,
        tab: &str,
        chosen: StatusOverride,
        last_seen: Option<Timestamp>,
    ) {
        let status = SavedStatus {
            chosen,
            revision: 0,
            ..SavedStatus::default()
        };
        self.join_saved(who, tab, status, last_seen);
    }

    pub(super) fn join_saved(
        &mut self,
        who: &str,
        tab: &str,
        status: SavedStatus,
        last_seen: Option<Timestamp>,
    ) {
        let profile = Profile::bare(user(who));
        let changes = self.roster.join(
            self.now,
            self.node,
            session(tab),
            profile,
            status,
            last_seen,
        );
        self.publish(changes);
    }

    pub(super) fn active(&mut self, tab: &str) {
        let changes = self
            .roster
            .activity(self.now, self.node, &session(tab), true);
        self.publish(changes);
    }

    pub(super) fn idle(&mut self, tab: &str) {
        let changes = self
            .roster
            .activity(self.now, self.node, &session(tab), false);
        self.publish(changes);
    }

    pub(super) fn close(&mut self, tab: &str) {
        self.close_for(tab, OfflineReason::Closed);
    }

    pub(super) fn close_for(&mut self, tab: &str, reason: OfflineReason) {
        let changes = self
            .roster
            .close(self.now, self.node, &session(tab), reason);
        self.publish(changes);
    }

    pub(super) fn sign_out(&mut self, tab: &str) {
        let changes = self.roster.sign_out(self.now, self.node, &session(tab));
        self.publish(changes);
    }

    /// Saves a status in the directory and hands it to the roster.
    pub(super) fn set_status(&mut self, who: &str, chosen: StatusOverride) {
        self.revision += 1;
        let status = SavedStatus {
            chosen,
            revision: self.revision,
            ..SavedStatus::default()
        };
        self.directory.insert(user(who), status.clone());
        self.set_saved_status(who, status);
    }

    pub(super) fn set_saved_status(&mut self, who: &str, status: SavedStatus) {
        let changes = self.roster.set_status(self.now, &user(who), status);
        self.publish(changes);
    }

    pub(super) fn set_activity(&mut self, tab: &str, activity: Option<Activity>) {
        let changes = self
            .roster
            .set_activity(self.now, self.node, &session(tab), activity);
        self.publish(changes);
    }

    pub(super) fn set_name(&mut self, who: &str, name: &str) {
        let changes = self.roster.set_profile(
            self.now,
            Profile {
                name: name.into(),
                ..Profile::bare(user(who))
            },
        );
        self.publish(changes);
    }

    /// Lets only the clocks move on.
    pub(super) fn move_clocks(&mut self, by: u64) {
        self.now.moment = self.now.moment.plus(Duration::from_millis(by));
        self.now.wall.0 += i64::try_from(by).expect("a short time");
    }

    pub(super) fn tick(&mut self) {
        let changes = self.roster.tick(self.now);
        self.publish(changes);
    }

    /// Lets time pass as a driver does that trusts [`Roster::next_wake`]: it ticks just after each
    /// wake and at no other moment.
    pub(super) fn pass(&mut self, by: u64) {
        let end = self.now.moment.0 + by;
        while let Some(wake) = self.roster.next_wake().filter(|wake| wake.0 < end) {
            self.move_clocks((wake.0 + 1).saturating_sub(self.now.moment.0));
            self.tick();
            assert!(
                self.roster
                    .next_wake()
                    .is_none_or(|next| next >= self.now.moment),
                "a tick leaves nothing undone"
            );
        }
        self.move_clocks(end - self.now.moment.0);
    }

    /// The changes published since the last call, as text: `a online`, `a away`, `a busy "text" +kind`,
    /// `a offline closed`.
    pub(super) fn log(&mut self) -> Vec<String> {
        let news = self.published[self.looked_at..]
            .iter()
            .map(|(_, change)| in_words(change))
            .collect();
        self.looked_at = self.published.len();
        news
    }

    /// The latest change, with the time.
    pub(super) fn latest(&self) -> &(Moment, Change) {
        self.published.last().expect("something was published")
    }

    pub(super) fn latest_absence(&self) -> &Offline {
        match &self.latest().1 {
            Change::Offline(absence) => absence,
            other => panic!("not a leave: {other:?}"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roster.session_count() == 0
            && self.roster.next_wake().is_none()
            && self.roster.count() == 0
    }
}

pub(super) fn in_words(change: &Change) -> String {
    let looks = |presence: &Presence| {
        let mut words = match presence.status {
            Status::Online => "online".to_owned(),
            Status::Away => "away".to_owned(),
            Status::Busy => "busy".to_owned(),
        };
        if let Some(text) = &presence.text {
            words.push_str(&format!(" {text:?}"));
        }
        for activity in &presence.activities {
            words.push_str(&format!(" +{}", activity.kind));
        }
        words
    };
    let who = change.user();
    match change {
        Change::Online(presence) => format!("{who} joined: {}", looks(presence)),
        Change::Updated(presence) => format!("{who} updated: {}", looks(presence)),
        Change::Offline(absence) => {
            let reason = match absence.reason {
                OfflineReason::Closed => "closed",
                OfflineReason::Timeout => "timeout",
                OfflineReason::NodeLost => "node lost",
                OfflineReason::SignedOut => "signed out",
            };
            format!("{who} left: {reason}")
        }
    }
}

//! Statuses that were set while their user had no session.

use super::SavedStatus;
use crate::identity::UserId;
use crate::time::Moment;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Longer than a session can take from reading its user in the directory to joining.
const KEEP: Duration = Duration::from_secs(10);

/// A session reads its user's status and joins a moment later. A status that is set in between finds
/// no user in the roster yet, or one whose last session has just ended. It is kept here until that
/// session must have joined, or else the older status would count.
#[derive(Debug, Default)]
pub(super) struct UnattachedStatuses {
    held: HashMap<UserId, (Moment, SavedStatus)>,
    ends: BTreeSet<(Moment, UserId)>,
}

impl UnattachedStatuses {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Keeps a status that was set at `at`, unless a newer one is kept.
    pub(super) fn put(&mut self, now: Moment, user: &UserId, at: Moment, status: SavedStatus) {
        if at == Moment(0)
            || at.plus(KEEP) < now
            || self
                .held
                .get(user)
                .is_some_and(|(_, held)| held.revision >= status.revision)
        {
            return;
        }
        self.take(user);
        self.held.insert(user.clone(), (at, status));
        self.ends.insert((at.plus(KEEP), user.clone()));
    }

    pub(super) fn take(&mut self, user: &UserId) -> Option<(Moment, SavedStatus)> {
        let (at, status) = self.held.remove(user)?;
        self.ends.remove(&(at.plus(KEEP), user.clone()));
        Some((at, status))
    }

    pub(super) fn get(&self, user: &UserId) -> Option<&(Moment, SavedStatus)> {
        self.held.get(user)
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        self.ends.first().map(|(end, _)| *end)
    }

    pub(super) fn pass_time(&mut self, now: Moment) {
        while let Some((end, _)) = self.ends.first()
            && *end < now
            && let Some((_, user)) = self.ends.pop_first()
        {
            self.held.remove(&user);
        }
    }
}

//! Changes gathered for one delivery.

use crate::identity::UserId;
use crate::presence::Change;
use crate::time::Moment;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// At most two changes a user, however often they come and go, so that no user can make a batch
/// long. Only outdated changes are left out: `online, offline, online` is `online`, and an update is
/// replaced by a newer one.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    /// In the order in which users first changed.
    users: Vec<UserId>,
    held: HashMap<UserId, (Change, Option<Change>)>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The version of the newest change of a user, 0 if there is none.
    pub(super) fn version_of(&self, user: &UserId) -> u64 {
        self.held.get(user).map_or(0, |(first, second)| {
            second.as_ref().unwrap_or(first).version()
        })
    }

    pub(super) fn add(&mut self, change: Change) {
        let Some((first, second)) = self.held.get_mut(change.user()) else {
            self.users.push(change.user().clone());
            self.held.insert(change.user().clone(), (change, None));
            return;
        };
        match (&*first, second.as_ref().unwrap_or(first), &change) {
            // Online, then offline: only the offline change matters if the user was online before.
            (Change::Online(_), Change::Online(_) | Change::Updated(_), Change::Offline(_)) => {
                *second = Some(change)
            }
            (_, _, Change::Offline(_)) => (*first, *second) = (change, None),
            // Offline, then online: only the online change matters if the user was offline before.
            (Change::Offline(_), Change::Offline(_), _) => *second = Some(change),
            (_, Change::Offline(_), _) => (*first, *second) = (change, None),
            // An update of a user who came online in this batch.
            (_, Change::Online(_), Change::Updated(newer)) => {
                *second.as_mut().unwrap_or(first) = Change::Online(Arc::clone(newer));
            }
            _ => *second.as_mut().unwrap_or(first) = change,
        }
    }

    /// Everything gathered; the batch is empty afterwards.
    pub(super) fn take(&mut self) -> Vec<Change> {
        let mut held = std::mem::take(&mut self.held);
        std::mem::take(&mut self.users)
            .iter()
            .filter_map(|user| held.remove(user))
            .flat_map(|(first, second)| std::iter::once(first).chain(second))
            .collect()
    }
}

/// The shortest time for which a leave is remembered.
const KEEP: Duration = Duration::from_secs(30);
/// At most twice this many leaves are remembered, however many there are in that time.
const KEEP_AT_MOST: usize = 10_000;

/// The users who went offline lately, with the version: a change that the bus delivers late must not
/// show them again.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    young: HashMap<UserId, u64>,
    old: HashMap<UserId, u64>,
    rotated_at: Moment,
}

impl Tombstones {
    pub(super) fn version_of(&self, user: &UserId) -> Option<u64> {
        self.young.get(user).or_else(|| self.old.get(user)).copied()
    }

    pub(super) fn note(&mut self, user: UserId, version: u64) {
        if self.young.len() >= KEEP_AT_MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(user, version);
    }

    /// The user is online again.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.young.remove(user);
        self.old.remove(user);
    }

    pub(super) fn pass_time(&mut self, now: Moment) {
        if self.rotated_at.plus(KEEP) <= now {
            self.rotated_at = now;
            self.old = std::mem::take(&mut self.young);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

//! One bucket of the node's copy, and the updates from the store.

use crate::identity::UserId;
use crate::presence::{Offline, Presence};
use crate::time::Moment;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A place in the history of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketPosition<E> {
    pub epoch: E,
    /// The number of the last change.
    pub number: u64,
}

/// The change of a user.
#[derive(Clone, Debug)]
pub enum FeedBody {
    /// The user's visible state. The state before decides whether it is an arrival.
    Shown(Arc<Presence>),
    Gone(Offline),
    /// Only whether the user is hidden, or the node that holds a session.
    Same,
}

/// A change as the store published it.
#[derive(Clone, Debug)]
pub struct FeedMessage<E> {
    pub bucket: usize,
    /// Contiguous within the bucket and the epoch.
    pub position: BucketPosition<E>,
    pub version: u64,
    pub user: UserId,
    pub body: FeedBody,
    /// Whether the user is to look offline though there is a session.
    pub hidden: bool,
}

/// A bucket as the store has it.
#[derive(Clone, Debug)]
pub struct LoadedBucket<E> {
    /// From before the first record was read. Later changes may be in it, and come as well.
    pub position: BucketPosition<E>,
    /// At least as high as every version that a user of this bucket had until then.
    pub version: u64,
    /// How each user with a session is shown, and whether they are hidden.
    pub users: HashMap<UserId, (Option<Arc<Presence>>, bool)>,
}

/// The known state of a visible or hidden user.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) shown: Option<Arc<Presence>>,
    pub(super) hidden: bool,
    /// The store does not say so: it lost the user, or this node showed the user while the store was
    /// away. The user leaves if no node announces them in time.
    pub(super) unconfirmed: bool,
}

#[derive(Debug)]
pub(super) struct Bucket<E> {
    /// `None` until it was loaded for the first time.
    pub(super) epoch: Option<E>,
    /// The latest change that was applied.
    pub(super) number: u64,
    /// At least as high as every version of a user of this bucket.
    pub(super) version: u64,
    pub(super) users: HashMap<UserId, Entry>,
    /// Changes that came before one that is missing, or while the bucket is loaded.
    pub(super) pending: BTreeMap<u64, FeedMessage<E>>,
    pub(super) is_loading: bool,
    /// A load is due.
    pub(super) is_stale: bool,
    pub(super) gap_since: Option<Moment>,
    /// The store had a change with this number, and since then it is not here.
    pub(super) behind: Option<(u64, Moment)>,
    /// Until then users who are unconfirmed stay.
    pub(super) hold_until: Option<Moment>,
    /// How often the store lost changes of this bucket.
    pub(super) losses: u64,
}

impl<E> Bucket<E> {
    pub(super) fn is_current(&self) -> bool {
        !self.is_stale && !self.is_loading
    }

    pub(super) fn has_unconfirmed(&self) -> bool {
        self.users.values().any(|entry| entry.unconfirmed)
    }

    pub(super) fn hold(&mut self, until: Moment) {
        self.hold_until = self.hold_until.max(Some(until));
    }
}

impl<E> Default for Bucket<E> {
    fn default() -> Self {
        Self {
            epoch: None,
            number: 0,
            version: 0,
            users: HashMap::new(),
            pending: BTreeMap::new(),
            is_loading: false,
            is_stale: true,
            gap_since: None,
            behind: None,
            hold_until: None,
            losses: 0,
        }
    }
}

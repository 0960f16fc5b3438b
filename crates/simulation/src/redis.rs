//! The simulated Redis: the leases, the buckets of users' records, the subscriptions, and a clock
//! that may jump. Each method is one script: it runs alone.

use crate::bug::Bug;
use crate::messages::Position;
use crate::names::Names;
use lamplight_domain::identity::NodeId;
use lamplight_domain::presence::{
    BucketClock, Change, EndedLease, FeedBody, FeedMessage, Leases, LoadedBucket, ManualStatus,
    NodeIndex, Presence, SessionLife, UserRecord, clock_version, next_version,
};
use lamplight_domain::time::{Moment, Now, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// The longest time between two steps that counts as time.
const QUIET: Duration = Duration::from_secs(5);
/// How long a node may take to close what an ended lease left, until another one does.
const CLAIM: Duration = Duration::from_secs(4);
/// How long after a restart no user leaves.
const HELD: Duration = Duration::from_secs(5);
/// How far apart a step's time and the commit's may be.
const TOLERANCE: u64 = 2_000;
/// How long the republisher's election lasts.
const ELECTION: Duration = Duration::from_secs(6);
const START: i64 = 1_700_000_000_000;

/// A user's record as read by a script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) revision: u64,
    pub(crate) user: Option<UserRecord>,
    /// When the next tick of the user is due.
    due: Option<Moment>,
}

/// The result of a step on a record.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) user: usize,
    /// The revision that was read, and the moment that was computed with.
    pub(crate) read: (u64, Moment),
    /// A version that the next one is above.
    pub(crate) floor: u64,
    pub(crate) record: Option<UserRecord>,
    pub(crate) due: Option<Moment>,
    pub(crate) change: Option<Change>,
}

#[derive(Clone, Debug)]
struct Bucket {
    position: Position,
    version: u64,
    revision: u64,
    clock: BucketClock,
    users: BTreeMap<usize, Record>,
    /// After a restart: until then no leave is due, so that nodes have time to announce again whom
    /// an old snapshot shows as leaving.
    held_until: Moment,
    /// The incarnation of each node that may write.
    nodes: BTreeMap<usize, NodeIndex>,
}

/// A lease that ended, until everything it left is closed.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) node: usize,
    pub(crate) index: NodeIndex,
    /// When the node was last known to live.
    pub(crate) seen: Timestamp,
    /// When its remaining sessions end.
    pub(crate) end_in: Duration,
    claimed_until: Moment,
}

#[derive(Clone, Debug, Default)]
struct LeaseSlot {
    leases: Leases,
    /// Indexes of [`Leases`] -> those of [`Redis`].
    indexes: BTreeMap<u32, NodeIndex>,
    clock: BucketClock,
    ended: BTreeMap<u32, Ended>,
    election: Option<(usize, Moment)>,
}

/// Everything that a restart with an old snapshot restores.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    buckets: Vec<Bucket>,
    slot: LeaseSlot,
}

#[derive(Debug)]
pub(crate) struct Redis {
    buckets: Vec<Bucket>,
    slot: LeaseSlot,
    /// The users whose channel each node subscribes to.
    pub(crate) subscriptions: Vec<BTreeSet<usize>>,
    /// How far its clock is off.
    pub(crate) skew: i64,
    epochs: u64,
    /// Indexes stand for incarnations, which are never used twice, over lost stores too.
    indexes: u32,
    names: Rc<Names>,
    bug: Option<Bug>,
}

/// The result of [`Redis::commit`].
#[derive(Clone, Debug)]
pub(crate) enum Committed {
    Ok {
        change: Option<Change>,
        /// A message on the bus.
        message: Option<Box<FeedMessage<u64>>>,
    },
    /// The record or the time is another one by now.
    Stale(Read),
    Fenced,
}

/// A record, and now.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) record: Record,
    pub(crate) now: Now,
}

/// The part of a bucket that a node polls.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    pub(crate) position: Position,
    pub(crate) fenced: bool,
    /// Users whose timer is due.
    pub(crate) due: Vec<usize>,
    /// The open sessions of the node's incarnation.
    pub(crate) sessions: BTreeSet<u64>,
}

impl Redis {
    pub(crate) fn new(nodes: usize, names: Rc<Names>, bug: Option<Bug>) -> Self {
        let mut redis = Self {
            buckets: Vec::new(),
            slot: LeaseSlot::default(),
            subscriptions: vec![BTreeSet::new(); nodes],
            skew: 0,
            epochs: 0,
            indexes: 0,
            names,
            bug,
        };
        redis.empty(0);
        redis
    }

    /// Loses everything.
    pub(crate) fn empty(&mut self, at: u64) {
        let wall = self.wall(at);
        self.slot = LeaseSlot::default();
        self.slot.clock.server_ms = self.server_ms(at);
        self.buckets = (0..self.names.buckets)
            .map(|_| {
                self.epochs += 1;
                Bucket {
                    position: Position {
                        epoch: self.epochs,
                        number: 0,
                    },
                    version: clock_version(wall),
                    revision: 0,
                    clock: BucketClock {
                        moment: Moment(1_000_000),
                        server_ms: self.server_ms(at),
                    },
                    users: BTreeMap::new(),
                    held_until: Moment(0),
                    nodes: BTreeMap::new(),
                }
            })
            .collect();
    }

    pub(crate) fn save(&self) -> Saved {
        Saved {
            buckets: self.buckets.clone(),
            slot: self.slot.clone(),
        }
    }

    pub(crate) fn load(&mut self, saved: Saved) {
        self.buckets = saved.buckets;
        self.slot = saved.slot;
        self.restart();
    }

    /// Another process of Redis, so that lost data is detected.
    pub(crate) fn restart(&mut self) {
        for bucket in &mut self.buckets {
            self.epochs += 1;
            bucket.position.epoch = self.epochs;
            bucket.held_until = bucket.clock.moment.plus(HELD);
        }
    }

    fn server_ms(&self, at: u64) -> u64 {
        u64::try_from(self.wall(at).0).unwrap_or(0)
    }

    pub(crate) fn wall(&self, at: u64) -> Timestamp {
        Timestamp(START + i64::try_from(at).unwrap_or(0) + self.skew)
    }

    fn clock(&self, clock: BucketClock, at: u64) -> (BucketClock, bool) {
        let server_ms = self.server_ms(at);
        let reading = clock.read(server_ms, QUIET);
        if self.bug == Some(Bug::ClockFollowed) {
            let passed = server_ms.saturating_sub(clock.server_ms);
            let moment = clock.moment.plus(Duration::from_millis(passed));
            return (BucketClock { moment, server_ms }, false);
        }
        (reading.clock, reading.has_jumped)
    }

    /// Begins every script of a bucket.
    fn enter(&mut self, at: u64, bucket: usize) -> Now {
        let (clock, _) = self.clock(self.buckets[bucket].clock, at);
        self.buckets[bucket].clock = clock;
        Now {
            moment: clock.moment,
            wall: self.wall(at),
        }
    }

    fn may_write(&self, bucket: usize, node: usize, index: NodeIndex) -> bool {
        self.bug == Some(Bug::NoFencing) || self.buckets[bucket].nodes.get(&node) == Some(&index)
    }

    /// `None` if the incarnation is fenced.
    pub(crate) fn read(
        &mut self,
        at: u64,
        node: usize,
        index: NodeIndex,
        user: usize,
    ) -> Option<Read> {
        let bucket = self.names.bucket(user);
        let now = self.enter(at, bucket);
        self.may_write(bucket, node, index).then(|| Read {
            record: self.record(bucket, user),
            now,
        })
    }

    fn record(&self, bucket: usize, user: usize) -> Record {
        self.buckets[bucket]
            .users
            .get(&user)
            .cloned()
            .unwrap_or_default()
    }

    /// Replaces a record, if it and the time are what the step was computed with; gives the change
    /// its version.
    pub(crate) fn commit(
        &mut self,
        at: u64,
        node: usize,
        index: NodeIndex,
        write: Write,
    ) -> Committed {
        let Write {
            user,
            read,
            floor,
            mut record,
            due,
            change,
        } = write;
        let place = self.names.bucket(user);
        let now = self.enter(at, place);
        if !self.may_write(place, node, index) {
            return Committed::Fenced;
        }
        let held = self.record(place, user);
        let is_late = now.moment.0.abs_diff(read.1.0) > TOLERANCE;
        if (held.revision != read.0 && self.bug != Some(Bug::NoCompareAndSet)) || is_late {
            return Committed::Stale(Read { record: held, now });
        }
        let (was_hidden, hidden) = (is_hidden(held.user.as_ref()), is_hidden(record.as_ref()));
        let bucket = &mut self.buckets[place];
        bucket.revision += 1;
        let is_published = change.is_some() || hidden != was_hidden;
        bucket.position.number += u64::from(is_published);
        let change = change.map(|change| {
            bucket.version = next_version(bucket.version.max(floor), now.wall);
            let version = bucket.version;
            let show = |presence: &Presence, since: u64, record: &mut Option<UserRecord>| {
                let presence = Arc::new(Presence {
                    version,
                    since,
                    ..presence.clone()
                });
                if let Some(UserRecord::Attached(state)) = record {
                    state.shown = Some(Arc::clone(&presence));
                }
                presence
            };
            match change {
                Change::Online(shown) => Change::Online(show(&shown, version, &mut record)),
                Change::Updated(shown) => Change::Updated(show(&shown, shown.since, &mut record)),
                Change::Offline(mut offline) => {
                    offline.version = version;
                    Change::Offline(offline)
                }
            }
        });
        let revision = bucket.revision;
        match record {
            Some(_) => bucket.users.insert(
                user,
                Record {
                    revision,
                    user: record,
                    due,
                },
            ),
            None => bucket.users.remove(&user),
        };
        let message = FeedMessage {
            bucket: place,
            position: bucket.position,
            version: bucket.version,
            user: self.names.users[user].clone(),
            body: match &change {
                Some(Change::Online(shown) | Change::Updated(shown)) => {
                    FeedBody::Shown(Arc::clone(shown))
                }
                Some(Change::Offline(offline)) => FeedBody::Gone(offline.clone()),
                None => FeedBody::Same,
            },
            hidden,
        };
        Committed::Ok {
            change,
            message: is_published.then(|| Box::new(message)),
        }
    }

    /// Lets an incarnation write, unless a later one of its node may.
    pub(crate) fn allow(&mut self, bucket: usize, node: usize, index: NodeIndex) {
        let held = self.buckets[bucket].nodes.entry(node).or_insert(index);
        *held = NodeIndex(held.0.max(index.0));
    }

    /// Refuses the writes of an incarnation that ended; answers with the users that have sessions
    /// of it.
    pub(crate) fn refuse(&mut self, bucket: usize, node: usize, index: NodeIndex) -> Vec<usize> {
        let bucket = &mut self.buckets[bucket];
        if bucket.nodes.get(&node) == Some(&index) {
            bucket.nodes.remove(&node);
        }
        let users = bucket.users.iter();
        users
            .filter(|(_, record)| {
                sessions(record)
                    .any(|(_, node, life)| node == index && !matches!(life, SessionLife::Ending(_)))
            })
            .map(|(user, _)| *user)
            .collect()
    }

    pub(crate) fn poll(&mut self, at: u64, bucket: usize, node: usize, index: NodeIndex) -> Poll {
        let now = self.enter(at, bucket);
        let fenced = !self.may_write(bucket, node, index);
        let held = &self.buckets[bucket];
        let due = held
            .users
            .iter()
            .filter(|(_, record)| record.due.is_some_and(|due| due < now.moment))
            .filter(|_| held.held_until <= now.moment);
        Poll {
            position: held.position,
            fenced,
            due: due.map(|(user, _)| *user).collect(),
            sessions: held
                .users
                .values()
                .flat_map(sessions)
                .filter(|(_, node, life)| *node == index && *life == SessionLife::Live)
                .map(|(session, _, _)| session)
                .collect(),
        }
    }

    pub(crate) fn snapshot(&mut self, at: u64, bucket: usize) -> LoadedBucket<u64> {
        self.enter(at, bucket);
        let held = &self.buckets[bucket];
        let users = held.users.iter();
        let users = users.filter_map(|(user, record)| match &record.user {
            Some(UserRecord::Attached(state)) => {
                let id = self.names.users[*user].clone();
                let hidden = is_hidden(record.user.as_ref());
                Some((id, (state.shown.clone(), hidden)))
            }
            _ => None,
        });
        LoadedBucket {
            position: held.position,
            version: held.version,
            users: users.collect(),
        }
    }

    fn enter_leases(&mut self, at: u64) -> Now {
        let (clock, has_jumped) = self.clock(self.slot.clock, at);
        self.slot.clock = clock;
        let now = Now {
            moment: clock.moment,
            wall: self.wall(at),
        };
        if has_jumped {
            self.slot.leases.grant_anew(now, LEASE);
        }
        now
    }

    /// A new incarnation of a node, and what an earlier one of it left.
    pub(crate) fn acquire(&mut self, at: u64, node: usize) -> (NodeIndex, Option<Ended>) {
        let now = self.enter_leases(at);
        let id = NodeId::trusted(format!("n{node}"));
        let (index, _, earlier) = self.slot.leases.acquire(now, id, LEASE);
        self.indexes += 1;
        let unique = NodeIndex(self.indexes);
        self.slot.indexes.insert(index.0, unique);
        let earlier = earlier.map(|ended| {
            let left = ended.lease.expires.since(now.moment);
            self.end(now, &ended, node, left.min(self.names.rules.grace))
        });
        (unique, earlier)
    }

    fn end(&mut self, now: Now, ended: &EndedLease, node: usize, end_in: Duration) -> Ended {
        let index = self.slot.indexes.remove(&ended.index.0).unwrap_or_default();
        let ended = Ended {
            node,
            index,
            seen: ended.seen,
            end_in,
            claimed_until: now.moment.plus(CLAIM),
        };
        self.slot.ended.insert(index.0, ended.clone());
        ended
    }

    /// Whether the lease is still held.
    pub(crate) fn renew(&mut self, at: u64, index: NodeIndex) -> bool {
        let now = self.enter_leases(at);
        let held = self
            .slot
            .indexes
            .iter()
            .find(|(_, unique)| **unique == index);
        let Some((held, _)) = held else { return false };
        let held = NodeIndex(*held);
        self.slot.leases.renew(now, held, LEASE).is_some()
    }

    /// The leases that ended and whose users this caller is to close.
    pub(crate) fn sweep(&mut self, at: u64) -> Vec<Ended> {
        let now = self.enter_leases(at);
        if self.bug == Some(Bug::NoSweep) {
            return Vec::new();
        }
        let mut closing = Vec::new();
        for ended in self.slot.leases.sweep(now.moment) {
            let node = ended.lease.node.as_str()[1..].parse().unwrap_or(0);
            closing.push(self.end(now, &ended, node, Duration::ZERO));
        }
        for ended in self.slot.ended.values_mut() {
            if ended.claimed_until < now.moment {
                ended.claimed_until = now.moment.plus(CLAIM);
                closing.push(ended.clone());
            }
        }
        closing
    }

    pub(crate) fn closed(&mut self, index: NodeIndex) {
        self.slot.ended.remove(&index.0);
    }

    /// Whether this node is the republisher.
    pub(crate) fn elect(&mut self, at: u64, node: usize) -> bool {
        let now = self.enter_leases(at).moment;
        let is_free = self
            .slot
            .election
            .is_none_or(|(held, until)| held == node || until < now);
        if is_free {
            self.slot.election = Some((node, now.plus(ELECTION)));
        }
        is_free
    }
}

/// The sessions of a record.
fn sessions(record: &Record) -> impl Iterator<Item = (u64, NodeIndex, SessionLife)> {
    let state = match &record.user {
        Some(UserRecord::Attached(state)) => Some(state),
        _ => None,
    };
    state.into_iter().flat_map(|state| {
        state.sessions.iter().map(|held| {
            let id = held.id.as_str()[1..].parse().unwrap_or(0);
            (id, held.node, held.life)
        })
    })
}

fn is_hidden(record: Option<&UserRecord>) -> bool {
    matches!(record, Some(UserRecord::Attached(state))
        if state.status.chosen.status == ManualStatus::Invisible)
}

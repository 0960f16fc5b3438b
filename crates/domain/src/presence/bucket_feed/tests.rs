//! A store with one bucket, and a copy of it behind a bus that loses, repeats and reorders.

use super::*;
use crate::identity::Profile;
use crate::presence::{Offline, OfflineReason, Status};
use crate::time::Timestamp;
use proptest::prelude::*;

const HOLD: Duration = Duration::from_secs(10);

fn user(n: u8) -> UserId {
    UserId::trusted(format!("u{n}"))
}

fn shown(n: u8, version: u64) -> Arc<Presence> {
    Arc::new(Presence {
        profile: Profile::bare(user(n)),
        status: Status::Online,
        text: None,
        last_active_at: Timestamp(0),
        activities: Vec::new(),
        version,
        since: version,
    })
}

fn offline(n: u8, version: u64) -> Change {
    Change::Offline(Offline {
        user: user(n),
        last_seen_at: None,
        reason: OfflineReason::Closed,
        version,
    })
}

fn at(epoch: u64, number: u64) -> BucketPosition {
    BucketPosition { epoch, number }
}

#[derive(Clone, Default)]
struct Store {
    position: BucketPosition,
    version: u64,
    present: BTreeMap<UserId, Arc<Presence>>,
}

impl Store {
    /// Shows a user, or hides one who is shown.
    fn turn(&mut self, n: u8) -> (BucketPosition, Change) {
        self.version += 1;
        self.position.number += 1;
        let change = if self.present.remove(&user(n)).is_some() {
            offline(n, self.version)
        } else {
            let presence = shown(n, self.version);
            self.present.insert(user(n), Arc::clone(&presence));
            Change::Online(presence)
        };
        (self.position, change)
    }

    fn snapshot(&self) -> BucketSnapshot {
        BucketSnapshot {
            position: self.position,
            floor: self.version,
            present: self.present.values().cloned().collect(),
        }
    }
}

/// The copy, with a listener that folds what it publishes and requires growing versions.
struct Copy {
    feed: BucketFeed,
    folded: BTreeMap<UserId, u64>,
    newest: BTreeMap<UserId, u64>,
    /// A snapshot that was read and has not arrived.
    reading: Option<BucketSnapshot>,
    /// Where the feed was when positions were asked for, and what the store answered.
    comparing: Option<(Option<BucketPosition>, BucketPosition)>,
}

impl Copy {
    fn new(store: &Store) -> Self {
        let mut feed = BucketFeed::new(1, HOLD);
        feed.ask(0);
        Self {
            feed,
            folded: BTreeMap::new(),
            newest: BTreeMap::new(),
            reading: Some(store.snapshot()),
            comparing: None,
        }
    }

    fn take(&mut self, store: &Store, step: FeedStep) {
        for change in step.changes {
            let (user, version, is_shown) = match change {
                FeedChange::Change(change) => {
                    let is_shown = !matches!(change, Change::Offline(_));
                    (change.user().clone(), change.version(), is_shown)
                }
                FeedChange::Left { user, version } => (user, version, false),
            };
            let newest = self.newest.entry(user.clone()).or_insert(0);
            assert!(version > *newest, "p5: {user} at {version} after {newest}");
            *newest = version;
            if is_shown {
                self.folded.insert(user, version);
            } else {
                assert!(self.folded.remove(&user).is_some(), "{user} left twice");
            }
        }
        if step.needs_snapshot {
            self.reading = Some(store.snapshot());
        }
    }

    fn arrive(&mut self, store: &Store) {
        if let Some(snapshot) = self.reading.take() {
            let step = self.feed.restore(Moment(0), 0, snapshot);
            self.take(store, step);
        }
    }

    fn compare(&mut self, store: &Store) {
        if let Some((asked, read)) = self.comparing.take() {
            let step = self.feed.compare(0, asked, read);
            self.take(store, step);
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Turn(u8),
    /// The message at this place of the queue arrives; whether it stays and arrives again.
    Arrive(usize, bool),
    Lose(usize),
    Snapshot,
    Ask,
    Compare,
    /// The store loses the bucket.
    Empty,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..4_u8).prop_map(Op::Turn),
        6 => (Just(0), Just(false)).prop_map(|(place, stays)| Op::Arrive(place, stays)),
        2 => (0..4_usize, any::<bool>()).prop_map(|(place, stays)| Op::Arrive(place, stays)),
        1 => (0..4_usize).prop_map(Op::Lose),
        2 => Just(Op::Snapshot),
        1 => Just(Op::Ask),
        1 => Just(Op::Compare),
        1 => Just(Op::Empty),
    ];
    prop::collection::vec(op, 1..120)
}

proptest! {
    #[test]
    fn p12_a_copy_over_a_lossy_bus_ends_with_the_truth(ops in ops()) {
        let mut store = Store::default();
        let mut copy = Copy::new(&store);
        let mut queue: Vec<(BucketPosition, Change)> = Vec::new();
        for op in ops {
            match op {
                Op::Turn(n) => queue.push(store.turn(n)),
                Op::Arrive(place, stays) if place < queue.len() => {
                    let (at, change) = queue[place].clone();
                    if !stays {
                        queue.remove(place);
                    }
                    let step = copy.feed.push(0, at, change);
                    copy.take(&store, step);
                }
                Op::Lose(place) if place < queue.len() => {
                    queue.remove(place);
                }
                Op::Arrive(..) | Op::Lose(_) => {}
                Op::Snapshot => copy.arrive(&store),
                Op::Ask => {
                    copy.feed.ask(0);
                    copy.reading = Some(store.snapshot());
                }
                Op::Compare => {
                    copy.compare(&store);
                    copy.comparing = Some((copy.feed.position(0), store.position));
                }
                Op::Empty => {
                    // Versions grow by the clock, over a store that lost everything too.
                    store.position = at(store.position.epoch + 1, 0);
                    store.version += 1;
                    store.present.clear();
                }
            }
            let present = copy.feed.present(0).map(|shown| (shown.profile.id.clone(), shown.version));
            prop_assert_eq!(present.collect::<BTreeMap<_, _>>(), copy.folded.clone());
        }
        // Nothing is on its way any more; two comparisons find what was lost.
        for _ in 0..3 {
            copy.arrive(&store);
            copy.comparing = Some((copy.feed.position(0), store.position));
            copy.compare(&store);
        }
        copy.arrive(&store);
        let late = copy.feed.pass_time(Moment(0).plus(HOLD));
        copy.take(&store, FeedStep { changes: late, ..FeedStep::default() });
        let truth: BTreeMap<UserId, u64> =
            store.present.iter().map(|(user, shown)| (user.clone(), shown.version)).collect();
        prop_assert_eq!(copy.folded, truth);
        prop_assert_eq!(copy.feed.position(0), Some(store.position));
        prop_assert_eq!(copy.feed.stale().count(), 0);
    }
}

fn started(present: Vec<Arc<Presence>>) -> BucketFeed {
    let mut feed = BucketFeed::new(1, HOLD);
    feed.ask(0);
    feed.restore(
        Moment(0),
        0,
        BucketSnapshot {
            position: at(1, 5),
            floor: 50,
            present,
        },
    );
    feed
}

#[test]
fn p6_changes_wait_for_the_snapshot_and_come_once() {
    let mut feed = BucketFeed::new(1, HOLD);
    assert_eq!(feed.stale().collect::<Vec<_>>(), [0]);
    feed.ask(0);
    for number in [7, 5, 6] {
        let step = feed.push(
            0,
            at(1, number),
            Change::Online(shown(number as u8, number)),
        );
        assert_eq!(step, FeedStep::default());
    }
    let step = feed.restore(
        Moment(0),
        0,
        BucketSnapshot {
            position: at(1, 5),
            floor: 5,
            present: vec![shown(5, 5)],
        },
    );
    let versions = step.changes.iter().map(|change| match change {
        FeedChange::Change(change) => change.version(),
        FeedChange::Left { .. } => 0,
    });
    assert_eq!(versions.collect::<Vec<_>>(), [5, 6, 7]);
    assert!(!step.needs_snapshot);
    assert_eq!(feed.get(0, "u6").1, 6);
    assert_eq!(feed.get(0, "nobody"), (None, 7));
}

#[test]
fn c12_a_leave_that_was_lost_is_found_by_the_gap_behind_it() {
    let mut feed = started(vec![shown(1, 40), shown(2, 50)]);
    let step = feed.push(0, at(1, 7), Change::Online(shown(3, 70)));
    assert!(step.needs_snapshot && step.changes.is_empty());
    let step = feed.restore(
        Moment(0),
        0,
        BucketSnapshot {
            position: at(1, 7),
            floor: 70,
            present: vec![shown(2, 50), shown(3, 70)],
        },
    );
    let expected = [
        FeedChange::Left {
            user: user(1),
            version: 70,
        },
        FeedChange::Change(Change::Online(shown(3, 70))),
    ];
    assert_eq!(step.changes, expected);
}

#[test]
fn p7_whom_a_store_lost_stays_until_the_nodes_had_time_to_announce_them() {
    let mut feed = started(vec![shown(1, 40), shown(2, 50)]);
    assert!(feed.compare(0, feed.position(0), at(2, 0)).needs_snapshot);
    let emptied = BucketSnapshot {
        position: at(2, 0),
        floor: 100,
        present: Vec::new(),
    };
    let step = feed.restore(Moment(0), 0, emptied);
    assert!(step.is_lost && step.changes.is_empty() && !step.needs_snapshot);
    assert!(feed.is_outdated(0, 50) && !feed.is_outdated(0, 101));
    let step = feed.push(0, at(2, 1), Change::Online(shown(1, 101)));
    assert_eq!(
        step.changes,
        [FeedChange::Change(Change::Online(shown(1, 101)))]
    );
    assert!(feed.pass_time(Moment(9_999)).is_empty());
    let left = FeedChange::Left {
        user: user(2),
        version: 101,
    };
    assert_eq!(feed.pass_time(Moment(10_000)), [left]);
    assert_eq!(feed.present(0).count(), 1);
}

#[test]
fn p12_what_is_on_its_way_gets_until_the_next_comparison() {
    let mut feed = started(Vec::new());
    let asked = feed.position(0);
    assert!(!feed.compare(0, asked, at(1, 6)).needs_snapshot);
    feed.push(0, at(1, 6), offline(1, 60));
    assert!(!feed.compare(0, asked, at(1, 7)).needs_snapshot);
    assert!(feed.compare(0, feed.position(0), at(1, 7)).needs_snapshot);
    feed.restore(
        Moment(0),
        0,
        BucketSnapshot {
            position: at(1, 7),
            floor: 70,
            present: Vec::new(),
        },
    );
    let asked = feed.position(0);
    assert!(
        feed.compare(0, asked, at(1, 6)).needs_snapshot,
        "the store went back"
    );
}

#[test]
fn what_waits_for_a_snapshot_is_bounded() {
    let mut feed = BucketFeed::new(1, HOLD);
    feed.ask(0);
    let last = 3 * WAITING_AT_MOST as u64;
    for number in 1..=last {
        feed.push(0, at(1, number), offline(1, number));
        assert!(feed.buckets[0].waiting.len() <= WAITING_AT_MOST);
    }
    let empty = BucketSnapshot {
        position: at(1, 0),
        ..BucketSnapshot::default()
    };
    assert!(feed.restore(Moment(0), 0, empty).needs_snapshot);
}

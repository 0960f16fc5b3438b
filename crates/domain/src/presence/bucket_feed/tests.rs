//! A store with one bucket, and a copy of it behind a bus that loses, repeats and reorders.

use super::changes::MAX_PENDING;
use super::*;
use crate::identity::Profile;
use crate::presence::{Change, Offline, OfflineReason, Status};
use crate::time::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const HOLD: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_millis(300);

type Position = BucketPosition<u64>;

fn user(n: u8) -> UserId {
    UserId::trusted(format!("u{n}"))
}

fn shown(n: u8, version: u64) -> Arc<Presence> {
    Arc::new(Presence {
        profile: Profile::bare(user(n)),
        status: Status::Online,
        text: None,
        last_active_at: Timestamp(0),
        hides_last_seen: false,
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

fn at(epoch: u64, number: u64) -> Position {
    Position { epoch, number }
}

fn no_own_user(_: &UserId) -> bool {
    false
}

fn message(position: Position, change: Change) -> FeedMessage<u64> {
    FeedMessage {
        bucket: 0,
        position,
        version: change.version(),
        user: change.user().clone(),
        body: match change {
            Change::Online(shown) | Change::Updated(shown) => FeedBody::Shown(shown),
            Change::Offline(offline) => FeedBody::Gone(offline),
        },
        hidden: false,
    }
}

fn loaded(position: Position, version: u64, present: Vec<Arc<Presence>>) -> LoadedBucket<u64> {
    let users = present
        .into_iter()
        .map(|shown| (shown.profile.id.clone(), (Some(shown), false)));
    LoadedBucket {
        position,
        version,
        users: users.collect(),
    }
}

impl BucketFeed<u64> {
    fn push(&mut self, now: u64, position: Position, change: Change) -> Vec<Change> {
        self.apply(Moment(now), message(position, change), &no_own_user)
    }

    fn load(&mut self, now: u64, loaded: LoadedBucket<u64>) -> Vec<Change> {
        self.finish_load(Moment(now), 0, loaded, &no_own_user)
    }

    fn wait(&mut self, now: u64) -> Vec<Change> {
        self.pass_time(Moment(now), PATIENCE, &no_own_user)
    }
}

#[derive(Clone, Default)]
struct Store {
    position: Position,
    version: u64,
    present: BTreeMap<UserId, Arc<Presence>>,
}

impl Store {
    /// Shows a user, or hides one who is shown.
    fn turn(&mut self, n: u8) -> (Position, Change) {
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

    fn load(&self) -> LoadedBucket<u64> {
        let present = self.present.values().cloned().collect();
        loaded(self.position, self.version, present)
    }
}

/// The copy, with a listener that folds what it publishes and requires growing versions.
struct Copy {
    feed: BucketFeed<u64>,
    folded: BTreeSet<UserId>,
    newest: BTreeMap<UserId, u64>,
    /// A bucket that was read and has not arrived.
    reading: Option<LoadedBucket<u64>>,
    /// The feed's position when positions were requested, and the store's answer.
    comparing: Option<(Option<Position>, Position)>,
    seen: Option<Position>,
    now: u64,
}

impl Copy {
    fn new(store: &Store) -> Self {
        let mut copy = Self {
            feed: BucketFeed::new(1, HOLD),
            folded: BTreeSet::new(),
            newest: BTreeMap::new(),
            reading: None,
            comparing: None,
            seen: None,
            now: 0,
        };
        copy.take(store, Vec::new());
        copy
    }

    fn take(&mut self, store: &Store, changes: Vec<Change>) {
        for change in changes {
            let (user, version) = (change.user().clone(), change.version());
            let newest = self.newest.entry(user.clone()).or_insert(0);
            assert!(version > *newest, "p5: {user} at {version} after {newest}");
            *newest = version;
            if matches!(change, Change::Offline(_)) {
                assert!(self.folded.remove(&user), "{user} left twice");
            } else {
                self.folded.insert(user);
            }
        }
        if self.feed.begin_load().is_some() {
            self.reading = Some(store.load());
        }
    }

    fn arrive(&mut self, store: &Store) {
        if let Some(read) = self.reading.take() {
            let changes = self.feed.load(self.now, read);
            self.take(store, changes);
        }
    }

    fn compare(&mut self, store: &Store) {
        if let Some((before, read)) = self.comparing.take() {
            let earlier = self.seen.replace(read);
            let now = Moment(self.now);
            self.feed
                .compare(now, 0, before.as_ref(), &read, earlier.as_ref());
            self.take(store, Vec::new());
        }
        self.comparing = Some((self.feed.position(0), store.position));
    }

    fn wait(&mut self, store: &Store, millis: u64) {
        self.now += millis;
        let changes = self.feed.wait(self.now);
        self.take(store, changes);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Turn(u8),
    /// The message at this place of the queue arrives; whether it stays and arrives again.
    Arrive(usize, bool),
    Lose(usize),
    Load,
    FailLoad,
    Stale,
    Compare,
    Wait(u64),
    /// The store loses the bucket.
    Empty,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..4_u8).prop_map(Op::Turn),
        6 => (Just(0), Just(false)).prop_map(|(place, stays)| Op::Arrive(place, stays)),
        2 => (0..4_usize, any::<bool>()).prop_map(|(place, stays)| Op::Arrive(place, stays)),
        1 => (0..4_usize).prop_map(Op::Lose),
        2 => Just(Op::Load),
        1 => Just(Op::FailLoad),
        1 => Just(Op::Stale),
        1 => Just(Op::Compare),
        2 => (0..500_u64).prop_map(Op::Wait),
        1 => Just(Op::Empty),
    ];
    prop::collection::vec(op, 1..120)
}

proptest! {
    #[test]
    fn p5_p12_a_copy_over_a_lossy_bus_converges(ops in ops()) {
        let mut store = Store::default();
        let mut copy = Copy::new(&store);
        let mut queue: Vec<(Position, Change)> = Vec::new();
        for op in ops {
            match op {
                Op::Turn(n) => queue.push(store.turn(n)),
                Op::Arrive(place, stays) if place < queue.len() => {
                    let (at, change) = queue[place].clone();
                    if !stays {
                        queue.remove(place);
                    }
                    let changes = copy.feed.push(copy.now, at, change);
                    copy.take(&store, changes);
                }
                Op::Lose(place) if place < queue.len() => {
                    queue.remove(place);
                }
                Op::Arrive(..) | Op::Lose(_) => {}
                Op::Load => copy.arrive(&store),
                Op::FailLoad => {
                    if copy.reading.take().is_some() {
                        copy.feed.fail_load(0);
                        copy.take(&store, Vec::new());
                    }
                }
                Op::Stale => {
                    copy.feed.mark_all_stale();
                    copy.take(&store, Vec::new());
                }
                Op::Compare => copy.compare(&store),
                Op::Wait(millis) => copy.wait(&store, millis),
                Op::Empty => {
                    // Versions grow by the clock, over a store that lost everything too.
                    store.position = at(store.position.epoch + 1, 0);
                    store.version += 1;
                    store.present.clear();
                }
            }
            let present = copy.feed.present().map(|shown| shown.profile.id.clone());
            prop_assert_eq!(&present.collect::<BTreeSet<_>>(), &copy.folded);
        }
        // Nothing is in transit any more; two comparisons detect the losses.
        for _ in 0..4 {
            copy.arrive(&store);
            copy.compare(&store);
            copy.wait(&store, 301);
        }
        copy.arrive(&store);
        copy.wait(&store, 10_001);
        let truth: BTreeSet<UserId> = store.present.keys().cloned().collect();
        prop_assert_eq!(copy.folded, truth);
        prop_assert_eq!(copy.feed.position(0), Some(store.position));
        prop_assert!(copy.feed.is_whole());
    }
}

fn started(present: Vec<Arc<Presence>>) -> BucketFeed<u64> {
    let mut feed = BucketFeed::new(1, HOLD);
    assert_eq!(feed.begin_load(), Some(0));
    feed.load(0, loaded(at(1, 5), 50, present));
    assert!(feed.is_whole());
    feed
}

fn left(n: u8, version: u64, reason: OfflineReason) -> Change {
    Change::Offline(Offline {
        user: user(n),
        last_seen_at: Some(Timestamp(0)),
        reason,
        version,
    })
}

#[test]
fn p6_changes_wait_for_the_load_and_are_published_once() {
    let mut feed = BucketFeed::new(1, HOLD);
    assert_eq!(feed.begin_load(), Some(0));
    assert_eq!(feed.begin_load(), None);
    for number in [7, 5, 6] {
        let change = Change::Online(shown(number as u8, number));
        assert_eq!(feed.push(0, at(1, number), change), []);
    }
    let changes = feed.load(0, loaded(at(1, 5), 5, vec![shown(5, 5)]));
    let versions: Vec<u64> = changes.iter().map(Change::version).collect();
    assert_eq!(versions, [5, 6, 7]);
    assert!(feed.is_whole());
    assert_eq!(feed.get(&user(6)).map(|shown| shown.version), Some(6));
    assert_eq!((feed.get(&user(9)), feed.version(0)), (None, 7));
    assert!(feed.has(0, &1, 7) && !feed.has(0, &1, 8) && !feed.has(0, &2, 7));
}

#[test]
fn c12_a_lost_leave_is_detected_by_the_gap_after_it() {
    let mut feed = started(vec![shown(1, 40), shown(2, 50)]);
    assert_eq!(feed.push(0, at(1, 7), Change::Online(shown(3, 70))), []);
    assert_eq!((feed.wait(300), feed.is_stale(0)), (vec![], false));
    assert_eq!(feed.lag(Moment(300)), PATIENCE);
    assert_eq!((feed.wait(301), feed.begin_load()), (vec![], Some(0)));
    let changes = feed.load(301, loaded(at(1, 7), 70, vec![shown(2, 50), shown(3, 70)]));
    let expected = [
        Change::Online(shown(3, 70)),
        left(1, 70, OfflineReason::Closed),
    ];
    assert_eq!(changes, expected);
    assert_eq!(feed.lag(Moment(400)), Duration::ZERO);
}

#[test]
fn p7_users_lost_by_the_store_stay_until_nodes_had_time_to_announce_them() {
    let mut feed = started(vec![shown(1, 40), shown(2, 50)]);
    feed.compare(Moment(0), 0, feed.position(0).as_ref(), &at(2, 0), None);
    assert_eq!(feed.begin_load(), Some(0));
    assert_eq!(feed.load(0, loaded(at(2, 0), 100, vec![])), []);
    assert_eq!(feed.losses(0), 1);
    let back = Change::Online(shown(1, 101));
    // They look as before, so no change is published.
    assert_eq!(feed.push(0, at(2, 1), back), []);
    assert_eq!(feed.wait(10_000), []);
    assert_eq!(feed.wait(10_001), [left(2, 101, OfflineReason::NodeLost)]);
    assert_eq!(feed.count(), 1);
}

/// A node with many users needs longer than the hold to announce them all.
#[test]
fn c12_users_lost_by_the_store_stay_while_others_of_their_bucket_are_announced() {
    let mut feed = started(vec![shown(1, 40), shown(2, 50)]);
    feed.mark_stale(0);
    assert_eq!(feed.begin_load(), Some(0));
    assert_eq!(feed.load(0, loaded(at(2, 0), 100, vec![])), []);
    feed.push(9_000, at(2, 1), Change::Online(shown(1, 101)));
    assert_eq!(feed.wait(15_000), [], "the second one may be announced yet");
    assert_eq!(feed.wait(19_001), [left(2, 101, OfflineReason::NodeLost)]);
    assert!(feed.get(&user(1)).is_some());
}

#[test]
fn p7_a_node_keeps_its_own_users_despite_the_store() {
    let own = |held: &UserId| *held == user(1);
    let mut feed = started(vec![shown(1, 40)]);
    let gone = left(1, 60, OfflineReason::NodeLost);
    let gone = message(at(1, 6), gone);
    assert_eq!(feed.apply(Moment(0), gone, &own), []);
    assert_eq!(feed.pass_time(Moment(10_001), PATIENCE, &own), []);
    assert_eq!(feed.count(), 1, "it announces them again");
    // A session that ended in the meantime.
    let late = feed.pass_time(Moment(20_002), PATIENCE, &no_own_user);
    assert_eq!(late, [left(1, 60, OfflineReason::NodeLost)]);
}

#[test]
fn p5_a_restored_store_shows_its_users_at_higher_versions() {
    let mut feed = started(vec![shown(1, 50)]);
    feed.mark_all_stale();
    assert_eq!(feed.begin_load(), Some(0));
    let mut old = (*shown(1, 30)).clone();
    old.status = Status::Away;
    let changes = feed.load(0, loaded(at(1, 3), 30, vec![Arc::new(old)]));
    let versions: Vec<u64> = changes.iter().map(Change::version).collect();
    assert_eq!(versions, [51]);
    assert_eq!(
        feed.get(&user(1)).map(|shown| shown.status),
        Some(Status::Away)
    );
}

#[test]
fn p8_p11_users_hidden_by_a_restored_store_are_hidden_unless_a_node_announces_them() {
    let mut feed = started(vec![shown(1, 40), shown(2, 50)]);
    feed.mark_stale(0);
    assert_eq!(feed.begin_load(), Some(0));
    let mut old = loaded(at(2, 0), 100, vec![]);
    old.users.extend([1, 2].map(|n| (user(n), (None, true))));
    assert_eq!(
        feed.load(0, old),
        [],
        "it may be from before they showed themselves"
    );
    assert_eq!(feed.push(0, at(2, 1), Change::Online(shown(2, 101))), []);
    let late = feed.pass_time(Moment(10_001), PATIENCE, &|_| true);
    assert_eq!(late, [left(1, 101, OfflineReason::Closed)]);
    assert!(feed.is_hidden(&user(1)) && feed.is_known(&user(1)));
    assert!(!feed.is_hidden(&user(2)) && feed.count() == 1);
    feed.set_hidden(&user(1), false);
    assert!(!feed.is_known(&user(1)));
}

#[test]
fn p8_p11_repeated_loads_of_a_restored_store_do_not_extend_the_wait() {
    let mut feed = started(vec![shown(1, 40), shown(2, 50)]);
    let old = |hidden: &[u8]| {
        let mut old = loaded(at(2, 0), 100, vec![]);
        old.users
            .extend(hidden.iter().map(|n| (user(*n), (None, true))));
        old
    };
    feed.mark_stale(0);
    assert_eq!(feed.begin_load(), Some(0));
    assert_eq!(feed.load(0, old(&[1])), []);
    // It may be loaded again before the nodes had time to announce their users.
    feed.mark_stale(0);
    assert_eq!(feed.begin_load(), Some(0));
    let changes = feed.load(1_000, old(&[1, 2]));
    let gone: Vec<&UserId> = changes.iter().map(Change::user).collect();
    assert_eq!(gone, [&user(2)], "who was hidden since");
    assert!(feed.get(&user(1)).is_some());
    let late = feed.wait(11_001);
    let gone: Vec<&UserId> = late.iter().map(Change::user).collect();
    assert_eq!(gone, [&user(1)]);
}

#[test]
fn p12_changes_in_transit_have_until_the_next_comparison() {
    let mut feed = started(Vec::new());
    let before = feed.position(0);
    feed.compare(Moment(0), 0, before.as_ref(), &at(1, 6), None);
    assert!(!feed.is_stale(0));
    feed.push(0, at(1, 6), offline(1, 60));
    feed.compare(
        Moment(1_000),
        0,
        before.as_ref(),
        &at(1, 7),
        Some(&at(1, 6)),
    );
    assert!(!feed.is_stale(0));
    let before = feed.position(0);
    feed.compare(
        Moment(2_000),
        0,
        before.as_ref(),
        &at(1, 7),
        Some(&at(1, 7)),
    );
    assert_eq!(feed.lag(Moment(2_000)), Duration::from_secs(1));
    assert_eq!(feed.begin_load(), Some(0));
    feed.load(2_000, loaded(at(1, 7), 70, vec![]));
    let before = feed.position(0);
    feed.compare(Moment(3_000), 0, before.as_ref(), &at(1, 6), None);
    assert!(feed.is_stale(0), "the store went back");
}

#[test]
fn changes_that_wait_for_a_load_are_bounded() {
    let mut feed = BucketFeed::new(1, HOLD);
    assert_eq!(feed.begin_load(), Some(0));
    for number in 1..=3 * MAX_PENDING as u64 {
        feed.push(0, at(1, number), offline(1, number));
        assert!(feed.buckets[0].pending.len() <= MAX_PENDING);
    }
    feed.load(0, loaded(at(1, 0), 0, vec![]));
    assert!(feed.is_stale(0), "changes are missing");
}

//! A feed that missed changes equals a fresh one after a resync.

use super::together::{Op, apply, ops};
use super::*;
use proptest::prelude::*;

/// Users whose state this feed has wrong.
fn wrong(world: &World) -> usize {
    let users = (0..8).map(user);
    users
        .filter(|user| world.feed.get(user.as_str()) != world.truth.present.get(user))
        .count()
}

proptest! {
    /// P6, P12 and rule 8: the bus loses changes and comes back, a snapshot is read while users
    /// change, and it is applied later still. Followers check every delivery.
    #[test]
    fn p12_a_stale_feed_after_a_resync_equals_a_fresh_feed(
        before in ops(),
        lost in ops(),
        reading in ops(),
        applying in ops(),
        after in ops(),
        limit in 0..6_usize,
    ) {
        let mut world = World::new(limit);
        let run = |world: &mut World, ops: &[Op]| ops.iter().for_each(|op| apply(world, op));
        run(&mut world, &before);
        world.is_bus_down = true;
        run(&mut world, &lost);
        world.is_bus_down = false;
        run(&mut world, &reading);
        let snapshot = world.snapshot();
        run(&mut world, &applying);
        world.resync(snapshot);
        prop_assert_eq!(wrong(&world), 0);
        world.settle();
        world.check();
        run(&mut world, &after);
        world.settle();
        world.check();
        // And to a follower who joins now, the feed equals a new one.
        let mut fresh: RosterFeed<Key> = RosterFeed::new(limit);
        fresh.resync(world.snapshot(), |_| None);
        prop_assert_eq!(fresh.count(), world.feed.count());
        if limit == 0 {
            prop_assert!(fresh.listed().eq(world.feed.listed()));
        }
    }

    /// One change for each user whose state differs, none for the others.
    #[test]
    fn a_resync_publishes_only_differences(before in ops(), lost in ops()) {
        let mut world = World::new(0);
        before.iter().for_each(|op| apply(&mut world, op));
        world.settle();
        world.is_bus_down = true;
        lost.iter().for_each(|op| apply(&mut world, op));
        world.settle();
        let differ = wrong(&world);
        world.resync(world.snapshot());
        prop_assert_eq!(world.feed.pending.clone().take().len(), differ);
        world.settle();
        let sent = world.sent;
        world.resync(world.snapshot());
        world.settle();
        prop_assert_eq!(world.sent, sent, "the second time there is nothing to mend");
    }
}

#[test]
fn p6_a_user_who_joined_after_the_snapshot_stays_listed() {
    let mut world = World::new(0);
    world.follow(0, Mode::Diff);
    world.show(&user(1));
    world.settle();
    let snapshot = world.snapshot();
    world.show(&user(2));
    world.hide(&user(1));
    world.resync(snapshot);
    world.settle();
    world.check();
}

/// Two buckets whose counters are far apart: the floor of one does not apply to the other.
#[test]
fn p5_a_floor_applies_to_the_users_of_its_bucket_only() {
    let bucket = |n: u16| crate::presence::bucket_of(&user(n), 2);
    let (slow, fast) = (
        (0..9).find(|n| bucket(*n) == 0).expect("a user"),
        (0..9).find(|n| bucket(*n) == 1).expect("a user"),
    );
    let floors = VersionFloors::by_bucket(vec![10, 1_000]);
    let mut feed: RosterFeed<Key> = RosterFeed::new(0);
    feed.push(Change::Online(presence(&user(slow), 11, 1)));
    feed.push(Change::Online(presence(&user(fast), 900, 2)));
    let snapshot = RosterSnapshot {
        present: Vec::new(),
        floors,
    };
    assert_eq!(feed.missing_from(&snapshot), [user(fast)]);
    feed.resync(snapshot, |_| None);
    assert!(
        feed.get(user(slow).as_str()).is_some(),
        "came after the snapshot"
    );
    assert!(feed.get(user(fast).as_str()).is_none());
    // Late deliveries of changes that the snapshot already contained.
    feed.push(Change::Updated(presence(&user(fast), 950, 2)));
    assert_eq!(feed.count(), 1);
    feed.push(Change::Online(presence(&user(fast), 1_001, 3)));
    assert_eq!(feed.count(), 2);
}

#[test]
fn p13_a_missed_leave_carries_last_seen() {
    let mut feed: RosterFeed<Key> = RosterFeed::new(0);
    feed.follow(0, Mode::Diff);
    feed.push(Change::Online(presence(&user(1), 1, 1)));
    feed.flush(Moment(1_000));
    let snapshot = RosterSnapshot {
        present: Vec::new(),
        floors: VersionFloors::one(5),
    };
    feed.resync(snapshot, |_| Some(Timestamp(7)));
    let deliveries = feed.flush(Moment(9_000));
    let Some(Delivery::Changes(_, changes)) = deliveries.first() else {
        panic!("{deliveries:?}")
    };
    let [Change::Offline(offline)] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(offline.last_seen_at, Some(Timestamp(7)));
    assert_eq!(
        (offline.reason, offline.version),
        (OfflineReason::Closed, 5)
    );
}

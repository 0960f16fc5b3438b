//! How soon, and how often.

use super::*;
use proptest::prelude::*;

#[test]
fn a_change_after_a_quiet_time_is_sent_at_once_and_the_next_ones_together() {
    let mut world = World::new(0);
    world.follow(0, Mode::Diff);
    world.pass(1_000);
    world.show(&user(1));
    assert!(world.feed.next_flush().is_some_and(|due| due <= world.now));
    world.pass(0);
    assert_eq!(world.clients[&0].list.len(), 1);
    for n in 2..50 {
        world.pass(1);
        world.show(&user(n));
    }
    assert_eq!(world.clients[&0].list.len(), 1, "gathered");
    world.pass(100 - 48 - 1);
    assert_eq!(world.clients[&0].list.len(), 1);
    world.pass(1);
    assert_eq!(world.clients[&0].list.len(), 49);
}

/// When this client got changes, in milliseconds after the beginning, while users come at these
/// moments.
fn sent_at(arrivals: impl Iterator<Item = u64>, until: u64) -> Vec<u64> {
    let mut feed: RosterFeed<u8> = RosterFeed::new(5_000);
    let mut truth = Truth::default();
    feed.follow(0, Mode::Diff);
    feed.flush(Moment(0));
    let mut sent = Vec::new();
    let mut arrivals = arrivals.enumerate().peekable();
    for at in 10_000..10_000 + until {
        while let Some((n, _)) = arrivals.next_if(|(_, arrival)| 10_000 + arrival <= at) {
            feed.push(truth.show(&user(n as u16)));
        }
        if feed.next_flush().is_some_and(|due| due.0 <= at) {
            let deliveries = feed.flush(Moment(at));
            sent.extend(
                deliveries
                    .iter()
                    .filter(|delivery| matches!(delivery, Delivery::Changes(..)))
                    .map(|_| at - 10_000),
            );
        }
    }
    assert!(arrivals.next().is_none() && feed.pending.is_empty());
    sent
}

#[test]
fn h6_a_storm_is_one_batch_a_second() {
    // 2,000 come back within four seconds.
    assert_eq!(
        sent_at((0..2_000).map(|n| n * 2), 10_000),
        [0, 100, 1_100, 2_100, 3_100, 4_100]
    );
}

#[test]
fn h6_continuous_changes_are_batched_at_growing_intervals() {
    assert_eq!(
        sent_at((0..100).map(|n| n * 50), 6_500),
        [0, 100, 300, 700, 1_500, 2_500, 3_500, 4_500, 5_500]
    );
    // A change after a quiet time is sent at once.
    assert_eq!(
        sent_at([0, 1_500, 4_000, 6_000].into_iter(), 8_000),
        [0, 1_500, 4_000, 6_000]
    );
    // And so it is again after a storm.
    let storm_and_one = (0..100).map(|n| n * 10).chain([4_000]);
    assert_eq!(sent_at(storm_and_one, 6_000).last(), Some(&4_000));
}

#[test]
fn a_snapshot_after_a_quiet_time_is_sent_at_once() {
    let mut world = World::new(0);
    world.show(&user(1));
    world.pass(1_000);
    world.follow(0, Mode::Full);
    world.pass(0);
    assert_eq!(world.clients[&0].list.len(), 1);
}

#[test]
fn no_flush_is_due_without_changes() {
    let mut world = World::new(0);
    assert_eq!(world.feed.next_flush(), None);
    world.follow(0, Mode::Full);
    world.settle();
    world.show(&user(1));
    world.settle();
    assert_eq!(
        world.feed.next_flush(),
        None,
        "the complete list was sent once more, and nothing else"
    );
    assert_eq!(world.clients[&0].lists.len(), 2);
}

#[test]
fn longer_lists_are_sent_less_often() {
    let mut pauses = Vec::new();
    for length in [1_u16, 100, 500, 1_000] {
        let mut world = World::new(0);
        (0..length).for_each(|n| world.show(&user(n)));
        world.follow(0, Mode::Full);
        // One user changes all the time.
        for _ in 0..600 {
            world.pass(100);
            world.show(&user(0));
        }
        let lists = &world.clients[&0].lists;
        assert!(lists.len() >= 3, "but it comes");
        let closest = lists
            .windows(2)
            .map(|pair| pair[1].since(pair[0]))
            .min()
            .unwrap();
        assert!(closest >= Duration::from_secs(1));
        pauses.push(closest);
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[3], "{pauses:?}");
}

proptest! {
    #[test]
    fn complete_lists_are_sent_at_most_once_a_second_and_end_correct(
        steps in proptest::collection::vec((0..6_u16, any::<bool>(), 0..700_u64, proptest::option::weighted(0.1, 0..4_u8)), 1..120),
    ) {
        let mut world = World::new(0);
        for (n, show, pause, joins) in steps {
            if let Some(key) = joins.filter(|key| !world.clients.contains_key(key)) {
                world.follow(key, Mode::Full);
            }
            if show { world.show(&user(n)) } else { world.hide(&user(n)) }
            world.pass(pause);
        }
        world.settle();
        for client in world.clients.values() {
            for pair in client.lists.windows(2) {
                prop_assert!(pair[1].since(pair[0]) >= Duration::from_secs(1), "{:?}", pair);
            }
        }
        for (key, follower) in &world.feed.followers {
            // Every change is in the last list this client got, or was sent before it had its
            // first.
            prop_assert_eq!(follower.listed_changes, world.feed.changes, "client {}", key);
        }
        world.check();
    }
}

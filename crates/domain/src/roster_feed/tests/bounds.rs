//! The cost of a storm of joins, and the memory after it.

use super::*;

#[test]
fn p10_a_storm_of_500_arrivals_is_a_handful_of_deliveries() {
    for mode in [Mode::Full, Mode::Diff] {
        let mut feed: RosterFeed<u16> = RosterFeed::new(1_000);
        let mut truth = Truth::default();
        let (mut now, mut deliveries, mut entries, mut sent) = (1_000_000, 0, 0, 0);
        let mut flush = |feed: &mut RosterFeed<u16>, now| {
            for delivery in feed.flush(Moment(now)) {
                deliveries += 1;
                match delivery {
                    Delivery::Snapshot(_) => entries += feed.listed().len(),
                    Delivery::Events(_, changes) | Delivery::Changes(_, changes) => {
                        entries += changes.len();
                        sent += changes.len();
                    }
                }
            }
        };
        // Everyone comes within a second, and everyone follows everyone.
        for n in 0..500 {
            feed.push(truth.show(&user(n)));
            feed.follow(n, mode);
            now += 2;
            if feed.next_flush().is_some_and(|due| due.0 <= now) {
                flush(&mut feed, now);
            }
        }
        while let Some(due) = feed.next_flush() {
            flush(&mut feed, due.0);
        }
        // Ten batches a second, each encoded once for those who were there and once for those who
        // came; then some whole lists. Not 500 times 500.
        assert!(
            deliveries <= 2 * 12 + 3,
            "{mode:?}: {deliveries} deliveries"
        );
        assert!(sent <= 500, "{mode:?}: each change is in one batch: {sent}");
        assert!(
            entries <= 500 + 12 * 500 + 3 * 500,
            "{mode:?}: {entries} entries"
        );
    }
}

#[test]
fn the_updates_of_one_user_in_a_batch_are_bounded() {
    let mut world = World::new(0);
    world.follow(0, Mode::Diff);
    world.watch(1, &[user(1)]);
    world.show(&user(2));
    world.pass(0);
    for n in 0..10_000 {
        if n % 3 == 2 {
            world.hide(&user(1))
        } else {
            world.show(&user(1))
        }
    }
    let before = world.sent;
    world.pass(100);
    assert!(
        world.sent - before <= 2 * 2,
        "{} entries",
        world.sent - before
    );
    world.check();
}

#[test]
fn a_batch_keeps_every_change_that_clients_need() {
    let batch = |steps: &[&str]| -> Vec<String> {
        let mut batch = batch::Batch::default();
        for (n, step) in steps.iter().enumerate() {
            let version = n as u64 + 1;
            batch.add(match *step {
                "in" => Change::Online(presence(&user(1), version, version)),
                "now" => Change::Updated(presence(&user(1), version, 1)),
                _ => offline(&user(1), version),
            });
        }
        let words = |change: &Change| match change {
            Change::Online(_) => format!("in {}", change.version()),
            Change::Updated(_) => format!("now {}", change.version()),
            Change::Offline(_) => format!("out {}", change.version()),
        };
        let newest = batch.version_of(&user(1));
        let changes = batch.take();
        assert_eq!(newest, changes.last().map_or(0, Change::version));
        assert!(batch.is_empty());
        changes.iter().map(words).collect()
    };
    assert_eq!(
        batch(&["in", "now", "now"]),
        ["in 3"],
        "who came looks as they look now"
    );
    assert_eq!(batch(&["now", "now"]), ["now 2"]);
    assert_eq!(batch(&["now", "out"]), ["out 2"]);
    assert_eq!(
        batch(&["in", "out"]),
        ["in 1", "out 2"],
        "a short visit was a visit"
    );
    assert_eq!(
        batch(&["out", "in"]),
        ["out 1", "in 2"],
        "an update never looks like a leave, nor a leave like an update"
    );
    assert_eq!(batch(&["out", "in", "now"]), ["out 1", "in 3"]);
    assert_eq!(batch(&["out", "in", "out"]), ["out 3"]);
    assert_eq!(batch(&["in", "out", "in"]), ["in 3"]);
    assert_eq!(batch(&["in", "out", "in", "now", "out"]), ["in 4", "out 5"]);
    assert_eq!(
        batch(&["now", "out", "in", "out", "in", "now"]),
        ["out 4", "in 6"]
    );
}

#[test]
fn unfollowing_frees_all_state() {
    let mut world = World::new(2);
    for round in 0..3 {
        for key in 0..10 {
            world.follow(
                key,
                [Mode::Full, Mode::Diff, Mode::Watch, Mode::None][usize::from(key % 4)],
            );
            world.watch(key, &[user(1), user(2), user(u16::from(key) + 10)]);
            world.follow(key, Mode::Full);
        }
        world.show(&user(round));
        if round == 1 {
            world.pass(5_000);
        }
        for key in 0..10 {
            world.unfollow(key);
        }
        world.unfollow(3); // Called twice.
        world.hide(&user(round));
        world.pass(5_000);
        assert!(world.is_empty());
    }
}

#[test]
fn followers_of_nothing_are_not_stored() {
    let mut feed: RosterFeed<Key> = RosterFeed::new(0);
    feed.follow(1, Mode::None);
    feed.watch(&2, []);
    feed.watch(&3, [user(1)]);
    feed.unwatch(&3, &[user(1)]);
    feed.follow(4, Mode::Full);
    feed.follow(4, Mode::None);
    assert_eq!(feed.follower_count(), 0);
    assert_eq!(
        feed.next_flush(),
        None,
        "no list is sent to connections that no longer follow it"
    );
    feed.follow(5, Mode::Full);
    feed.follow(5, Mode::Watch);
    assert_eq!(feed.flush(Moment(1)), []);
    assert_eq!(feed.full_count, 0);
}

#[test]
fn the_cost_of_newcomers_and_changes_is_linear() {
    // With a search through the batch for each change, this takes half a minute.
    let mut feed: RosterFeed<u32> = RosterFeed::new(0);
    let mut truth = Truth::default();
    for n in 0..20_000_u16 {
        feed.follow(u32::from(n), Mode::Full);
        feed.push(truth.show(&user(n)));
        feed.watch(&1, [user(n)]);
        feed.push(truth.show(&user(n)));
    }
    for n in 0..20_000 {
        feed.unfollow(&n);
    }
    assert_eq!(feed.follower_count(), 0);
}

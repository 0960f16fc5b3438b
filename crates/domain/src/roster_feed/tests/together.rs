//! Snapshots and changes together equal a fresh snapshot, with any operations in between.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(super) enum Op {
    Show(u16),
    Hide(u16),
    Follow(Key, Mode),
    Unfollow(Key),
    Watch(Key, Vec<u16>),
    Unwatch(Key, Vec<u16>),
    Pass(u64),
    /// An unrequested flush.
    Flush,
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let users = || proptest::collection::vec(0..8_u16, 0..4);
    let mode = prop_oneof![3 => Just(Mode::Full), 3 => Just(Mode::Diff), 1 => Just(Mode::Watch), 1 => Just(Mode::None)];
    let op = prop_oneof![
        8 => (0..8_u16).prop_map(Op::Show),
        6 => (0..8_u16).prop_map(Op::Hide),
        3 => (0..4_u8, mode).prop_map(|(key, mode)| Op::Follow(key, mode)),
        1 => (0..4_u8).prop_map(Op::Unfollow),
        3 => (0..4_u8, users()).prop_map(|(key, users)| Op::Watch(key, users)),
        1 => (0..4_u8, users()).prop_map(|(key, users)| Op::Unwatch(key, users)),
        5 => prop_oneof![0..3_u64, 0..150_u64, 0..3_000_u64].prop_map(Op::Pass),
        1 => Just(Op::Flush),
    ];
    proptest::collection::vec(op, 1..120)
}

fn named(users: &[u16]) -> Vec<UserId> {
    users.iter().map(|n| user(*n)).collect()
}

pub(super) fn apply(world: &mut World, op: &Op) {
    match op {
        Op::Show(n) => world.show(&user(*n)),
        Op::Hide(n) => world.hide(&user(*n)),
        Op::Follow(key, mode) => world.follow(*key, *mode),
        Op::Unfollow(key) => world.unfollow(*key),
        Op::Watch(key, users) => world.watch(*key, &named(users)),
        Op::Unwatch(key, users) => world.unwatch(*key, &named(users)),
        Op::Pass(by) => world.pass(*by),
        Op::Flush => world.flush_early(),
    }
}

impl World {
    /// Nothing is sent before it is due.
    fn flush_early(&mut self) {
        if self.feed.next_flush().is_none_or(|due| due > self.now) {
            assert_eq!(self.feed.flush(self.now), []);
        } else {
            self.flush();
        }
    }
}

proptest! {
    #[test]
    fn p6_snapshot_and_stream_equal_a_fresh_snapshot_for_every_follower(ops in ops(), limit in 0..6_usize) {
        let mut world = World::new(limit);
        for op in &ops {
            apply(&mut world, op);
        }
        world.settle();
        world.check();
        // Nothing is kept of users who left.
        for key in 0..4 {
            world.unfollow(key);
        }
        for n in 0..8 {
            world.hide(&user(n));
        }
        world.pass(1_000);
        prop_assert!(world.is_empty());
    }

    #[test]
    fn p6_snapshot_and_stream_equal_a_fresh_snapshot_at_every_pause(ops in ops(), limit in 0..6_usize) {
        let mut world = World::new(limit);
        for op in &ops {
            apply(&mut world, op);
            if matches!(op, Op::Pass(by) if *by > 100) {
                world.pass(0);
                if world.feed.pending.is_empty() && world.feed.pending_watched.is_empty() && world.feed.newcomers.is_empty() {
                    world.check();
                }
            }
        }
    }
}

#[test]
fn p6_a_follower_who_joins_during_a_batch_gets_it_in_the_snapshot_only() {
    let mut world = World::new(0);
    world.follow(0, Mode::Full);
    world.show(&user(1));
    world.pass(0);
    world.show(&user(2));
    world.follow(1, Mode::Diff);
    world.show(&user(3));
    world.hide(&user(1));
    world.pass(100); // The client complains if anything comes before its snapshot, or after it again.
    world.check();
}

#[test]
fn p6_complete_lists_follow_the_changes_that_they_contain() {
    let mut world = World::new(0);
    world.follow(0, Mode::Full);
    world.show(&user(1));
    world.pass(950);
    world.show(&user(2)); // Sent at once; now the list is due at 1,000 …
    world.pass(20);
    world.show(&user(3)); // … while this is still being gathered.
    world.pass(10_000);
    world.check();
}

#[test]
fn p6_a_free_place_in_the_list_goes_to_the_longest_waiting_user() {
    let mut world = World::new(2);
    for n in 0..5 {
        world.show(&user(n));
    }
    world.follow(0, Mode::Diff);
    world.pass(1_000);
    world.hide(&user(3)); // Past the end: no change for followers of the list.
    world.hide(&user(0));
    world.pass(1_000);
    let mut listed: Vec<_> = world.clients[&0].list.keys().cloned().collect();
    listed.sort();
    assert_eq!(listed, [user(1), user(2)]);
    world.check();
}

#[test]
fn p6_changes_past_the_limit_are_sent_to_watchers_only() {
    let mut world = World::new(1);
    world.show(&user(0));
    world.show(&user(1));
    world.follow(0, Mode::Full);
    world.follow(1, Mode::Diff);
    world.watch(2, &[user(1)]);
    world.pass(10_000);
    let before = world.sent;
    world.show(&user(1));
    world.pass(0);
    assert_eq!(
        world.sent - before,
        1,
        "one change, for the one who watches"
    );
    world.settle();
    world.check();
}

#[test]
fn p6_watchers_get_each_change_of_watched_users_once() {
    let mut world = World::new(0);
    for (key, mode) in [
        (0, Mode::Full),
        (1, Mode::Diff),
        (2, Mode::Watch),
        (3, Mode::None),
    ] {
        world.follow(key, mode);
        world.watch(key, &[user(1)]);
    }
    world.pass(1_000);
    let before = world.sent;
    world.show(&user(1));
    world.show(&user(2));
    world.flush(); // The clients complain of anything that comes twice, and of whom they do not watch.
    assert_eq!(
        world.sent - before,
        2 + 2 + 1,
        "two for full, two for diff, one that both watchers share"
    );
    world.settle();
    world.check();
}

#[test]
fn p6_the_reply_to_a_watch_includes_pending_changes() {
    let mut world = World::new(0);
    world.watch(0, &[user(1)]);
    world.show(&user(9));
    world.pass(0);
    world.show(&user(1));
    world.watch(1, &[user(1)]); // The answer has it; the client complains if it comes again.
    world.hide(&user(1));
    world.pass(100);
    world.check();
}

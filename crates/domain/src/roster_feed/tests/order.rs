//! Whatever order the bus had.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn p5_stale_and_reordered_changes_are_dropped_and_the_final_state_is_correct(
        script in proptest::collection::vec((0..4_u16, any::<bool>()), 1..40),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 80),
        repeats in proptest::collection::vec(any::<bool>(), 40),
        pauses in proptest::collection::vec(0..120_u64, 80),
        limit in 0..4_usize,
    ) {
        let mut truth = Truth::default();
        let mut bus = Vec::new();
        for ((n, show), repeat) in script.iter().zip(repeats) {
            let change = if *show { Some(truth.show(&user(*n))) } else { truth.hide(&user(*n)) };
            bus.extend(change.clone());
            if repeat {
                bus.extend(change);
            }
        }
        let mut feed: RosterFeed<Key> = RosterFeed::new(limit);
        let mut now = Moment(1_000);
        feed.watch(&0, (0..4).map(user));
        feed.follow(1, Mode::Diff);
        let (mut watched, mut listed): (HashMap<UserId, Change>, HashMap<UserId, Change>) = Default::default();
        let mut hear = |feed: &mut RosterFeed<Key>, now| {
            for delivery in feed.flush(now) {
                let Delivery::Changes(keys, changes) = delivery else { continue };
                let view = if keys == [0] { &mut watched } else { &mut listed };
                for change in changes {
                    let before = view.insert(change.user().clone(), change.clone());
                    let newer = before.as_ref().is_none_or(|before| before.version() < change.version());
                    assert!(newer, "a watcher sees versions only grow: {before:?} then {change:?}");
                }
            }
        };
        for (index, pause) in order.iter().zip(pauses) {
            if bus.is_empty() {
                break;
            }
            feed.push(bus.swap_remove(index.index(bus.len())));
            now.0 += pause;
            hear(&mut feed, now);
        }
        for change in bus {
            feed.push(change);
        }
        now.0 += 1_000;
        hear(&mut feed, now);
        prop_assert_eq!(feed.count(), truth.present.len());
        for n in 0..4 {
            let user = user(n);
            let is = truth.present.get(&user);
            prop_assert_eq!(feed.get(user.as_str()), is);
            match watched.get(&user) {
                Some(Change::Online(sent) | Change::Updated(sent)) => prop_assert_eq!(Some(sent), is),
                Some(Change::Offline(_)) | None => prop_assert_eq!(None, is),
            }
        }
    }
}

#[test]
fn p5_an_online_event_delivered_after_a_newer_offline_is_dropped() {
    let mut feed: RosterFeed<Key> = RosterFeed::new(0);
    feed.push(offline(&user(1), 7));
    feed.push(Change::Online(presence(&user(1), 5, 5)));
    feed.push(Change::Updated(presence(&user(1), 6, 5)));
    assert_eq!(feed.count(), 0);
    feed.push(Change::Online(presence(&user(1), 8, 8)));
    assert_eq!(feed.count(), 1);
    feed.push(offline(&user(1), 7));
    assert_eq!(feed.count(), 1);
}

#[test]
fn p5_a_repeated_offline_event_is_sent_once() {
    let mut world = World::new(0);
    world.watch(0, &[user(1)]);
    world.show(&user(1));
    world.pass(1_000);
    let gone = world.truth.hide(&user(1)).unwrap();
    world.feed.push(gone.clone());
    world.pass(1_000);
    world.feed.push(gone);
    world.pass(1_000); // The client panics if it gets the change again.
    world.check();
}

#[test]
fn p5_a_user_who_returns_before_their_offline_event_is_listed_once() {
    let mut feed: RosterFeed<Key> = RosterFeed::new(0);
    feed.push(Change::Online(presence(&user(1), 1, 1)));
    feed.push(Change::Online(presence(&user(1), 3, 3)));
    feed.push(offline(&user(1), 2));
    assert_eq!(
        feed.listed()
            .map(|presence| presence.version)
            .collect::<Vec<_>>(),
        [3]
    );
}

#[test]
fn two_users_may_have_the_same_version() {
    let mut feed: RosterFeed<Key> = RosterFeed::new(0);
    feed.push(Change::Online(presence(&user(1), 1, 1)));
    feed.push(Change::Online(presence(&user(2), 1, 1)));
    assert_eq!(feed.count(), 2);
    feed.push(offline(&user(1), 2));
    assert_eq!(feed.get("u2").map(|presence| presence.version), Some(1));
}

#[test]
fn tombstones_expire() {
    let mut feed: RosterFeed<Key> = RosterFeed::new(0);
    feed.flush(Moment(1_000_000));
    feed.push(Change::Online(presence(&user(1), 1, 1)));
    feed.push(offline(&user(1), 2));
    feed.flush(Moment(1_029_000));
    assert_eq!(feed.gone.len(), 1);
    feed.flush(Moment(1_031_000));
    assert_eq!(feed.gone.len(), 1, "at least half a minute");
    feed.flush(Moment(1_062_000));
    assert_eq!(feed.gone.len(), 0);
    for n in 0..50_000 {
        feed.push(offline(&UserId::trusted(format!("g{n}")), n + 10));
    }
    assert!(feed.gone.len() <= 20_000, "{}", feed.gone.len());
}

//! Coming and going: several sessions, reloads, grace periods, lives that run out.

use super::*;
use proptest::prelude::*;

#[test]
fn online_is_published_at_once_and_once() {
    let mut world = World::new();
    world.join("a", "a1");
    world.join("a", "a2");
    world.join("a", "a1");
    assert_eq!(world.log(), ["a joined: online"]);
}

#[test]
fn a_close_is_published_after_the_grace_period_and_within_a_second_of_it() {
    let mut world = World::new();
    world.join("a", "a1");
    world.close("a1");
    let closed = world.now;
    world.pass(GRACE);
    assert_eq!(world.log(), ["a joined: online"]);
    world.pass(SECOND);
    assert_eq!(world.log(), ["a left: closed"]);
    let published = world.latest().0.since(closed.moment);
    assert!(
        published > Duration::from_millis(GRACE)
            && published <= Duration::from_millis(GRACE + SECOND),
        "{published:?}"
    );
    // They were last seen when they closed, not when it was published.
    assert_eq!(world.latest_absence().last_seen_at, Some(closed.wall));
    assert!(world.is_empty());
}

#[test]
fn the_reason_of_the_latest_end_is_published() {
    let mut world = World::new();
    world.join("a", "a1");
    world.join("a", "a2");
    world.close("a1");
    world.pass(10);
    world.close_for("a2", OfflineReason::Timeout);
    world.pass(HOUR);
    assert_eq!(world.log(), ["a joined: online", "a left: timeout"]);
}

#[test]
fn p4_a_reload_causes_no_event() {
    let mut world = World::new();
    for (n, gone_for) in [0, 1, SECOND, GRACE - 1].into_iter().enumerate() {
        world.join("a", &format!("a{n}"));
        world.log();
        world.pass(20 * SECOND);
        world.close(&format!("a{n}"));
        world.pass(gone_for);
        world.join("a", &format!("a{}", n + 1));
        world.pass(20 * SECOND);
        assert_eq!(world.log(), [""; 0], "gone for {gone_for} ms");
        world.close(&format!("a{}", n + 1));
        world.pass(20 * SECOND);
        world.log();
    }
}

#[test]
fn p4_a_session_that_returns_within_the_grace_period_causes_no_event() {
    let mut world = World::new();
    world.join("a", "a1");
    world.close("a1");
    world.pass(SECOND);
    world.join("a", "a1");
    world.pass(MINUTE);
    assert_eq!(world.log(), ["a joined: online"]);
}

#[test]
fn p4_coming_back_at_the_very_end_of_the_grace_period_wins() {
    for tick_first in [false, true] {
        let mut world = World::new();
        world.join("a", "a1");
        world.close("a1");
        world.move_clocks(GRACE);
        if tick_first {
            world.tick();
        }
        world.join("a", "a2");
        world.pass(MINUTE);
        assert_eq!(world.log(), ["a joined: online"]);
    }
}

#[test]
fn p4_changes_during_the_grace_period_are_not_published() {
    let mut world = World::new();
    world.join("a", "a1");
    world.pass(5 * MINUTE - SECOND);
    world.close("a1");
    world.set_name("a", "Ada");
    world.set_status("a", chose(ManualStatus::Busy));
    world.pass(2 * SECOND); // Past the moment at which they would be away.
    assert_eq!(
        world.log(),
        ["a joined: online"],
        "during the grace period only a return or the end is published"
    );
    world.join("a", "a2");
    assert_eq!(world.log(), ["a updated: busy"]);
}

#[test]
fn activity_of_a_closed_session_is_ignored() {
    let mut world = World::new();
    world.join("a", "a1");
    world.close("a1");
    world.pass(SECOND);
    world.active("a1");
    world.set_activity("a1", Some(doing("in_call")));
    world.pass(GRACE);
    world.active("a1");
    assert_eq!(world.log(), ["a joined: online", "a left: closed"]);
    assert!(world.is_empty());
}

#[test]
fn a_session_belongs_to_one_user() {
    let mut world = World::new();
    world.join("a", "s");
    world.join("b", "s");
    assert_eq!(world.log(), ["a joined: online"]);
    assert_eq!(world.roster.user_of(&session("s")), Some(&user("a")));
}

#[test]
fn signing_out_is_published_at_once() {
    let mut world = World::new();
    world.join("a", "a1");
    world.sign_out("a1");
    assert_eq!(world.log(), ["a joined: online", "a left: signed out"]);
    assert_eq!(world.latest_absence().last_seen_at, Some(world.now.wall));
    assert!(world.is_empty());
}

#[test]
fn signing_out_with_another_device_online_causes_no_event() {
    let mut world = World::new();
    world.join("a", "laptop");
    world.join("a", "phone");
    world.sign_out("laptop");
    world.pass(MINUTE);
    assert_eq!(world.log(), ["a joined: online"]);
    world.close("phone");
    world.pass(MINUTE);
    assert_eq!(
        world.log(),
        ["a left: closed"],
        "the reason is that of the phone; the earlier sign-out of another device does not count"
    );
}

#[test]
fn signing_out_leaves_no_ghost_of_an_earlier_tab() {
    let mut world = World::new();
    world.join("a", "a1");
    world.join("a", "a2");
    world.close("a1");
    world.sign_out("a2");
    assert_eq!(world.log(), ["a joined: online", "a left: signed out"]);
    assert!(world.is_empty());
}

#[test]
fn signing_out_is_published_at_once_despite_a_sleeping_tab() {
    let mut world = World::new();
    world.join("a", "forgotten");
    world.pass(HOUR + SECOND);
    world.join("a", "a1");
    world.join("a", "a2");
    world.log();
    world.close("a1");
    world.sign_out("a2");
    assert_eq!(world.log(), ["a left: signed out"]);
    world.pass(MINUTE);
    world.active("forgotten");
    assert_eq!(
        world.log(),
        ["a joined: online"],
        "whoever wakes the forgotten tab is in again"
    );
}

#[test]
fn signing_out_during_the_grace_period_is_published_at_once() {
    let mut world = World::new();
    world.join("a", "a1");
    world.close("a1");
    world.pass(SECOND);
    world.sign_out("a1");
    assert_eq!(world.log(), ["a joined: online", "a left: signed out"]);
}

#[test]
fn p3_no_activity_for_the_time_to_live_is_one_timeout_without_a_grace_period() {
    let mut world = World::new();
    world.join("a", "a1");
    let active = world.now;
    world.pass(HOUR);
    assert_eq!(world.log(), ["a joined: online", "a updated: away"]);
    world.pass(2);
    assert_eq!(world.log(), ["a left: timeout"]);
    assert_eq!(
        world.latest_absence().last_seen_at,
        Some(active.wall),
        "last seen when last active"
    );
    world.pass(3 * HOUR);
    world.close("a1");
    world.pass(MINUTE);
    assert_eq!(world.log(), [""; 0]);
    assert!(world.is_empty());
}

#[test]
fn p3_a_refresh_at_the_same_moment_wins_in_either_order() {
    for tick_first in [false, true] {
        let mut world = World::new();
        world.join("a", "a1");
        world.idle("a1"); // Away already, so that nothing but the expiry can be published.
        world.log();
        world.move_clocks(HOUR);
        if tick_first {
            world.tick();
        }
        world.idle("a1");
        world.tick();
        world.pass(HOUR);
        assert_eq!(world.log(), [""; 0]);
        world.pass(2);
        assert_eq!(world.log(), ["a left: timeout"]);
    }
}

#[test]
fn p3_the_next_activity_revives() {
    let mut world = World::new();
    world.join("a", "a1");
    world.set_activity("a1", Some(doing("in_call")));
    world.pass(2 * HOUR);
    world.log();
    world.active("a1");
    assert_eq!(
        world.log(),
        ["a joined: online"],
        "and without the call of long ago"
    );
    world.pass(HOUR - 1);
    world.active("a1");
    world.pass(MINUTE);
    assert_eq!(world.log(), ["a updated: away", "a updated: online"]);
}

#[test]
fn p3_one_expired_device_leaves_the_other_online() {
    let mut world = World::new();
    world.join("a", "a1");
    world.join("a", "a2");
    for _ in 0..150 {
        world.pass(30 * SECOND);
        world.active("a2");
    }
    assert_eq!(world.log(), ["a joined: online"]);
}

#[test]
fn p3_expiries_are_published_in_the_order_of_their_moments() {
    let mut world = World::new();
    for who in ["c", "a", "b"] {
        world.join(who, who);
        world.pass(10);
    }
    world.log();
    world.move_clocks(2 * HOUR);
    world.tick();
    world.tick();
    assert_eq!(
        world.log(),
        ["c left: timeout", "a left: timeout", "b left: timeout"]
    );
}

proptest! {
    #[test]
    fn p8_three_tabs_in_any_order_of_closing_are_online_until_the_last_is_gone(
        order in Just(vec![0, 1, 2]).prop_shuffle(),
        repeats in proptest::collection::vec((0..3_usize, 0..3_usize), 0..12),
        pauses in proptest::collection::vec(0..10 * SECOND, 3),
        timeouts in proptest::collection::vec(any::<bool>(), 3),
    ) {
        let mut world = World::new();
        let tab = |n: usize| format!("tab{n}");
        for n in 0..3 {
            world.join("a", &tab(n));
        }
        prop_assert_eq!(world.log(), ["a joined: online"]);
        for (closed, n) in order.iter().enumerate() {
            let reason = if timeouts[*n] { OfflineReason::Timeout } else { OfflineReason::Closed };
            world.close_for(&tab(*n), reason);
            // Tabs that closed are closed again and again.
            for (_, again) in repeats.iter().filter(|(when, _)| *when == closed) {
                if order[..=closed].contains(again) {
                    world.close(&tab(*again));
                }
            }
            if closed < 2 {
                world.pass(pauses[closed]);
                prop_assert_eq!(world.log(), [""; 0], "a tab is still open");
            }
        }
        world.pass(GRACE);
        prop_assert_eq!(world.log(), [""; 0]);
        for n in order {
            world.close(&tab(n)); // Neither shortens nor lengthens anything.
        }
        world.pass(SECOND);
        prop_assert_eq!(world.log().len(), 1);
        prop_assert!(world.is_empty());
    }

    #[test]
    fn p4_a_user_stays_online_for_at_least_a_grace_period(
        steps in proptest::collection::vec((0..3_usize, 0..5_u8, 0..4 * SECOND), 1..60),
    ) {
        let mut world = World::new();
        for (tab, what, pause) in steps {
            let tab = format!("tab{tab}");
            match what {
                0 | 1 => world.join("a", &tab),
                2 => world.close(&tab),
                3 => world.set_status("a", chose(ManualStatus::Invisible)),
                _ => world.set_status("a", chose(ManualStatus::Online)),
            }
            world.pass(pause);
        }
        let mut came = None;
        for (at, change) in &world.published {
            match change {
                Change::Online(_) => came = Some(*at),
                Change::Offline(_) => {
                    let stayed = at.since(came.take().expect("out after in"));
                    prop_assert!(stayed > Duration::from_millis(GRACE), "in and out within a grace period: {:?}", stayed);
                }
                Change::Updated(_) => prop_assert!(false, "nothing here is an update"),
            }
        }
    }
}

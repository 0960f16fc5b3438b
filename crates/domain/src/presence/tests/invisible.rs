//! Invisible cannot be distinguished from offline: two worlds run side by side. In one of them a
//! user turns invisible, in the other one the user closes all sessions. Everything that others can
//! see is compared at every step.

use super::*;
use proptest::prelude::*;

#[test]
fn p11_going_invisible_looks_like_closing_every_tab() {
    let mut hides = World::new();
    let mut closes = World::new();
    for world in [&mut hides, &mut closes] {
        world.join("b", "b1");
        world.join("a", "a1");
        world.join("a", "a2");
        world.pass(SECOND);
    }
    hides.set_status("a", chose(ManualStatus::Invisible));
    closes.close("a1");
    closes.close("a2");
    for world in [&mut hides, &mut closes] {
        world.pass(MINUTE);
    }
    assert_eq!(hides.published, closes.published);
    assert_eq!(
        hides.log(),
        ["b joined: online", "a joined: online", "a left: closed"]
    );
}

#[test]
fn p11_the_timing_of_going_invisible_equals_that_of_a_leave() {
    let mut world = World::new();
    world.join("a", "a1");
    world.set_status("a", chose(ManualStatus::Invisible));
    let hid = world.now;
    world.pass(MINUTE);
    let (published, _) = world.latest();
    assert!(
        published.since(hid.moment) > Duration::from_millis(GRACE),
        "it is published after the grace period, like a close"
    );
    assert_eq!(world.latest_absence().last_seen_at, Some(hid.wall));
}

#[test]
fn p11_invisible_for_a_moment_causes_no_event() {
    let mut world = World::new();
    world.join("a", "a1");
    world.set_status("a", chose(ManualStatus::Invisible));
    world.pass(GRACE - 1);
    world.set_status("a", chose(ManualStatus::Online));
    world.pass(MINUTE);
    assert_eq!(world.log(), ["a joined: online"]);
}

#[test]
fn p11_joining_invisible_publishes_nothing() {
    let mut world = World::new();
    let version = world.roster.version();
    world.join_as("a", "a1", chose(ManualStatus::Invisible), None);
    world.pass(MINUTE);
    world.close("a1");
    world.pass(MINUTE);
    assert_eq!(world.log(), [""; 0]);
    assert_eq!(world.roster.version(), version, "no version is skipped");
    assert!(world.is_empty());
}

#[test]
fn p11_becoming_visible_is_published_as_a_join() {
    let mut world = World::new();
    world.join_as("a", "a1", chose(ManualStatus::Invisible), None);
    world.pass(MINUTE);
    world.set_status("a", StatusOverride::default());
    assert_eq!(world.log(), ["a joined: online"]);
}

#[test]
fn p11_visible_again_after_closing_shows_no_ghost() {
    let mut world = World::new();
    world.join_as("a", "a1", chose(ManualStatus::Invisible), None);
    world.close("a1");
    world.set_status("a", StatusOverride::default());
    world.pass(MINUTE);
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn p11_an_invisible_status_ends_at_its_until() {
    let mut world = World::new();
    let until = Timestamp(world.now.wall.0 + 60_000);
    world.join_as(
        "a",
        "a1",
        StatusOverride {
            status: ManualStatus::Invisible,
            text: Some("shh".into()),
            until: Some(until),
        },
        None,
    );
    world.pass(59_999);
    assert_eq!(world.log(), [""; 0]);
    world.pass(SECOND);
    assert_eq!(
        world.log(),
        ["a joined: online"],
        "and nothing is left of its text"
    );
}

#[test]
fn p11_a_device_with_an_older_status_does_not_undo_going_invisible() {
    let mut world = World::new();
    world.join("a", "a1");
    let read_before = StatusOverride::default();
    world.set_status("a", chose(ManualStatus::Invisible));
    world.join_as("a", "a2", read_before, None);
    world.pass(MINUTE);
    assert!(world.roster.is_invisible("a"));
    assert_eq!(world.log(), ["a joined: online", "a left: closed"]);
}

#[test]
fn p11_signing_out_while_invisible_publishes_nothing() {
    let mut world = World::new();
    world.join("a", "a1");
    world.set_status("a", chose(ManualStatus::Invisible));
    world.pass(SECOND);
    world.sign_out("a1");
    assert_eq!(world.log(), ["a joined: online"]);
    world.pass(GRACE);
    assert_eq!(world.log(), ["a left: closed"]);
    world.pass(10 * SECOND);
    assert!(world.is_empty());
}

#[derive(Clone, Debug)]
enum Lifetime {
    Join(u8),
    Active(u8, bool),
    Close(u8, bool),
    SignOut(u8),
    Doing(u8, u8),
    Status(ManualStatus),
    Text(u8),
    Pass(u64),
}

fn lives(with_sign_out: bool) -> impl Strategy<Value = Vec<Lifetime>> {
    let step = prop_oneof![
        4 => (0..4_u8).prop_map(Lifetime::Join),
        2 => (0..4_u8, any::<bool>()).prop_map(|(tab, active)| Lifetime::Active(tab, active)),
        2 => (0..4_u8, any::<bool>()).prop_map(|(tab, timeout)| Lifetime::Close(tab, timeout)),
        u32::from(with_sign_out) => (0..4_u8).prop_map(Lifetime::SignOut),
        1 => (0..4_u8, 0..3_u8).prop_map(|(tab, kind)| Lifetime::Doing(tab, kind)),
        1 => prop_oneof![Just(ManualStatus::Online), Just(ManualStatus::Away), Just(ManualStatus::Busy)].prop_map(Lifetime::Status),
        1 => (0..4_u8).prop_map(Lifetime::Text),
        4 => prop_oneof![0..3 * SECOND, 0..4 * MINUTE, HOUR - 10..HOUR + 10].prop_map(Lifetime::Pass),
    ];
    proptest::collection::vec(step, 0..25)
}

/// One step of `a`. While `hidden`, a chosen status stays invisible; the text and the end of it may
/// change.
fn live(world: &mut World, step: &Lifetime, hidden: bool) {
    let tab = |n: &u8| format!("a{n}");
    match step {
        Lifetime::Join(n) => world.join_as(
            "a",
            &tab(n),
            chose(if hidden {
                ManualStatus::Invisible
            } else {
                ManualStatus::Online
            }),
            None,
        ),
        Lifetime::Active(n, true) => world.active(&tab(n)),
        Lifetime::Active(n, false) => world.idle(&tab(n)),
        Lifetime::Close(n, timeout) => world.close_for(
            &tab(n),
            if *timeout {
                OfflineReason::Timeout
            } else {
                OfflineReason::Closed
            },
        ),
        Lifetime::SignOut(n) => world.sign_out(&tab(n)),
        Lifetime::Doing(n, kind) => world.set_activity(&tab(n), Some(doing(&kind.to_string()))),
        Lifetime::Status(status) => world.set_status(
            "a",
            chose(if hidden {
                ManualStatus::Invisible
            } else {
                *status
            }),
        ),
        Lifetime::Text(n) => {
            let status = if hidden {
                ManualStatus::Invisible
            } else {
                ManualStatus::Busy
            };
            world.set_status(
                "a",
                StatusOverride {
                    status,
                    text: Some(n.to_string().into()),
                    until: None,
                },
            );
        }
        Lifetime::Pass(by) => world.pass(*by),
    }
}

fn same_for_everyone(hides: &World, closes: &World) -> Result<(), TestCaseError> {
    prop_assert_eq!(&hides.published, &closes.published);
    prop_assert_eq!(hides.roster.version(), closes.roster.version());
    prop_assert_eq!(hides.roster.count(), closes.roster.count());
    prop_assert!(hides.roster.list(0).eq(closes.roster.list(0)));
    prop_assert_eq!(hides.roster.get("a"), closes.roster.get("a"));
    Ok(())
}

proptest! {
    #[test]
    fn p11_activity_while_invisible_publishes_nothing(
        before in lives(true),
        secret in lives(true),
        others in proptest::collection::vec((0..3_u8, 0..3_u8), 25),
        restart in proptest::option::of(0..25_usize),
    ) {
        let mut hides = World::new();
        let mut closes = World::new();
        for step in &before {
            live(&mut hides, step, false);
            live(&mut closes, step, false);
        }
        same_for_everyone(&hides, &closes)?;

        hides.set_status("a", chose(ManualStatus::Invisible));
        for n in 0..4 {
            closes.close(&format!("a{n}"));
        }
        same_for_everyone(&hides, &closes)?;

        for (n, step) in secret.iter().enumerate() {
            if restart == Some(n) {
                for world in [&mut hides, &mut closes] {
                    let reached = world.roster.version();
                    world.restart(Rules::default(), reached);
                }
            }
            match step {
                // In the other world only time passes.
                Lifetime::Pass(by) => closes.pass(*by),
                _ => closes.pass(0),
            }
            live(&mut hides, step, true);
            // All other users act the same in both, and their changes reveal nothing either.
            for world in [&mut hides, &mut closes] {
                let (who, what) = others[n];
                let (who, tab) = (format!("o{who}"), format!("o{who}"));
                match what {
                    0 => world.join(&who, &tab),
                    1 => world.close(&tab),
                    _ => world.idle(&tab),
                }
            }
            same_for_everyone(&hides, &closes)?;
        }
        hides.pass(2 * HOUR);
        closes.pass(2 * HOUR);
        same_for_everyone(&hides, &closes)?;
    }
}

#[test]
fn p11_a_user_who_becomes_visible_is_listed_like_a_newcomer() {
    let mut hides = World::new();
    let mut comes = World::new();
    hides.join_as("a", "a1", chose(ManualStatus::Invisible), None);
    for world in [&mut hides, &mut comes] {
        world.pass(10 * MINUTE);
    }
    hides.set_status("a", chose(ManualStatus::Online));
    comes.join("a", "a1");
    assert_eq!(
        hides.published, comes.published,
        "neither a time of activity before that moment nor being away gives them away"
    );

    let mut lapses = World::new();
    lapses.join_as(
        "a",
        "a1",
        StatusOverride {
            until: Some(Timestamp(lapses.now.wall.0 + 600_000)),
            ..chose(ManualStatus::Invisible)
        },
        None,
    );
    lapses.pass(11 * MINUTE);
    let shown = lapses.roster.get("a").expect("shown again").clone();
    assert_eq!(shown.status, Status::Online);
    assert!(shown.last_active_at.0 >= lapses.now.wall.0 - 61_000);
}

//! Clocks that jump, versions that grow, times that never go back.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Join(u8, u8),
    Active(u8, bool),
    Close(u8),
    SignOut(u8),
    Status(u8, u8),
    Doing(u8, Option<u8>),
    Pass(u64),
    /// Only the wall clock moves, by so many seconds.
    Jump(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3_u8, 0..6_u8).prop_map(|(who, tab)| Step::Join(who, tab)),
        2 => (0..6_u8, any::<bool>()).prop_map(|(tab, active)| Step::Active(tab, active)),
        2 => (0..6_u8).prop_map(Step::Close),
        1 => (0..6_u8).prop_map(Step::SignOut),
        1 => (0..3_u8, 0..4_u8).prop_map(|(who, status)| Step::Status(who, status)),
        1 => (0..6_u8, proptest::option::of(0..3_u8)).prop_map(|(tab, kind)| Step::Doing(tab, kind)),
        4 => prop_oneof![0..2 * SECOND, 0..10 * MINUTE, HOUR - 10..HOUR + 10].prop_map(Step::Pass),
        2 => prop_oneof![Just(-3_600), Just(3_600), -100_000..100_000_i64].prop_map(Step::Jump),
    ];
    proptest::collection::vec(step, 1..60)
}

const STATUSES: [ManualStatus; 4] = [
    ManualStatus::Online,
    ManualStatus::Away,
    ManualStatus::Busy,
    ManualStatus::Invisible,
];

fn run(steps: &[Step], jumps: bool) -> World {
    let mut world = World::new();
    for step in steps {
        match step {
            Step::Join(who, tab) => world.join(&format!("u{who}"), &format!("t{tab}")),
            Step::Active(tab, true) => world.active(&format!("t{tab}")),
            Step::Active(tab, false) => world.idle(&format!("t{tab}")),
            Step::Close(tab) => world.close(&format!("t{tab}")),
            Step::SignOut(tab) => world.sign_out(&format!("t{tab}")),
            Step::Status(who, status) => {
                world.set_status(&format!("u{who}"), chose(STATUSES[usize::from(*status)]))
            }
            Step::Doing(tab, kind) => world.set_activity(
                &format!("t{tab}"),
                kind.map(|kind| doing(&kind.to_string())),
            ),
            Step::Pass(by) => world.pass(*by),
            Step::Jump(seconds) => {
                if jumps {
                    world.now.wall.0 += seconds * 1_000;
                }
            }
        }
    }
    world
}

proptest! {
    /// The times that are shown and the versions follow the wall clock; which changes are published, and when,
    /// does not.
    #[test]
    fn p9_a_jump_of_the_wall_clock_causes_no_event(steps in steps()) {
        let published = |world: &World| -> Vec<_> {
            world.published.iter().map(|(at, change)| (*at, in_words(change))).collect()
        };
        prop_assert_eq!(published(&run(&steps, true)), published(&run(&steps, false)));
    }
}

#[test]
fn p9_an_until_follows_the_wall_clock_within_half_a_minute() {
    for jump in [-3_600_000_i64, 3_600_000] {
        let mut world = World::new();
        world.join("a", "a1");
        let until = Timestamp(world.now.wall.0 + 1_800_000);
        world.set_status(
            "a",
            StatusOverride {
                status: ManualStatus::Busy,
                text: None,
                until: Some(until),
            },
        );
        world.log();
        world.pass(MINUTE);
        world.now.wall.0 += jump;
        world.pass(31 * SECOND);
        let is_over = world.now.wall >= until;
        assert_eq!(is_over, jump > 0);
        assert_eq!(!world.log().is_empty(), is_over);
        // However often it jumps, the last published state is right.
        world.now.wall.0 = until.0;
        world.active("a1");
        world.pass(31 * SECOND);
        assert_eq!(
            world.roster.get("a").map(|shown| shown.status),
            Some(Status::Online)
        );
    }
}

#[test]
fn p13_last_seen_does_not_decrease_with_the_wall_clock() {
    let mut world = World::new();
    let stored = Timestamp(world.now.wall.0 + 50_000);
    world.join_as("a", "a1", StatusOverride::default(), Some(stored));
    world.sign_out("a1");
    assert_eq!(
        world.latest_absence().last_seen_at,
        Some(stored),
        "the store knows of a later time"
    );

    world.join_as("a", "a1", StatusOverride::default(), Some(stored));
    world.join_as("a", "a2", StatusOverride::default(), None); // As one who asked the store before it knew anything.
    world.now.wall.0 -= 3_600_000;
    world.close("a1");
    world.close("a2");
    world.pass(MINUTE);
    assert_eq!(world.latest_absence().last_seen_at, Some(stored));
}

#[test]
fn p13_last_active_does_not_decrease_with_the_wall_clock() {
    let mut world = World::new();
    world.join("a", "a1");
    let active = world.now.wall;
    world.now.wall.0 -= 3_600_000;
    world.active("a1");
    world.set_name("a", "Ada");
    assert_eq!(
        world.roster.get("a").map(|shown| shown.last_active_at),
        Some(active)
    );
}

/// A month ahead for a while, and set right again.
#[test]
fn h11_times_of_a_wrong_clock_are_corrected() {
    let mut world = World::new();
    world.join("a", "a1");
    world.now.wall.0 += 31 * 86_400_000;
    world.active("a1");
    world.set_name("a", "Ada");
    world.sign_out("a1");
    world.join("a", "a1");
    world.now.wall.0 -= 31 * 86_400_000;
    world.active("a1");
    world.set_name("a", "Ida");
    assert_eq!(
        world.roster.get("a").map(|shown| shown.last_active_at),
        Some(world.now.wall)
    );
    world.sign_out("a1");
    assert_eq!(world.latest_absence().last_seen_at, Some(world.now.wall));
}

#[test]
fn p5_versions_grow_over_restarts() {
    let mut world = World::new();
    for start in 2..6 {
        for n in 0..10 {
            world.join("a", &format!("a{n}"));
            world.sign_out(&format!("a{n}"));
        }
        // The world's listener checks that no version is older than one before, over restarts too.
        // Every other start finds its clock an hour back.
        world.now.wall.0 -= 3_600_000 * (start % 2);
        let reached = world.roster.version();
        world.restart(Rules::default(), reached);
    }
    assert!(world.roster.version() < 1 << 53);
}

#[test]
fn moments_at_the_end_of_time_cause_no_panic() {
    let forever = Duration::MAX;
    let rules = Rules {
        lease: Duration::MAX,
        grace: forever,
        time_to_live: forever,
        away_after: forever,
        update_every: forever,
    };
    let mut world = World::with(rules, 1);
    world.join("a", "a1");
    world.close("a1");
    let at = Now {
        moment: Moment(u64::MAX),
        wall: Timestamp(i64::MIN),
    };
    world.set_status(
        "a",
        StatusOverride {
            status: ManualStatus::Busy,
            text: None,
            until: Some(Timestamp(i64::MAX)),
        },
    );
    assert_eq!(world.roster.tick(at).len(), 0);
}

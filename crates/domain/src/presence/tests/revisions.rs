//! Statuses that arrive in any order, from any node.

use super::*;
use proptest::prelude::*;

fn saved(revision: u64) -> SavedStatus {
    let chosen = StatusOverride {
        text: Some(revision.to_string().into()),
        ..chose(ManualStatus::Busy)
    };
    SavedStatus {
        chosen,
        revision,
        ..SavedStatus::default()
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// A node reports the status of this revision.
    Report(u64),
    /// A session that read the status of this revision joins.
    Join(u8, u64),
    SignOut(u8),
    Close(u8),
    Pass(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1..20_u64).prop_map(Op::Report),
        4 => (0..3_u8, 1..20_u64).prop_map(|(tab, read)| Op::Join(tab, read)),
        2 => (0..3_u8).prop_map(Op::SignOut),
        2 => (0..3_u8).prop_map(Op::Close),
        2 => (0..1_500_u64).prop_map(Op::Pass),
    ];
    proptest::collection::vec(op, 1..30)
}

/// The newest revision that was reported within the last seconds.
fn newest_of_late(reported: &[(Moment, u64)], now: Moment) -> u64 {
    let late = reported
        .iter()
        .filter(|(at, _)| at.plus(Duration::from_secs(9)) >= now);
    late.map(|(_, revision)| *revision).max().unwrap_or(0)
}

proptest! {
    /// A status of an older revision replaces none, neither while the user has sessions nor shortly
    /// after a report.
    #[test]
    fn p11_the_newest_revision_applies_in_any_order(ops in ops()) {
        let mut world = World::new();
        let mut reported = Vec::new();
        let mut held = None;
        for op in ops {
            let mut brought = 0;
            match op {
                Op::Report(revision) => {
                    world.set_saved_status("a", saved(revision));
                    reported.push((world.now.moment, revision));
                }
                Op::Join(tab, read) => {
                    brought = read;
                    world.join_saved("a", &tab.to_string(), saved(read), None);
                }
                Op::SignOut(tab) => world.sign_out(&tab.to_string()),
                Op::Close(tab) => world.close(&tab.to_string()),
                Op::Pass(by) => world.pass(by),
            }
            let before = held.unwrap_or(0);
            held = world.roster.chosen("a").map(|chosen| {
                chosen.text.as_deref().unwrap_or("0").parse::<u64>().expect("a revision")
            });
            if let Some(held) = held {
                let newest = newest_of_late(&reported, world.now.moment);
                prop_assert!(held >= before.max(newest).max(brought), "{held}");
            }
        }
        for tab in 0..3_u8 {
            world.sign_out(&tab.to_string());
        }
        world.pass(20_000);
        world.tick();
        prop_assert!(world.is_empty());
        prop_assert_eq!(world.roster.held(), 0);
    }
}

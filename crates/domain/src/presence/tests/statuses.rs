//! The visible status of an online user.

use super::*;

#[test]
fn a_manual_status_covers_all_devices_and_outlasts_them() {
    let mut world = World::new();
    world.join("a", "a1");
    world.set_status(
        "a",
        StatusOverride {
            status: ManualStatus::Busy,
            text: Some("in a talk".into()),
            until: None,
        },
    );
    world.join("a", "a2");
    world.close("a1");
    world.pass(MINUTE);
    assert_eq!(
        world.log(),
        ["a joined: online", "a updated: busy \"in a talk\""]
    );
    world.pass(30 * MINUTE);
    world.idle("a2");
    assert_eq!(world.log(), [""; 0], "busy is busy, at the keyboard or not");
}

#[test]
fn the_stored_status_applies_at_a_join() {
    let mut world = World::new();
    world.join_as("a", "a1", chose(ManualStatus::Away), None);
    assert_eq!(world.log(), ["a joined: away"]);
    world.active("a1");
    assert_eq!(world.log(), [""; 0], "away until the user changes it");
    world.set_status("a", StatusOverride::default());
    assert_eq!(world.log(), ["a updated: online"]);
}

#[test]
fn a_status_ends_at_its_until() {
    let mut world = World::new();
    world.join("a", "a1");
    let until = Timestamp(world.now.wall.0 + 70_000);
    world.set_status(
        "a",
        StatusOverride {
            status: ManualStatus::Busy,
            text: Some("back soon".into()),
            until: Some(until),
        },
    );
    world.log();
    world.pass(69_999);
    assert_eq!(world.log(), [""; 0]);
    world.pass(SECOND);
    assert_eq!(world.log(), ["a updated: online"]);
    assert_eq!(world.latest().0, Moment(1_070_000));
    assert_eq!(world.roster.chosen("a"), Some(&StatusOverride::default()));
}

#[test]
fn an_expired_status_is_ignored() {
    let mut world = World::new();
    let over = StatusOverride {
        status: ManualStatus::Invisible,
        text: None,
        until: Some(world.now.wall),
    };
    world.join_as("a", "a1", over.clone(), None);
    assert_eq!(world.log(), ["a joined: online"]);
    world.set_status("a", over);
    world.pass(MINUTE);
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn users_are_away_five_minutes_after_their_last_activity() {
    let mut world = World::new();
    world.join("a", "a1");
    world.pass(MINUTE);
    world.active("a1");
    world.pass(5 * MINUTE);
    assert_eq!(world.log(), ["a joined: online"]);
    world.pass(1 + SECOND);
    assert_eq!(world.log(), ["a updated: away"]);
    world.active("a1");
    assert_eq!(world.log(), ["a updated: online"]);
}

#[test]
fn h6_frequent_changes_are_published_less_often_and_end_correct() {
    let mut world = World::new();
    world.join("a", "a1");
    world.log();
    // Flipped ten times a second for a minute, by each of the ways there are.
    for n in 0..600 {
        match n % 4 {
            0 => world.set_activity("a1", Some(doing(&n.to_string()))),
            1 => world.set_status("a", chose(ManualStatus::Busy)),
            2 => world.set_name("a", &n.to_string()),
            _ => world.set_status("a", StatusOverride::default()),
        }
        world.pass(100);
    }
    let published = world.log().len();
    assert!((10..=5 + 13).contains(&published), "{published}");
    world.set_status(
        "a",
        StatusOverride {
            status: ManualStatus::Busy,
            text: Some("at last".into()),
            until: None,
        },
    );
    world.pass(5 * SECOND + 1);
    assert!(
        world
            .log()
            .last()
            .is_some_and(|last| last.contains("at last")),
        "the latest change is published"
    );
    // A leave is not delayed.
    world.sign_out("a1");
    assert_eq!(world.log().len(), 1);
}

#[test]
fn h6_the_activities_of_all_devices_are_bounded_in_bytes() {
    let mut world = World::new();
    for n in 0..16 {
        let tab = format!("a{n}");
        world.join("a", &tab);
        let label = "\u{1f4a1}".repeat(crate::presence::MAX_TEXT_CHARS);
        world.set_activity(
            &tab,
            Some(Activity {
                label: Some(label.into()),
                ..doing(&n.to_string())
            }),
        );
    }
    world.pass(MINUTE);
    let shown = world.roster.get("a").expect("in");
    assert!(!shown.activities.is_empty());
    assert!(shown.activities.iter().map(Activity::bytes).sum::<usize>() <= 2_048);
}

#[test]
fn heartbeats_cause_no_event() {
    let mut world = World::new();
    world.join("a", "a1");
    let version = world.roster.version();
    for _ in 0..100 {
        world.pass(30 * SECOND);
        world.active("a1");
    }
    assert_eq!(world.log(), ["a joined: online"]);
    assert_eq!(world.roster.version(), version);
}

#[test]
fn an_idle_device_does_not_override_an_active_one() {
    let mut world = World::new();
    world.join("a", "desk");
    world.join("a", "phone");
    world.idle("phone");
    for _ in 0..40 {
        world.pass(30 * SECOND);
        world.active("desk");
        world.idle("phone");
    }
    assert_eq!(world.log(), ["a joined: online"]);
    world.idle("desk");
    assert_eq!(
        world.log(),
        ["a updated: away"],
        "away when no device has anyone at it"
    );
    world.active("phone");
    assert_eq!(world.log(), ["a updated: online"]);
}

#[test]
fn an_idle_device_does_not_expire() {
    let mut world = World::new();
    world.join("a", "a1");
    for _ in 0..300 {
        world.idle("a1");
        world.pass(30 * SECOND);
    }
    assert_eq!(world.log(), ["a joined: online", "a updated: away"]);
}

#[test]
fn a_closing_device_does_not_keep_anyone_active_past_five_minutes() {
    let mut world = World::new();
    world.join("a", "desk");
    world.join("a", "phone");
    world.idle("phone");
    world.pass(5 * MINUTE - SECOND);
    world.idle("phone");
    world.close("desk");
    world.pass(SECOND + 1);
    world.log();
    assert_eq!(
        world.roster.get("a").map(|shown| shown.status),
        Some(Status::Away)
    );
}

#[test]
fn activities_end_with_their_session() {
    let mut world = World::new();
    world.join("a", "a1");
    world.join("a", "a2");
    world.set_activity("a1", Some(doing("in_call")));
    world.set_activity("a2", Some(doing("in_call")));
    world.set_activity("a2", Some(doing("sharing_file")));
    assert_eq!(
        world.log(),
        [
            "a joined: online",
            "a updated: online +in_call",
            "a updated: online +in_call +sharing_file"
        ]
    );
    world.close("a1");
    world.pass(GRACE);
    assert_eq!(
        world.log(),
        [""; 0],
        "a reload does not end a call for anyone"
    );
    world.pass(SECOND);
    assert_eq!(world.log(), ["a updated: online +sharing_file"]);
    world.set_activity("a2", None);
    assert_eq!(world.log(), ["a updated: online"]);
}

#[test]
fn a_sleeping_session_shows_no_activity() {
    let mut world = World::new();
    world.join("a", "asleep");
    world.pass(HOUR + SECOND);
    world.join("a", "a1");
    world.log();
    world.set_activity("asleep", Some(doing("in_call")));
    assert_eq!(world.log(), [""; 0]);
    world.active("asleep");
    assert_eq!(world.log(), ["a updated: online +in_call"]);
}

#[test]
fn a_sleeping_tab_that_closes_does_not_reorder_what_is_shown() {
    let mut world = World::new();
    world.join("a", "asleep");
    world.pass(HOUR + SECOND);
    for (tab, kind) in [("a1", "one"), ("a2", "two"), ("a3", "three")] {
        world.join("a", tab);
        world.set_activity(tab, Some(doing(kind)));
    }
    world.log();
    world.close("asleep");
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn the_size_of_one_user_in_the_list_is_bounded() {
    let mut world = World::new();
    for n in 0..100 {
        let tab = format!("tab{n}");
        world.join("a", &tab);
        world.set_activity(&tab, Some(doing(&format!("kind{n}"))));
    }
    assert!(
        world
            .roster
            .get("a")
            .is_some_and(|shown| shown.activities.len() <= 16)
    );
}

#[test]
fn a_profile_change_is_an_update() {
    let mut world = World::new();
    world.join("a", "a1");
    world.set_name("a", "Ada");
    world.set_name("a", "Ada");
    assert_eq!(world.log(), ["a joined: online", "a updated: online"]);
    assert_eq!(
        world.roster.get("a").map(|shown| &*shown.profile.name),
        Some("Ada")
    );
    world.set_name("nobody", "Nobody");
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn a_page_begins_after_the_position_of_its_cursor() {
    let mut world = World::new();
    for who in ["a", "b", "c"] {
        world.join(who, who);
    }
    world.set_name("a", "Ada"); // Does not move them in the list.
    let all: Vec<_> = world.roster.list(0).cloned().collect();
    assert_eq!(
        all.iter()
            .map(|shown| shown.profile.id.as_str())
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    let rest: Vec<_> = world.roster.list(all[0].since).cloned().collect();
    assert_eq!(rest, all[1..]);
    assert_eq!(world.roster.list(u64::MAX).count(), 0);
}

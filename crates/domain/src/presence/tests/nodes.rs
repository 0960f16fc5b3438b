//! Sessions of several nodes in one roster.

use super::*;

const END: Moment = Moment(0);

impl World {
    fn on(&mut self, node: NodeIndex) -> &mut Self {
        self.node = node;
        self
    }

    fn close_node(&mut self, node: NodeIndex, end: Moment, seen: Timestamp) {
        let reason = OfflineReason::NodeLost;
        let changes = self.roster.close_node(self.now, node, end, reason, seen);
        self.publish(changes);
    }
}

fn two_nodes(world: &World) -> [NodeIndex; 2] {
    let mut leases = Leases::default();
    let lease = Rules::default().lease;
    ["a", "b"].map(|node| {
        leases
            .acquire(world.now, crate::identity::NodeId::trusted(node), lease)
            .0
    })
}

/// A connection costs the same as before sessions had a node and statuses a revision.
#[test]
fn the_memory_of_a_session_and_its_user_is_bounded() {
    assert!(std::mem::size_of::<super::super::user::Session>() <= 96);
    // The privacy settings were added later.
    assert!(std::mem::size_of::<super::super::user::User>() <= 232);
}

#[test]
fn p1_sessions_of_a_lost_node_end_at_once_and_once() {
    let mut world = World::new();
    let [one, two] = two_nodes(&world);
    world.on(one).join("gone", "g1");
    world.join("gone", "g2");
    world.join("back", "b1");
    world.join("both", "x1");
    world.on(two).join("both", "x2");
    let alive = world.now.wall;
    world.pass(10 * SECOND);
    world.on(two).join("back", "b2"); // Reconnected to another node, before anyone noticed.
    world.pass(6 * SECOND);
    world.log();
    for _ in 0..2 {
        world.close_node(one, END, alive);
    }
    assert_eq!(world.log(), ["gone left: node lost"]);
    assert_eq!(world.latest_absence().last_seen_at, Some(alive));
    assert_eq!(world.roster.session_count(), 2);
    world.pass(MINUTE);
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn p2_users_who_return_before_a_scheduled_end_cause_no_event() {
    let mut world = World::new();
    let [one, two] = two_nodes(&world);
    world.on(one).join("a", "a1");
    world.join("b", "b1");
    world.log();
    let (end, seen) = (
        world.now.moment.plus(Duration::from_millis(GRACE)),
        world.now.wall,
    );
    world.close_node(one, end, seen);
    world.pass(SECOND);
    world.on(two).join("a", "a1"); // The same session, recovered.
    world.pass(GRACE);
    assert_eq!(world.log(), ["b left: node lost"]);
    assert!(world.roster.get("a").is_some());
}

#[test]
fn c16_a_session_that_moved_ignores_the_node_it_left() {
    let mut world = World::new();
    let [one, two] = two_nodes(&world);
    world.on(one).join("a", "a1");
    world.on(two).join("a", "a1");
    world.set_activity("a1", Some(doing("in_call")));
    world.log();
    world.on(one).close("a1");
    world.sign_out("a1");
    world.set_activity("a1", None);
    world.idle("a1");
    let seen = world.now.wall;
    world.close_node(one, END, seen);
    world.pass(MINUTE);
    assert_eq!(world.log(), [""; 0]);
    world.on(two).sign_out("a1");
    assert_eq!(world.log(), ["a left: signed out"]);
}

#[test]
fn p13_a_tab_that_closed_after_the_node_was_last_seen_counts_as_seen() {
    let mut world = World::new();
    let [one, two] = two_nodes(&world);
    world.on(one).join("a", "a1");
    world.on(two).join("a", "a2");
    let alive = world.now.wall;
    world.pass(12 * SECOND);
    world.on(two).close("a2");
    let closed = world.now.wall;
    world.pass(3 * SECOND);
    world.close_node(one, END, alive);
    world.pass(GRACE);
    assert_eq!(world.log(), ["a joined: online", "a left: closed"]);
    assert_eq!(world.latest_absence().last_seen_at, Some(closed));
}

#[test]
fn p11_a_lost_node_publishes_nothing_about_invisible_users() {
    let mut world = World::new();
    let [one, _] = two_nodes(&world);
    world
        .on(one)
        .join_as("a", "a1", chose(ManualStatus::Invisible), None);
    let seen = world.now.wall;
    world.close_node(one, END, seen);
    assert_eq!(world.log(), [""; 0]);
    assert_eq!(world.roster.session_count(), 0);
}

#[test]
fn a_session_that_ran_out_ends_with_its_node() {
    let mut world = World::new();
    let [one, _] = two_nodes(&world);
    world.on(one).join("a", "a1");
    world.pass(HOUR + SECOND);
    world.log();
    let (end, seen) = (
        world.now.moment.plus(Duration::from_millis(GRACE)),
        world.now.wall,
    );
    world.close_node(one, end, seen);
    assert_eq!(world.log(), [""; 0]);
    assert!(world.is_empty());
}

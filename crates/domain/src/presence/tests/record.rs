//! A user that is saved and restored around every step lives as in one roster.

use super::model::{RULES, apply, ops, who};
use super::*;
use proptest::prelude::*;

impl World {
    /// Saves and restores everyone, as a store does that keeps each user by itself.
    fn restore(&mut self, users: &[UserId]) {
        let mut fresh = Roster::new(self.roster.rules, self.roster.version());
        for user in users {
            if let Some(record) = self.roster.export(user) {
                fresh.import(user, record.clone());
                assert_eq!(fresh.export(user), Some(record));
            }
        }
        self.roster = fresh;
    }

    fn tick_each(&mut self, users: &[UserId]) {
        for user in users {
            let changes = self.roster.tick_user(self.now, user);
            self.publish(changes);
        }
    }

    fn published_of(&self, user: &UserId) -> Vec<String> {
        let of_user = |(at, change): &(Moment, Change)| {
            (change.user() == user).then(|| format!("{} {}", at.0, in_words(change)))
        };
        self.published.iter().filter_map(of_user).collect()
    }
}

proptest! {
    #[test]
    fn p3_p4_p8_saving_and_restoring_around_each_step_changes_nothing(ops in ops()) {
        let users = [user(&who(0)), user(&who(1))];
        let mut whole = World::with(RULES, 1);
        let mut saved = World::with(RULES, 1);
        for op in &ops {
            apply(&mut whole, op);
            apply(&mut saved, op);
            saved.restore(&users);
            if let model::Op::Wait(by) = op {
                for _ in 0..*by {
                    whole.move_clocks(1);
                    whole.tick();
                    saved.move_clocks(1);
                    saved.tick_each(&users);
                    saved.restore(&users);
                }
            }
            // A tick between two waits, as the other has none pending.
            whole.tick();
            saved.tick_each(&users);
            for user in &users {
                prop_assert_eq!(saved.published_of(user), whole.published_of(user));
            }
        }
    }
}

#[test]
fn p11_a_status_that_is_not_newer_leaves_the_timer() {
    let mut world = World::new();
    world.join("ann", "tab");
    world.set_status("ann", chose(ManualStatus::Invisible));
    let ann = user("ann");
    world.restore(std::slice::from_ref(&ann));
    let old = SavedStatus {
        chosen: chose(ManualStatus::Online),
        revision: 0,
        ..SavedStatus::default()
    };
    let changes = world.roster.set_status(world.now, &ann, old);
    assert_eq!(changes, []);
    let leave = world.now.moment.plus(Duration::from_millis(GRACE));
    assert_eq!(world.roster.next_wake(), Some(leave));
}

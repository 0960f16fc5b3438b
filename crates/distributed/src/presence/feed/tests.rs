use super::super::change::Message;
use super::super::keys::bucket;
use super::state::{Loaded, State};
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::{Change, Presence, Status};
use lamplight_domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn shown(user: &UserId, version: u64) -> Arc<Presence> {
    Arc::new(Presence {
        profile: Profile::bare(user.clone()),
        status: Status::Online,
        text: None,
        last_active_at: Timestamp(0),
        activities: Vec::new(),
        version,
        since: version,
    })
}

fn loaded(epoch: &str, users: &[UserId]) -> Loaded {
    let one = |user: &UserId| (user.clone(), (Some(shown(user, 1)), false));
    Loaded {
        epoch: epoch.into(),
        number: 0,
        version: users.len() as u64,
        users: HashMap::from_iter(users.iter().map(one)),
    }
}

/// A node with many users needs longer than the hold to announce them all.
#[test]
fn c12_users_whom_redis_lost_stay_while_others_of_their_bucket_are_announced() {
    const HOLD: Duration = Duration::from_secs(10);
    let mut users = (0..).map(|n| UserId::trusted(format!("user-{n}")));
    let first = users.next().expect("a user");
    let index = bucket(&first);
    let second = users.find(|user| bucket(user) == index);
    let second = second.expect("another user of the bucket");
    let mut state = State::new(HOLD);
    for held in &mut state.buckets {
        held.is_stale = false;
    }
    let began = Instant::now();
    state.finish_load(
        began,
        index,
        loaded("one", &[first.clone(), second.clone()]),
    );
    let changes = state.finish_load(began, index, loaded("two", &[]));
    assert_eq!(changes, [], "both are held");

    let online = Change::Online(shown(&first, 5));
    let message = Message::new(index, "two".into(), (1, 5), &first, Some(online), false);
    state.apply(began + HOLD * 9 / 10, message);
    let changes = state.pass_time(began + HOLD * 15 / 10, HOLD);
    assert_eq!(changes, [], "the second one may be announced yet");
    let changes = state.pass_time(began + HOLD * 2, HOLD);
    let left: Vec<_> = changes.iter().map(Change::user).collect();
    assert_eq!(left, [&second], "nobody announced the second one");
    assert!(state.get(&first).is_some());
}

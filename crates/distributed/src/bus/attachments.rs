//! Which users' channels this node is subscribed to.

use crate::redis::RedisSubscriber;
use lamplight_domain::identity::UserId;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Attachments(Mutex<State>);

#[derive(Default)]
struct State {
    users: HashMap<UserId, Held>,
    /// Users whose last attachment ended, in the order in which it did.
    idle: VecDeque<(Instant, UserId)>,
}

struct Held {
    count: usize,
    /// When the last attachment ended.
    idle_since: Option<Instant>,
    channel: Arc<str>,
}

impl Attachments {
    pub(super) fn add(&self, user: &UserId, channel: impl FnOnce() -> Arc<str>) -> Arc<str> {
        let mut state = self.0.lock();
        let held = state.users.entry(user.clone()).or_insert_with(|| Held {
            count: 0,
            idle_since: None,
            channel: channel(),
        });
        held.count += 1;
        held.idle_since = None;
        Arc::clone(&held.channel)
    }

    pub(super) fn remove(&self, user: &UserId) {
        let mut state = self.0.lock();
        let now = Instant::now();
        if let Some(held) = state.users.get_mut(user) {
            held.count -= 1;
            if held.count == 0 {
                held.idle_since = Some(now);
                state.idle.push_back((now, user.clone()));
            }
        }
    }

    /// Unsubscribes from the channels of users who have been without an attachment for `linger`: a
    /// page that reloads is back before.
    pub(super) fn release_idle(&self, subscriber: &RedisSubscriber, linger: Duration) {
        // The lock is held until the subscriber knows: an attachment that comes now subscribes
        // after it.
        let mut state = self.0.lock();
        let now = Instant::now();
        let mut channels = Vec::new();
        while let Some((since, _)) = state.idle.front()
            && now.duration_since(*since) >= linger
            && let Some((since, user)) = state.idle.pop_front()
        {
            let held = state.users.get(&user);
            if held.is_some_and(|held| held.idle_since == Some(since))
                && let Some(held) = state.users.remove(&user)
            {
                channels.push(held.channel);
            }
        }
        if !channels.is_empty() {
            subscriber.unsubscribe(channels);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().users.len()
    }
}

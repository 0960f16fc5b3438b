//! `watch_presence` and `unwatch_presence`.

use super::command::PresenceReply;
use super::service::PresenceService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::WatchedPresence;
use crate::refusal::{Code, Refusal};
use crate::weight;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use std::collections::HashSet;

impl PresenceService {
    /// Watches these users; replies with how each is shown now.
    pub(super) async fn watch(
        &self,
        caller: &Caller,
        mut users: Vec<UserId>,
    ) -> Result<Reply, Refusal> {
        let (user, session) = caller.on_socket()?;
        let mut named = HashSet::new();
        users.retain(|user| named.insert(user.clone()));
        let limit = self.watch_limit;
        if limit > 0 && users.len() > limit {
            return Err(Refusal::new(
                Code::TooLong,
                format!("At most {limit} users can be watched."),
            ));
        }
        self.hide(user).await?;
        // Follow first, then read the states of those who are offline: a change in between is
        // published with a newer version.
        let mut watched = self.connections.watch(session, &users).ok_or_else(|| {
            Refusal::new(
                Code::TooLong,
                format!("At most {limit} users can be watched by one connection."),
            )
        })?;
        let offline: Vec<UserId> = watched
            .iter()
            .filter(|watched| watched.shown.is_none() && !watched.is_hidden)
            .map(|watched| watched.user.clone())
            .collect();
        let (mut versions, mut last_seen) = self.offline_states(&offline).await?;
        let sees_last_seen = !self.connections.privacy_of(user).hides_last_seen;
        let answer: Vec<_> = watched
            .drain(..)
            .map(|mut watched| {
                if watched.shown.is_some() || watched.is_hidden {
                    return (watched, None);
                }
                watched.version = versions.next().unwrap_or(watched.version);
                let last_seen = last_seen.next().flatten();
                (watched, last_seen.filter(|_| sees_last_seen))
            })
            .collect();
        Ok(Reply::Presence(within(answer)))
    }

    /// For each of these users, who are offline in this node's feed: a version valid for that
    /// state, and the last-seen time.
    async fn offline_states(
        &self,
        users: &[UserId],
    ) -> Result<
        (
            impl Iterator<Item = u64> + use<>,
            impl Iterator<Item = Option<Timestamp>> + use<>,
        ),
        Refusal,
    > {
        let (mut states, mut stored) = (Vec::new(), Vec::new());
        // The states come first: the event of a user who goes offline after that has a newer
        // version and corrects the time. The queue comes before the directory: a time that is
        // written in between is then in one of them at least.
        if !users.is_empty() {
            states = deadline::store(self.store.states(users)).await?;
        }
        let queue = self.store.last_seen();
        let queued: Vec<_> = users.iter().map(|user| queue.pending(user)).collect();
        if !users.is_empty() {
            stored = deadline::store(self.directory.last_seen(users)).await?;
        }
        let versions = states.into_iter().map(|state| match state.shown {
            None => state.version,
            // Online by now, and the feed publishes it after this: with a newer version than this.
            Some(shown) => shown.version.saturating_sub(1),
        });
        let last_seen =
            stored
                .into_iter()
                .zip(queued)
                .map(|(stored, queued)| match (stored, queued) {
                    (Some(stored), Some(queued)) => Some(stored.advance_to(queued)),
                    (stored, queued) => stored.or(queued),
                });
        Ok((versions, last_seen))
    }

    pub(crate) fn unwatch(&self, caller: &Caller, users: &[UserId]) -> Result<Reply, Refusal> {
        let (_, session) = caller.on_socket()?;
        self.connections.unwatch(session, users);
        Ok(Reply::Done)
    }
}

/// Splits the states into those that fit into the reply and the users who follow later. Offline users
/// take little and are always in the reply; the states of online users can be long.
fn within(answer: Vec<(WatchedPresence, Option<Timestamp>)>) -> PresenceReply {
    let mut left = weight::ANSWER_BYTES.saturating_sub(
        answer
            .iter()
            .filter(|(seen, _)| seen.shown.is_none())
            .map(|(seen, _)| weight::watched(seen))
            .sum(),
    );
    let (mut users, mut later) = (Vec::with_capacity(answer.len()), Vec::new());
    let mut later_weight = 0;
    for (seen, last_seen_at) in answer {
        let weight = if seen.shown.is_some() {
            weight::watched(&seen)
        } else {
            0
        };
        if weight > left {
            later_weight += weight;
            later.push(seen.user);
        } else {
            left -= weight;
            users.push((seen, last_seen_at));
        }
    }
    PresenceReply::Watching {
        users,
        later,
        later_weight,
    }
}

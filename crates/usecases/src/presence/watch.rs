//! `watch_presence` and `unwatch_presence`.

use crate::command::{Caller, Reply};
use crate::handler::Handler;
use crate::ports::WatchedPresence;
use crate::refusal::{Code, Refusal};
use crate::weight;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use std::collections::HashSet;

impl Handler {
    /// Follows these users; the answer is how each is shown now.
    pub(crate) async fn watch(
        &self,
        caller: &Caller,
        mut users: Vec<UserId>,
    ) -> Result<Reply, Refusal> {
        let (_, session) = caller.on_socket()?;
        let mut named = HashSet::new();
        users.retain(|user| named.insert(user.clone()));
        let limit = self.settings.watch_limit;
        if limit > 0 && users.len() > limit {
            return Err(Refusal::new(
                Code::TooLong,
                format!("At most {limit} users can be watched."),
            ));
        }
        // Follow first, then read who is out: a change in between comes as an event with a newer
        // version.
        let seen = self
            .ports
            .connections
            .watch(session, &users)
            .ok_or_else(|| {
                Refusal::new(
                    Code::TooLong,
                    format!("At most {limit} users can be watched by one connection."),
                )
            })?;
        let out: Vec<UserId> = seen
            .iter()
            .filter(|seen| seen.shown.is_none())
            .map(|seen| seen.user.clone())
            .collect();
        // What is noted is looked at before the store: what is written in between is then in one of
        // them at least.
        let noted: Vec<_> = out.iter().map(|user| self.noted_seen(user)).collect();
        let stored = if out.is_empty() {
            Vec::new()
        } else {
            self.store(self.ports.directory.last_seen(&out)).await?
        };
        let mut last_seen =
            stored
                .into_iter()
                .zip(noted)
                .map(|(stored, noted)| match (stored, noted) {
                    (Some(stored), Some(noted)) => Some(stored.advance_to(noted)),
                    (stored, noted) => stored.or(noted),
                });
        let answer: Vec<_> = seen
            .into_iter()
            .map(|seen: WatchedPresence| {
                let last_seen_at = if seen.shown.is_none() {
                    last_seen.next().flatten()
                } else {
                    None
                };
                (seen, last_seen_at)
            })
            .collect();
        let (users, later) = within(answer);
        Ok(Reply::Watching { users, later })
    }

    pub(crate) fn unwatch(&self, caller: &Caller, users: &[UserId]) -> Result<Reply, Refusal> {
        let (_, session) = caller.on_socket()?;
        self.ports.connections.unwatch(session, users);
        Ok(Reply::Done)
    }
}

/// What the answer has room for. Whoever is out takes little and is always in it; of whoever is in
/// there can be much to say.
fn within(
    answer: Vec<(WatchedPresence, Option<Timestamp>)>,
) -> (Vec<(WatchedPresence, Option<Timestamp>)>, Vec<UserId>) {
    let mut left = weight::ANSWER_BYTES.saturating_sub(
        answer
            .iter()
            .filter(|(seen, _)| seen.shown.is_none())
            .map(|(seen, _)| weight::seen(seen))
            .sum(),
    );
    let (mut users, mut later) = (Vec::with_capacity(answer.len()), Vec::new());
    for (seen, last_seen_at) in answer {
        let weight = if seen.shown.is_some() {
            weight::seen(&seen)
        } else {
            0
        };
        if weight > left {
            later.push(seen.user);
        } else {
            left -= weight;
            users.push((seen, last_seen_at));
        }
    }
    (users, later)
}

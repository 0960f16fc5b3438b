//! Finds the users who look offline to a user because of a block.

use crate::deadline;
use crate::ports::{Blocks, MOST_BLOCKERS};
use crate::refusal::Refusal;
use crate::settings::Identity;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::clock_version;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// Users of one read.
const AT_ONCE: usize = 256;

/// Those who look offline to one user, each since a version.
pub(crate) type Hidden = HashMap<UserId, u64>;

/// The users who have blocked each of these, with the version of their looking offline. Nobody is
/// hidden where anyone may claim to be anyone.
pub(crate) async fn hidden_from(
    blocks: &dyn Blocks,
    identity: Identity,
    users: &[UserId],
) -> Result<HashMap<UserId, Hidden>, Refusal> {
    let mut hidden: HashMap<UserId, Hidden> = HashMap::new();
    if identity == Identity::Open {
        return Ok(hidden);
    }
    for block in deadline::store(blocks.blockers_of(users)).await? {
        let of = hidden.entry(block.blocked).or_default();
        if of.len() < MOST_BLOCKERS {
            of.insert(block.by, clock_version(block.since));
        }
    }
    Ok(hidden)
}

/// A caller who waits for a read.
struct Waiting {
    user: UserId,
    answer: oneshot::Sender<Result<Hidden, Refusal>>,
}

/// Batches the reads of users who join at the same time, for example after a restart: requests that
/// arrive during a read share the next one.
#[derive(Default)]
pub(crate) struct HiddenReads {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by the caller who reads.
    reading: tokio::sync::Mutex<()>,
}

impl HiddenReads {
    /// As [`hidden_from`], for one user. The read begins after this is called.
    pub(crate) async fn of(
        &self,
        blocks: &dyn Blocks,
        identity: Identity,
        user: &UserId,
    ) -> Result<Hidden, Refusal> {
        if identity == Identity::Open {
            return Ok(Hidden::new());
        }
        loop {
            let (answer, mut answered) = oneshot::channel();
            let user = user.clone();
            self.waiting.lock().push(Waiting { user, answer });
            let _reading = tokio::select! {
                biased;
                answer = &mut answered => match answer {
                    Ok(answer) => return answer,
                    // The task that read for this user was cancelled.
                    Err(_) => continue,
                },
                reading = self.reading.lock() => reading,
            };
            loop {
                match answered.try_recv() {
                    Ok(answer) => return answer,
                    Err(TryRecvError::Closed) => break,
                    Err(TryRecvError::Empty) => self.read_some(blocks, identity).await,
                }
            }
        }
    }

    /// One read, for the users that have waited longest.
    async fn read_some(&self, blocks: &dyn Blocks, identity: Identity) {
        let some: Vec<Waiting> = {
            let mut waiting = self.waiting.lock();
            let count = waiting.len().min(AT_ONCE);
            waiting.drain(..count).collect()
        };
        let mut users: Vec<UserId> = some.iter().map(|one| one.user.clone()).collect();
        users.sort();
        users.dedup();
        let read = hidden_from(blocks, identity, &users).await;
        for Waiting { user, answer } in some {
            let of = |hidden: &HashMap<UserId, Hidden>| hidden.get(&user).cloned();
            let own = read.as_ref().map(|hidden| of(hidden).unwrap_or_default());
            // The waiting task was cancelled.
            drop(answer.send(own.map_err(Clone::clone)));
        }
    }
}

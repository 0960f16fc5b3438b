//! Who looks offline to whom because of a block.

use crate::deadline;
use crate::ports::{Blocks, MOST_BLOCKERS};
use crate::refusal::Refusal;
use crate::settings::Identity;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::clock_version;
use std::collections::HashMap;

/// The users who have blocked each of these, with the version of their looking offline. Nobody is
/// hidden where anyone may claim to be anyone.
pub(crate) async fn hidden_from(
    blocks: &dyn Blocks,
    identity: Identity,
    users: &[UserId],
) -> Result<HashMap<UserId, HashMap<UserId, u64>>, Refusal> {
    let mut hidden: HashMap<UserId, HashMap<UserId, u64>> = HashMap::new();
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

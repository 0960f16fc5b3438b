//! The presence and messaging core on several simulated nodes, with an injected clock, bus and
//! store. One thread, one queue of events, one seed: the same seed gives the same run.
//!
//! The rules are those of `lamplight-domain`: the roster of each user, the feed of the buckets, the
//! order of entries, marks, permissions, leases, the republisher. Redis, PostgreSQL, the networks,
//! the nodes' wiring, and clients are simulated. The decision page on the simulation lists what it
//! does not cover.

#![allow(
    clippy::needless_range_loop,
    reason = "users, clients, nodes and conversations are numbers, and each number has several tables"
)]

mod acting;
mod bug;
mod check;
mod client;
mod database;
mod entry;
mod faults;
mod groups;
mod messages;
mod names;
mod node;
mod redis;
mod rng;
mod truth;
mod world;

pub use bug::Bug;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub seed: u64,
    /// How often the environment acts.
    pub steps: usize,
    pub bug: Option<Bug>,
    /// Prints what happens.
    pub is_traced: bool,
}

/// The failure that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number in `docs/invariants.md`, or `acting` for the rules of what is done to messages,
    /// `groups` and `blocks` for theirs.
    pub invariant: &'static str,
    pub what: String,
    pub at_ms: u64,
}

/// Statistics of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    pub events: u64,
    /// Entries that were committed.
    pub entries: usize,
    /// Sends that clients got an acknowledgement for.
    pub acknowledged: usize,
    /// A digest of the final state, which shows that a replay is the same run.
    pub digest: u64,
}

/// Runs the steps, lets everything heal and settle, and checks what must hold then.
#[must_use]
pub fn run(config: Config) -> Report {
    let mut world = world::World::new(config);
    world.run_steps();
    world.settle();
    world.report()
}

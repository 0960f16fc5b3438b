//! How long messages wait, and the limits of subscriptions.

use std::time::Duration;

/// Messages from this long before a subscription was made are sent too, because the clocks of nodes
/// differ, and those from before it are not.
pub const SUBSCRIBED_SLACK_MS: i64 = 10_000;

/// The most subscriptions of one user: one for each browser on each device.
pub const MOST_SUBSCRIPTIONS: usize = 20;

/// The longest endpoint, in bytes. Those of the browsers' push services have at most about 500.
pub const MOST_ENDPOINT_BYTES: usize = 2_048;

/// The minimum time that a message waits: the user may read it or become active first.
pub(super) const DELAY: Duration = Duration::from_secs(2);

/// The maximum age of a message that is sent.
pub(super) const MOST_AGE: Duration = Duration::from_secs(24 * 3_600);

/// The age from which a message counts as delayed, for example by an outage. Of delayed messages,
/// only the newest [`KEPT`] of each conversation are sent.
pub(super) const HELD_UP: Duration = Duration::from_secs(600);
pub(super) const KEPT: u64 = 10;

/// The longest interval between heartbeats of a visible page: pages send one every 30 s. A page
/// without one for this long counts as left.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(45);

/// How long a message waits while its receiver is active: to read it, to ignore it, or to leave. A
/// page reports idle with its next heartbeat after a minute without input.
pub(super) const ATTENTION: Duration = Duration::from_secs(120);

/// The name of the position up to which the stores have queued entries.
pub const FOLLOWER: &str = "web push";

//! How many sessions and networks a store keeps, the same in every store.

/// Expired sessions and networks that are deleted with each new one. More than one, so that their
/// number falls.
pub const EXPIRED_AT_ONCE: i64 = 16;

/// Networks that are stored for an account; a further one replaces the least recent.
pub const NETWORKS_AT_MOST: i64 = 16;

/// How long networks are stored, in milliseconds: the period that a login reads.
pub const NETWORKS_FOR_MS: i64 = 30 * 24 * 3_600_000;

/// Sessions are deleted this long after their end, so that a clock that is ahead for a while ends
/// none for good.
pub const EXPIRED_SESSIONS_FOR_MS: i64 = 90 * 24 * 3_600_000;

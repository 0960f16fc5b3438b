//! The whole roster at one moment, to start a feed from or to mend one that missed changes.

use super::Presence;
use crate::identity::UserId;
use std::sync::Arc;

/// Everyone who is shown as online.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterSnapshot {
    pub present: Vec<Arc<Presence>>,
    pub floors: VersionFloors,
}

/// For each user a version: at least as high as all that the user had when the snapshot was read,
/// and lower than every later one. So a user who is missing from the snapshot went offline at this
/// version or before, unless there is a newer change.
///
/// A store that counts versions for several users together has one floor for each such bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionFloors(Vec<u64>);

impl VersionFloors {
    /// Of a store that counts for all users together.
    #[must_use]
    pub fn one(version: u64) -> Self {
        Self(vec![version])
    }

    /// Of a store that counts for each bucket of users, in the order of the buckets that
    /// [`bucket_of`] gives.
    #[must_use]
    pub fn by_bucket(versions: Vec<u64>) -> Self {
        Self(versions)
    }

    #[must_use]
    pub fn of(&self, user: &UserId) -> u64 {
        self.0
            .get(bucket_of(user, self.0.len()))
            .copied()
            .unwrap_or(0)
    }
}

impl Default for VersionFloors {
    fn default() -> Self {
        Self::one(0)
    }
}

/// The bucket of a user, the same on every node and in every release: FNV-1a over the id.
#[must_use]
pub fn bucket_of(user: &UserId, buckets: usize) -> usize {
    let hash = user
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    usize::try_from(hash % buckets.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_buckets_is_stable() {
        let bucket = |id: &str| bucket_of(&UserId::trusted(id), 64);
        // The published test vectors of FNV-1a: "a" is af63dc4c8601ec8c, "foobar" 85944171f73967e8.
        assert_eq!(bucket("a"), 0xaf63_dc4c_8601_ec8c_u64 as usize % 64);
        assert_eq!(bucket("foobar"), 0x8594_4171_f739_67e8_u64 as usize % 64);
        assert_eq!(bucket_of(&UserId::trusted("a"), 0), 0);
    }

    #[test]
    fn a_floor_is_that_of_the_users_bucket() {
        let floors = VersionFloors::by_bucket((0..64).collect());
        for id in ["a", "b", "foobar"] {
            let user = UserId::trusted(id);
            assert_eq!(floors.of(&user), bucket_of(&user, 64) as u64);
        }
        assert_eq!(VersionFloors::one(7).of(&UserId::trusted("a")), 7);
    }
}

//! Profiles, manual statuses and last-seen times.

use super::messages::MarkUpdate;
use super::store::{Page, StoreResult};
use async_trait::async_trait;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::{Privacy, PrivacyChange, SavedStatus, StatusOverride};
use lamplight_domain::time::Timestamp;

/// Where a profile comes from. A later profile replaces an earlier one unless that came from a better
/// source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProfileSource {
    /// Only the id is known. Replaces nothing.
    Nobody,
    /// The user, or a token's claims.
    Claims,
    /// The host application, with the server key.
    Host,
    /// The account was deleted. Nothing replaces the nameless profile that is left.
    Deleted,
}

/// A user in the directory.
#[derive(Clone, Debug)]
pub struct Person {
    pub profile: Profile,
    pub status: SavedStatus,
    pub last_seen: Option<Timestamp>,
}

/// A person as a store has them, with what decides whether a profile replaces theirs.
#[derive(Clone, Debug)]
pub struct StoredPerson {
    pub person: Person,
    pub source: ProfileSource,
    /// When the token was issued whose claims the profile has.
    pub claims_at: Option<Timestamp>,
}

/// A profile that is to be written, and its source.
#[derive(Clone, Debug)]
pub struct ProfileUpdate {
    pub profile: Profile,
    pub source: ProfileSource,
    /// When its token was issued.
    pub issued_at: Option<Timestamp>,
}

impl ProfileUpdate {
    /// Whether it changes the stored profile or its source.
    #[must_use]
    pub fn is_news(&self, stored: &StoredPerson) -> bool {
        // A profile without a time is the newest; of two claims with one, the later wins.
        let is_newer = self.issued_at.is_none()
            || stored.source < self.source
            || self.issued_at > stored.claims_at;
        self.source != ProfileSource::Nobody
            && self.source >= stored.source
            && (self.source > stored.source || self.profile != stored.person.profile)
            && is_newer
    }
}

/// The effect of a write on a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileWrite {
    /// The profile is as it was.
    Unchanged,
    Changed,
    /// The directory did not have the user, who is in no conversation then.
    Made,
}

/// Profiles, manual statuses and last-seen times.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    async fn person(&self, user: &UserId) -> StoreResult<Option<Person>>;

    /// Which of these users the directory does not know, or knows as deleted, in the order given.
    async fn unknown(&self, users: &[UserId]) -> StoreResult<Vec<UserId>>;

    /// Writes a profile unless a better source wrote it before; returns the person after that, and what
    /// was done. With [`ProfileSource::Nobody`], creates a bare
    /// profile if there is none.
    async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)>;

    /// Writes the profile in the claims of a token issued at `issued_at`, unless a better source, or
    /// the claims of a token that was not older, wrote the profile before; returns as
    /// [`Directory::upsert_profile`].
    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)>;

    /// Saves a manual status of a known user under a new revision, higher than all before.
    /// Unless the status is invisible at `at`, the marks that others see advance to the true ones in
    /// the same transaction; answers with those that moved.
    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<(SavedStatus, Vec<MarkUpdate>)>;

    /// The privacy settings of these users, with their revisions; unknown users are left out.
    async fn privacy_of(&self, users: &[UserId]) -> StoreResult<Vec<(Privacy, u64)>>;

    /// Changes the privacy settings of a known user, with a new revision of the status. Hiding the
    /// last-seen time deletes the stored time, and none is stored while it is hidden.
    async fn set_privacy(
        &self,
        user: &UserId,
        change: PrivacyChange,
        at: Timestamp,
    ) -> StoreResult<SavedStatus>;

    /// Advances when users were last seen, except those who hide it; never back, except from a time that only a wrong clock can
    /// have shown: see [`Timestamp::advance_to`].
    async fn seen(&self, users: Vec<(UserId, Timestamp)>) -> StoreResult<()>;

    /// When each of these was last seen.
    async fn last_seen(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>>;

    /// Users whose name, id or user name contains `query` by [`search_key`], in the order of their
    /// names; all users if the query's key is empty.
    ///
    /// [`search_key`]: lamplight_domain::text::search_key
    async fn search(
        &self,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>>;
}

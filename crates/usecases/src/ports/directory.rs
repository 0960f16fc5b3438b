//! Profiles, manual statuses and last-seen times.

use super::messages::MarkUpdate;
use super::store::{Page, StoreResult};
use async_trait::async_trait;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::{SavedStatus, StatusOverride};
use lamplight_domain::time::Timestamp;

/// Where a profile comes from. A later one takes the place of an earlier one unless that came from
/// a better source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProfileSource {
    /// Nobody: only the id is known. Never replaces anything.
    Nobody,
    /// The user's own word, or a token's claims.
    Claims,
    /// The host application, with the server key.
    Host,
}

/// What the directory knows of a person.
#[derive(Clone, Debug)]
pub struct Person {
    /// The profile.
    pub profile: Profile,
    /// The manual status.
    pub status: SavedStatus,
    /// When they were last seen.
    pub last_seen: Option<Timestamp>,
}

/// People: profiles, manual statuses, when they were last seen.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// What is known of someone.
    async fn person(&self, user: &UserId) -> StoreResult<Option<Person>>;

    /// Those of these whom the directory does not know, in the order asked.
    async fn unknown(&self, users: &[UserId]) -> StoreResult<Vec<UserId>>;

    /// Writes a profile unless a better source wrote it before; answers with the person as they are
    /// now, and whether the profile changed (a new one has). With [`ProfileSource::Nobody`], makes
    /// a bare profile where there is none.
    async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        at: Timestamp,
    ) -> StoreResult<(Person, bool)>;

    /// Writes what a token that was issued at `issued_at` says of its user, unless a better source,
    /// or the claims of a token that was not older, wrote the profile before; answers as
    /// [`Directory::upsert_profile`].
    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, bool)>;

    /// Saves a manual status under a new revision, higher than all before. The person is known.
    /// Unless the status is invisible at `at`, the marks that others see advance to the true ones in
    /// the same transaction; answers with those that moved.
    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<(SavedStatus, Vec<MarkUpdate>)>;

    /// Moves when people were last seen; never back, but from a time that only a wrong clock can
    /// have shown: see [`Timestamp::advance_to`].
    async fn seen(&self, users: Vec<(UserId, Timestamp)>) -> StoreResult<()>;

    /// When each of these was last seen.
    async fn last_seen(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>>;

    /// People whose name or id, or whose account's user name, contains `query` by [`search_key`],
    /// by name; all of them where the query's key is empty.
    ///
    /// [`search_key`]: lamplight_domain::text::search_key
    async fn search(
        &self,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>>;
}

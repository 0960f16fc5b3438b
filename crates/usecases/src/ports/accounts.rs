//! Local accounts and their sessions.

use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::time::Timestamp;
use std::net::IpAddr;

#[derive(Clone, Debug)]
pub struct Account {
    pub user: UserId,
    /// The password's hash, in PHC string format.
    pub password_hash: String,
}

/// A session to open.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The digest of its token.
    pub digest: String,
    pub user: UserId,
    pub at: Timestamp,
    pub expires: Timestamp,
    /// The [`login_network`](crate::network::login_network) that it is opened from.
    pub network: Option<IpAddr>,
    /// The most sessions that a user may have; 0 for no limit.
    pub most: usize,
    /// The hash that the password matched, if a password was verified: the account may have another
    /// one by now.
    pub password_hash: Option<String>,
}

/// Local accounts and their sessions.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Creates an account and its profile. `false` if the name is taken, by [`username_key`].
    ///
    /// [`username_key`]: lamplight_domain::text::username_key
    async fn create(
        &self,
        username: &str,
        account: Account,
        profile: Profile,
        at: Timestamp,
    ) -> StoreResult<bool>;

    /// The account of that name, by its key.
    async fn find(&self, username: &str) -> StoreResult<Option<Account>>;

    /// The account of a user, with its username.
    async fn account_of(&self, user: &UserId) -> StoreResult<Option<(String, Account)>>;

    /// Whether the account of that name had a sign-in from this network at `since` or later.
    async fn knows_network(
        &self,
        username: &str,
        network: IpAddr,
        since: Timestamp,
    ) -> StoreResult<bool>;

    /// Stores a session under the digest of its token, remembers its network, and ends the oldest
    /// sessions of the user past `most`; returns the digests of those that ended. `None`, and nothing
    /// is stored, if the account has another password hash by now than the session.
    async fn open_session(&self, session: NewSession) -> StoreResult<Option<Vec<String>>>;

    /// The user of a session and when it expires, unless it has expired at `at`.
    async fn session(
        &self,
        digest: &str,
        at: Timestamp,
    ) -> StoreResult<Option<(UserId, Timestamp)>>;

    /// Those of these digests that belong to no session. At most a few hundred at once.
    async fn without_session(&self, digests: &[String]) -> StoreResult<Vec<String>>;

    /// Ends a session; returns its user, if there was such a session.
    async fn end_session(&self, digest: &str) -> StoreResult<Option<UserId>>;

    /// The digests of a user's sessions.
    async fn sessions_of(&self, user: &UserId) -> StoreResult<Vec<String>>;

    /// Ends every session of a user, or those opened at `until` or before; returns their digests.
    async fn end_sessions(
        &self,
        user: &UserId,
        until: Option<Timestamp>,
    ) -> StoreResult<Vec<String>>;

    /// Replaces the password's hash, ends every session of the user except `except`, and forgets the
    /// networks that signed in, in one transaction. Returns the digests of the sessions that ended.
    /// `None`, and nothing changes, if the hash is no longer `before`.
    async fn set_password(
        &self,
        user: &UserId,
        before: &str,
        password_hash: &str,
        except: Option<&str>,
    ) -> StoreResult<Option<Vec<String>>>;
}

//! Local accounts and their sessions.

use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::time::Timestamp;
use std::net::IpAddr;

/// A local account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose it is.
    pub user: UserId,
    /// The password's hash, in PHC string format.
    pub password_hash: String,
}

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The digest of its token.
    pub digest: String,
    /// Whose it is.
    pub user: UserId,
    /// When it begins.
    pub at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The network that it was opened from, as [`crate::network::login_network`] has it.
    pub network: Option<IpAddr>,
    /// The most sessions that a user may have; 0 for no limit.
    pub most: usize,
    /// The hash that the password was right for, where one was asked for: it may be another's by
    /// now.
    pub password_hash: Option<String>,
}

/// Local accounts and their sessions.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Makes an account and its profile. `false` if the name is taken, by [`username_key`].
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

    /// The account of a user, with the name that it is found by.
    async fn account_of(&self, user: &UserId) -> StoreResult<Option<(String, Account)>>;

    /// Whether somebody signed in to the account of that name from this network at `since` or
    /// later.
    async fn knows_network(
        &self,
        username: &str,
        network: IpAddr,
        since: Timestamp,
    ) -> StoreResult<bool>;

    /// Keeps a session under the digest of its token, remembers the network it was opened from, and
    /// ends the oldest sessions of the user past `most`; answers with the digests of those that
    /// ended. `None`, and nothing is kept, where the account's password has another hash by now
    /// than the session's.
    async fn open_session(&self, session: NewSession) -> StoreResult<Option<Vec<String>>>;

    /// Whose session this is, and when it ends, unless it has ended before `at`.
    async fn session(
        &self,
        digest: &str,
        at: Timestamp,
    ) -> StoreResult<Option<(UserId, Timestamp)>>;

    /// Ends a session; whose it was, if it was.
    async fn end_session(&self, digest: &str) -> StoreResult<Option<UserId>>;

    /// The digests of a user's sessions.
    async fn sessions_of(&self, user: &UserId) -> StoreResult<Vec<String>>;

    /// Ends every session of a user; answers with their digests.
    async fn end_sessions(&self, user: &UserId) -> StoreResult<Vec<String>>;

    /// Replaces the password's hash, ends every session of the user but `except`, and forgets the
    /// networks that signed in: one transaction. Answers with the digests of the sessions that
    /// ended. `None`, and nothing is changed, where the hash is not `before` any more.
    async fn set_password(
        &self,
        user: &UserId,
        before: &str,
        password_hash: &str,
        except: Option<&str>,
    ) -> StoreResult<Option<Vec<String>>>;
}

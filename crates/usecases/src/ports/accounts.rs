//! Local accounts and their sessions.

use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
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

/// The owner of an account deletes it.
#[derive(Clone, Debug)]
pub struct NewDeletion {
    pub user: UserId,
    /// The hash that the password matched: the account may have another one by now.
    pub password_hash: String,
    /// Whether what the user wrote is erased too.
    pub erases_messages: bool,
    pub at: Timestamp,
}

/// The remaining work for a deleted account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub user: UserId,
    pub erases_messages: bool,
    /// The entries up to this one are done.
    pub position: i64,
    /// Whether the deletion was announced to all nodes.
    pub is_announced: bool,
    /// The digests of the sessions that it ended, until it is announced.
    pub ended: Vec<String>,
}

/// Messages that a user wrote, of a part of all logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authored {
    /// Those that are not deleted, also where the user is no longer a member.
    pub messages: Vec<(ConversationId, MessageId)>,
    /// The last entry of the part, `None` if there are no more entries.
    pub position: Option<i64>,
}

/// Local accounts and their sessions.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Creates an account and its profile. `false` if the name is taken, by [`username_key`], or
    /// looks like one that is, by [`username_look`].
    ///
    /// [`username_key`]: lamplight_domain::text::username_key
    /// [`username_look`]: lamplight_domain::text::username_look
    async fn create(
        &self,
        username: &str,
        account: Account,
        profile: Profile,
        at: Timestamp,
    ) -> StoreResult<bool>;

    /// The account of that name, by its key.
    async fn find(&self, username: &str) -> StoreResult<Option<Account>>;

    /// The account of a user, with its user name.
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

    /// Refuses the tokens of the host application that it issued to a user at `at` or before, from now
    /// on, and deletes the user's subscriptions to Web Push, in one transaction. The time never moves
    /// back. `false`, and nothing changes, if the directory does not have the user.
    async fn end_tokens(&self, user: &UserId, at: Timestamp) -> StoreResult<bool>;

    /// The time of [`Accounts::end_tokens`] of each of these users. At most a few hundred at once.
    async fn tokens_ended_at(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>>;

    /// Replaces the password's hash, ends every session of the user except `except`, and forgets the
    /// networks that signed in, in one transaction. Returns the digests of the sessions that ended.
    /// `None`, and nothing changes, if the hash is no longer `before`, or if there is no account any more.
    async fn set_password(
        &self,
        user: &UserId,
        before: &str,
        password_hash: &str,
        except: Option<&str>,
    ) -> StoreResult<Option<Vec<String>>>;

    /// Deletes an account, in one transaction: its name and password, its sessions and the networks
    /// that signed in, the user's subscriptions to Web Push, blocks of either side, settings of
    /// conversations, status and last-seen time. The profile becomes [`Profile::deleted`] for good.
    /// Once it resolves, no node stores a write in a direct conversation with this user, except
    /// deletions. The remaining work waits for [`Accounts::claim_deletion`].
    ///
    /// Returns the digests of the sessions that ended. `None`, and nothing changes, if the account has
    /// another password hash or none.
    async fn delete(&self, deletion: NewDeletion) -> StoreResult<Option<Vec<String>>>;

    /// Claims the deletion that has waited longest and is not claimed by another node, until a
    /// time. The same node renews its claim by claiming again.
    async fn claim_deletion(
        &self,
        at: Timestamp,
        until: Timestamp,
    ) -> StoreResult<Option<Deletion>>;

    /// Notes how far a deletion has got, and claims it further.
    async fn move_deletion(
        &self,
        user: &UserId,
        position: i64,
        until: Timestamp,
    ) -> StoreResult<()>;

    /// Waits for the writes in conversations of two that had read before the deletion that the account is
    /// there: when it resolves, they are stored.
    async fn settle_deletion(&self, user: &UserId) -> StoreResult<()>;

    /// The deletion was announced to all nodes: deletes the digests of its ended sessions.
    async fn deletion_announced(&self, user: &UserId) -> StoreResult<()>;

    /// No work remains.
    async fn finish_deletion(&self, user: &UserId) -> StoreResult<()>;

    /// The user's messages among the next `entries` entries of all logs after a position.
    async fn authored(&self, user: &UserId, after: i64, entries: usize) -> StoreResult<Authored>;

    /// The groups that a user is in, at most so many.
    async fn groups_of(&self, user: &UserId, limit: usize) -> StoreResult<Vec<ConversationId>>;
}

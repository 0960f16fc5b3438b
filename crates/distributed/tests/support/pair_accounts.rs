//! The accounts and groups of two stores on one database.

use super::pair::Pair;
use async_trait::async_trait;
use lamplight_domain::conversation::{Conversation, Member};
use lamplight_domain::group::{GroupWrite, NewGroup};
use lamplight_domain::identity::{ConnectionId, ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    Account, Accounts, Authored, Deletion, GroupChanged, GroupError, Groups, NewDeletion,
    NewSession, Page, StoreResult,
};
use std::net::IpAddr;

#[async_trait]
impl Accounts for Pair {
    async fn create(
        &self,
        username: &str,
        account: Account,
        profile: Profile,
        at: Timestamp,
    ) -> StoreResult<bool> {
        self.next().create(username, account, profile, at).await
    }

    async fn find(&self, username: &str) -> StoreResult<Option<Account>> {
        self.next().find(username).await
    }

    async fn account_of(&self, user: &UserId) -> StoreResult<Option<(String, Account)>> {
        self.next().account_of(user).await
    }

    async fn knows_network(
        &self,
        username: &str,
        network: IpAddr,
        since: Timestamp,
    ) -> StoreResult<bool> {
        self.next().knows_network(username, network, since).await
    }

    async fn open_session(&self, session: NewSession) -> StoreResult<Option<Vec<String>>> {
        self.next().open_session(session).await
    }

    async fn session(
        &self,
        digest: &str,
        at: Timestamp,
    ) -> StoreResult<Option<(UserId, Timestamp)>> {
        self.next().session(digest, at).await
    }

    async fn end_session(&self, digest: &str) -> StoreResult<Option<UserId>> {
        self.next().end_session(digest).await
    }

    async fn without_session(&self, digests: &[String]) -> StoreResult<Vec<String>> {
        self.next().without_session(digests).await
    }

    async fn sessions_of(&self, user: &UserId) -> StoreResult<Vec<String>> {
        self.next().sessions_of(user).await
    }

    async fn end_sessions(
        &self,
        user: &UserId,
        until: Option<Timestamp>,
    ) -> StoreResult<Vec<String>> {
        self.next().end_sessions(user, until).await
    }

    async fn end_tokens(&self, user: &UserId, at: Timestamp) -> StoreResult<bool> {
        self.next().end_tokens(user, at).await
    }

    async fn tokens_ended_at(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        self.next().tokens_ended_at(users).await
    }

    async fn set_password(
        &self,
        user: &UserId,
        before: &str,
        password_hash: &str,
        except: Option<&str>,
    ) -> StoreResult<Option<Vec<String>>> {
        let set = self
            .next()
            .set_password(user, before, password_hash, except);
        set.await
    }

    async fn delete(&self, deletion: NewDeletion) -> StoreResult<Option<Vec<String>>> {
        self.next().delete(deletion).await
    }

    async fn claim_deletion(
        &self,
        at: Timestamp,
        until: Timestamp,
    ) -> StoreResult<Option<Deletion>> {
        self.next().claim_deletion(at, until).await
    }

    async fn move_deletion(
        &self,
        user: &UserId,
        position: i64,
        until: Timestamp,
    ) -> StoreResult<()> {
        self.next().move_deletion(user, position, until).await
    }

    async fn settle_deletion(&self, user: &UserId) -> StoreResult<()> {
        self.next().settle_deletion(user).await
    }

    async fn deletion_announced(&self, user: &UserId) -> StoreResult<()> {
        self.next().deletion_announced(user).await
    }

    async fn finish_deletion(&self, user: &UserId) -> StoreResult<()> {
        self.next().finish_deletion(user).await
    }

    async fn authored(&self, user: &UserId, after: i64, entries: usize) -> StoreResult<Authored> {
        self.next().authored(user, after, entries).await
    }

    async fn groups_of(&self, user: &UserId, limit: usize) -> StoreResult<Vec<ConversationId>> {
        self.next().groups_of(user, limit).await
    }
}

#[async_trait]
impl Groups for Pair {
    async fn make_group(&self, new: NewGroup) -> Result<Option<(Conversation, bool)>, GroupError> {
        self.next().make_group(new).await
    }

    async fn change_group(
        &self,
        write: GroupWrite,
        except: Option<ConnectionId>,
    ) -> Result<GroupChanged, GroupError> {
        self.next().change_group(write, except).await
    }

    async fn member_page(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Member>>> {
        self.next()
            .member_page(caller, conversation, cursor, limit)
            .await
    }
}

//! Accounts: runs the commands of this area.

use super::command::AccountCommand;
use super::ended::EndedSessions;
use super::pace::Pace;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::limits::Limits;
use crate::ports::{
    Accounts, Clock, Directory, EventBus, Groups, Ids, Messages, Passwords, Ports, PresenceStore,
};
use crate::profiles::Profiles;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::user_locks::UserLocks;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

pub(crate) struct AccountService {
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) passwords: Arc<dyn Passwords>,
    pub(super) bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) limits: Arc<Limits>,
    pub(super) locks: Arc<UserLocks>,
    pub(super) profiles: Arc<Profiles>,
    pub(super) ended: Arc<EndedSessions>,
    pub(super) presence: Arc<dyn PresenceStore>,
    pub(super) messages: Arc<dyn Messages>,
    pub(super) groups: Arc<dyn Groups>,
    /// Wakes what finishes deletions.
    pub(super) deletion_added: Notify,
    /// Of what is erased for deleted accounts, one batch at a time.
    pub(super) pace: tokio::sync::Mutex<Pace>,
    /// Lets one search of the whole directory run at a time: the store has few readers, and
    /// sign-ins wait for them too.
    pub(super) search: Arc<Semaphore>,
    pub(super) settings: Settings,
}

impl AccountService {
    pub(crate) fn new(ports: &Ports, settings: &Settings, shared: &Shared) -> Self {
        Self {
            accounts: Arc::clone(&ports.accounts),
            directory: Arc::clone(&ports.directory),
            passwords: Arc::clone(&ports.passwords),
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            limits: Arc::clone(&shared.limits),
            locks: Arc::clone(&shared.locks),
            profiles: Arc::clone(&shared.profiles),
            ended: Arc::clone(&shared.ended),
            presence: Arc::clone(&ports.presence),
            messages: Arc::clone(&ports.messages),
            groups: Arc::clone(&ports.groups),
            deletion_added: Notify::new(),
            pace: tokio::sync::Mutex::default(),
            search: Arc::new(Semaphore::new(1)),
            settings: *settings,
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: AccountCommand,
    ) -> Result<Reply, Refusal> {
        match command {
            AccountCommand::Register {
                username,
                password,
                name,
            } => {
                self.register(caller, &username, password, name.as_deref())
                    .await
            }
            AccountCommand::Login { username, password } => {
                self.login(caller, &username, password).await
            }
            AccountCommand::Logout => self.logout(caller).await,
            AccountCommand::LogoutAll => self.logout_all(caller).await,
            AccountCommand::ChangePassword { current, next } => {
                self.change_password(caller, current, next).await
            }
            AccountCommand::Update { name, avatar_url } => {
                self.update(caller, name, avatar_url).await
            }
            AccountCommand::Delete {
                password,
                erases_messages,
            } => self.delete(caller, password, erases_messages).await,
            AccountCommand::Settings => self.privacy(caller).await,
            AccountCommand::SetSettings(change) => self.set_privacy(caller, change).await,
            AccountCommand::WhoAmI => self.who_am_i(caller).await,
            AccountCommand::Find(user) => self.find_user(caller, &user).await,
            AccountCommand::ListUsers {
                query,
                cursor,
                limit,
            } => {
                self.list_users(caller, &query, cursor.as_deref(), limit)
                    .await
            }
        }
    }

    /// The user of a local session and when it expires.
    pub(crate) async fn session(
        &self,
        digest: &str,
    ) -> Result<Option<(UserId, Timestamp)>, Refusal> {
        let session = deadline::store(self.accounts.session(digest, self.now())).await?;
        // Checked last: the session may have ended while the store was read.
        Ok(session.filter(|(user, expires)| !self.ended.contains(digest, user, *expires)))
    }

    /// Those of these digests that belong to no session in the store.
    pub(crate) async fn without_session(&self, digests: &[String]) -> Result<Vec<String>, Refusal> {
        deadline::store(self.accounts.without_session(digests)).await
    }

    /// Until when tokens of the host application that were issued to these users are refused.
    pub(crate) async fn tokens_ended_at(
        &self,
        users: &[UserId],
    ) -> Result<Vec<Option<Timestamp>>, Refusal> {
        deadline::store(self.accounts.tokens_ended_at(users)).await
    }

    /// The digest that the store keeps of a local session's token.
    pub(crate) fn digest(&self, token: &str) -> String {
        self.passwords.digest(token)
    }

    pub(crate) fn ended(&self) -> &EndedSessions {
        &self.ended
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}

//! Dispatches commands to the areas.

use crate::accounts::AccountCommand;
use crate::accounts::ended::EndedSessions;
use crate::admin::AdminCommand;
use crate::caller::{Caller, Principal};
use crate::command::{Command, Reply};
use crate::conversations::ConversationCommand;
use crate::deadline::{self, STORE_DEADLINE};
use crate::flow::{Flow, Urgency};
use crate::limits::Limits;
use crate::messages::MessageCommand;
use crate::messages::mark_writer::MarkWriter;
use crate::metadata::{Budget, Metadata};
use crate::ports::{Ports, ProfileSource, StoreResult};
use crate::presence::PresenceCommand;
use crate::presence::typing::TypingTable;
use crate::read_budget::ReadBudget;
use crate::refusal::Refusal;
use crate::settings::{Identity, Settings};
use lamplight_domain::identity::{Generation, Profile, UserId};
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many profiles are remembered as introduced already, so that a request does not write what it
/// wrote before.
const MAX_WRITTEN_PROFILES: usize = 10_000;

/// In how many shares the users take turns. More than one commit takes, so that in a storm of joins
/// commits are full though each share waits for its own.
const USER_LOCK_SHARDS: usize = 1024;

/// How long whoever is refused too often waits for each refusal.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Entries of the handler's tables. Caches, which are bounded and stay, are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Keys of the limiters.
    pub limits: usize,
    /// Typing notices.
    pub typing: usize,
    /// Delivered marks and last-seen times that wait to be written.
    pub marks: usize,
    /// Sessions that ended and that the store still has.
    pub ended: usize,
}

/// The use cases.
pub struct Handler {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    budget: ReadBudget,
    pub(crate) typing: TypingTable,
    pub(crate) delivered: MarkWriter,
    pub(crate) ended: EndedSessions,
    written_profiles: Mutex<HashMap<UserId, (Profile, Option<Timestamp>)>>,
    /// One for a share of the users: see [`Handler::with_user_lock`].
    user_locks: Box<[tokio::sync::Mutex<()>]>,
    /// Who looks at everyone in the directory, one at a time: the store has few readers, and
    /// sign-ins wait for them too.
    pub(crate) searching: Arc<Semaphore>,
}

impl Handler {
    /// A handler over these ports.
    #[must_use]
    pub fn new(ports: Ports, settings: Settings) -> Self {
        Self {
            limits: Limits::new(settings.quotas, &ports.clock),
            budget: ReadBudget::new(settings.quotas.reads, &ports.clock),
            typing: TypingTable::default(),
            delivered: MarkWriter::default(),
            ended: EndedSessions::default(),
            written_profiles: Mutex::default(),
            searching: Arc::new(Semaphore::new(1)),
            user_locks: (0..USER_LOCK_SHARDS)
                .map(|_| tokio::sync::Mutex::default())
                .collect(),
            ports,
            settings,
        }
    }

    /// The store's generation, to be read before a command is handled and told with its reply.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.ports.messages.generation()
    }

    /// How identity works here.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.settings.identity
    }

    /// Does what a caller wants.
    ///
    /// A message takes its place in the log when the returned future is *first polled*: a wire that
    /// polls its requests once in the order in which they came keeps that order, and may let them
    /// finish on their own.
    ///
    /// # Errors
    /// A refusal. It changed nothing, except that after `unavailable` or `internal` the outcome is
    /// unknown.
    pub async fn handle(&self, caller: &Caller, command: Command) -> Result<Reply, Refusal> {
        let Metadata { scope, budget, .. } = command.metadata();
        self.limits.admit(budget, caller)?;
        scope.check(caller, self.settings.identity)?;
        let user = caller.user().ok().cloned();
        if budget == Budget::Read {
            return Box::pin(self.read(caller, user, command)).await;
        }
        Flow::from(caller.address, user, Urgency::First)
            .run(self.dispatch(caller, command))
            .await
    }

    /// Reads as much as the caller's budget has left, when it is their turn.
    async fn read(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        command: Command,
    ) -> Result<Reply, Refusal> {
        let admit = self.budget.admit(
            user.as_ref()
                .filter(|_| caller.principal != Principal::Service),
            caller
                .address
                .filter(|_| caller.principal != Principal::Service),
        );
        let Ok(admitted) = tokio::time::timeout(STORE_DEADLINE, admit).await else {
            return Err(Refusal::rate_limited(
                "Your other requests take too long. Wait a moment.",
                Duration::from_secs(1),
            ));
        };
        let mut admitted = admitted?;
        let reply = Flow::from(caller.address, user, Urgency::Bulk)
            .run(self.dispatch(caller, command))
            .await;
        if let Ok(reply) = &reply {
            admitted.costs(reply.cost());
        }
        reply
    }

    async fn dispatch(&self, caller: &Caller, command: Command) -> Result<Reply, Refusal> {
        match command {
            Command::Presence(PresenceCommand::Join {
                user,
                mode,
                name,
                avatar_url,
            }) => self.join(caller, user, mode, name, avatar_url).await,
            Command::Presence(PresenceCommand::Heartbeat { active }) => {
                self.activity(caller, active).await
            }
            Command::Presence(PresenceCommand::Resume) => self.resume(caller).await,
            Command::Presence(PresenceCommand::Leave { reason }) => {
                self.leave(caller, reason).await
            }
            Command::Presence(PresenceCommand::SignOut) => self.sign_out(caller).await,
            Command::Presence(PresenceCommand::SetStatus(chosen)) => {
                self.set_status(caller, chosen).await
            }
            Command::Presence(PresenceCommand::SetActivity(activity)) => {
                self.set_activity(caller, activity).await
            }
            Command::Presence(PresenceCommand::Watch(users)) => self.watch(caller, users).await,
            Command::Presence(PresenceCommand::Unwatch(users)) => self.unwatch(caller, &users),
            Command::Conversations(ConversationCommand::View(conversation)) => {
                self.view_conversation(caller, &conversation).await
            }
            Command::Conversations(ConversationCommand::Unview(_)) => {
                caller.on_socket().map(|_| Reply::Done)
            }
            Command::Messages(MessageCommand::Send {
                conversation,
                content,
                key,
                temp_id,
            }) => {
                self.send_message(caller, conversation, &content, key, temp_id)
                    .await
            }
            Command::Presence(PresenceCommand::Typing {
                conversation,
                is_typing,
            }) => self.set_typing(caller, conversation, is_typing).await,
            Command::Messages(MessageCommand::MarkRead { conversation, seq }) => {
                self.mark_read(caller, &conversation, seq).await
            }
            Command::Messages(MessageCommand::Sync { have, refused }) => {
                self.sync(caller, have, refused).await
            }
            Command::Presence(PresenceCommand::ListOnline {
                exclude,
                count_only,
                cursor,
                limit,
            }) => {
                self.list_online(exclude, count_only, cursor.as_deref(), limit)
                    .await
            }
            Command::Conversations(ConversationCommand::List { cursor, limit }) => {
                self.list_conversations(caller, cursor.as_deref(), limit)
                    .await
            }
            Command::Conversations(ConversationCommand::Open(other)) => {
                self.open_conversation(caller, &other).await
            }
            Command::Admin(AdminCommand::PutConversation {
                conversation,
                members,
            }) => self.put_conversation(&conversation, members).await,
            Command::Messages(MessageCommand::History {
                conversation,
                range,
                limit,
            }) => self.history(caller, &conversation, range, limit).await,
            Command::Accounts(AccountCommand::ListUsers {
                query,
                cursor,
                limit,
            }) => {
                self.list_users(caller, &query, cursor.as_deref(), limit)
                    .await
            }
            Command::Admin(AdminCommand::PutProfile(profile)) => self.put_profile(profile).await,
            Command::Accounts(AccountCommand::Register {
                username,
                password,
                name,
            }) => {
                self.register(caller, &username, password, name.as_deref())
                    .await
            }
            Command::Accounts(AccountCommand::Login { username, password }) => {
                self.login(caller, &username, password).await
            }
            Command::Accounts(AccountCommand::Logout) => self.logout(caller).await,
            Command::Accounts(AccountCommand::LogoutAll) => self.logout_all(caller).await,
            Command::Accounts(AccountCommand::ChangePassword { current, next }) => {
                self.change_password(caller, current, next).await
            }
            Command::Accounts(AccountCommand::Update { name, avatar_url }) => {
                self.update_account(caller, name, avatar_url).await
            }
            Command::Accounts(AccountCommand::WhoAmI) => self.who_am_i(caller).await,
        }
    }

    /// Whether anyone may make an account.
    #[must_use]
    pub fn is_registration_open(&self) -> bool {
        self.settings.is_registration_open
    }

    /// Whose local session a token's digest stands for, and until when.
    ///
    /// # Errors
    /// When the store fails; the log has the cause.
    pub async fn session(&self, digest: &str) -> Result<Option<(UserId, Timestamp)>, Refusal> {
        let session = self
            .store(self.ports.accounts.session(digest, self.wall()))
            .await?;
        // Looked at last: a session may have ended while the store was asked.
        Ok(session.filter(|_| !self.ended.contains(digest)))
    }

    /// The digest under which a local session's token is kept.
    #[must_use]
    pub fn digest(&self, token: &str) -> String {
        self.ports.passwords.digest(token)
    }

    /// Whether a secret from this address may be compared at all.
    ///
    /// # Errors
    /// `rate_limited` when the address has had too many refused.
    pub fn may_try_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.limits.may_try_token(address)
    }

    /// Counts a token that was refused, against guessing.
    ///
    /// # Errors
    /// `rate_limited` when the address has had too many.
    pub fn refused_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.limits.refused_token(address)
    }

    /// Counts a refusal, of a user's or of an address' where there is no user. Whoever goes on and
    /// on being refused is to be answered more slowly: how much more.
    #[must_use]
    pub fn pause_after_refusal(&self, user: Option<&UserId>, address: IpAddr) -> Option<Duration> {
        self.limits
            .refused(user, address)
            .err()
            .map(|_| REFUSED_PAUSE)
    }

    /// Counts what a caller has looked up that is no command: whose a token is.
    ///
    /// # Errors
    /// `rate_limited` when the caller has had too much.
    pub fn look(&self, caller: &Caller) -> Result<(), Refusal> {
        self.limits.admit(Budget::Lookup, caller)
    }

    /// Counts a request of an address, whatever it asks for and whoever it is from.
    ///
    /// # Errors
    /// `rate_limited` when the address has had too many.
    pub fn request(&self, address: IpAddr) -> Result<(), Refusal> {
        self.limits.request(address)
    }

    /// Forgets limiters' keys that are no longer needed. Call it now and then.
    pub fn forget_idle(&self) {
        self.limits.forget_idle();
        self.budget.forget_idle();
    }

    /// What is held for those who are doing something, which must come back to nothing.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            limits: self.limits.len() + self.budget.len(),
            typing: self.typing.len(),
            marks: self.delivered.len(),
            ended: self.ended.len(),
        }
    }

    /// Lets a user's devices do one after the other what reads or writes the store and then tells
    /// the roster: the two must end the same. Waiting for the turn and the work itself have
    /// [`STORE_DEADLINE`] together, so that whoever stands behind a store that stalls is answered
    /// as soon as whoever is at it. The work must not ask for a turn itself.
    pub(crate) async fn with_user_lock<T>(
        &self,
        user: &UserId,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        let share = usize::try_from(hasher.finish() % USER_LOCK_SHARDS as u64).unwrap_or(0);
        let turn = async {
            let _turn = self.user_locks[share].lock().await;
            work.await
        };
        tokio::time::timeout(STORE_DEADLINE, turn)
            .await
            .unwrap_or_else(|_| Err(deadline::missed()))
    }

    pub(crate) async fn store<T>(
        &self,
        answer: impl Future<Output = StoreResult<T>>,
    ) -> Result<T, Refusal> {
        deadline::store(answer).await
    }

    pub(crate) fn wall(&self) -> Timestamp {
        self.ports.clock.now().wall
    }

    /// Whether there is nothing to be written: this very profile was written not long ago, or a
    /// word that is not older than this. A token that does not say when it was issued is taken for
    /// a new one.
    pub(crate) fn is_profile_written(
        &self,
        profile: &Profile,
        source: ProfileSource,
        issued_at: Option<Timestamp>,
    ) -> bool {
        match self.written_profiles.lock().get_mut(&profile.id) {
            Some(_) if source == ProfileSource::Nobody => true,
            Some((known, at)) if known == profile => {
                *at = (*at).max(issued_at);
                true
            }
            Some((_, at)) => issued_at.is_some() && *at >= issued_at,
            None => false,
        }
    }

    pub(crate) fn set_profile_written(&self, profile: Profile, issued_at: Option<Timestamp>) {
        let mut written_profiles = self.written_profiles.lock();
        if written_profiles.len() >= MAX_WRITTEN_PROFILES {
            written_profiles.clear();
        }
        written_profiles.insert(profile.id.clone(), (profile, issued_at));
    }

    pub(crate) fn forget_profile_written(&self, user: &UserId) {
        self.written_profiles.lock().remove(user);
    }
}

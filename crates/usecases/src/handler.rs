//! The entry point: checks a command's metadata and passes it to the service of its area.

use crate::accounts::service::AccountService;
use crate::admin::service::AdminService;
use crate::blocks::hidden::{HiddenReads, hidden_from};
use crate::blocks::service::BlockService;
use crate::caller::{Caller, Principal};
use crate::command::{Command, Reply};
use crate::conversations::service::ConversationService;
use crate::deadline::{self, STORE_DEADLINE};
use crate::delivery::DeliveryObserver;
use crate::files::FileService;
use crate::flow::{Flow, Urgency};
use crate::groups::service::GroupService;
use crate::limits::LARGE_EVENT;
use crate::messages::service::MessageService;
use crate::metadata::{Budget, Metadata};
use crate::ports::{Blocks, Directory, Messages, Ports, ProfileSource, StoreResult};
use crate::presence::last_seen::LastSeenWriter;
use crate::presence::service::PresenceService;
use crate::push::service::PushService;
use crate::read_budget::ReadBudget;
use crate::refusal::Refusal;
use crate::search::service::SearchService;
use crate::settings::{Identity, Settings};
use crate::shared::Shared;
use crate::throttle;
use lamplight_domain::conversation::{ConversationDetails, ConversationSummary};
use lamplight_domain::identity::{ConversationId, Generation, Profile, UserId};
use lamplight_domain::presence::Privacy;
use lamplight_domain::time::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How much later a refusal is answered to a caller who is refused too often.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Sizes of the tables of running work. Caches, which are bounded, are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSizes {
    /// Keys of the limiters.
    pub limits: usize,
    /// Typing notices.
    pub typing: usize,
    /// Delivered marks and last-seen times that are not written yet.
    pub marks: usize,
    /// Sessions that ended and that the store still has.
    pub ended: usize,
    /// Uploads with progress events.
    pub uploads: usize,
}

/// The use cases.
pub struct Handler {
    messages_store: Arc<dyn Messages>,
    blocks_store: Arc<dyn Blocks>,
    directory_store: Arc<dyn Directory>,
    hidden_reads: HiddenReads,
    settings: Settings,
    reads: ReadBudget,
    shared: Shared,
    last_seen: LastSeenWriter,
    presence: PresenceService,
    conversations: ConversationService,
    groups: GroupService,
    messages: MessageService,
    search: SearchService,
    blocks: BlockService,
    push: PushService,
    files: FileService,
    accounts: AccountService,
    admin: AdminService,
}

impl Handler {
    #[must_use]
    pub fn new(ports: &Ports, settings: Settings) -> Self {
        let shared = Shared::new(ports, &settings);
        Self {
            messages_store: Arc::clone(&ports.messages),
            blocks_store: Arc::clone(&ports.blocks),
            directory_store: Arc::clone(&ports.directory),
            hidden_reads: HiddenReads::default(),
            reads: ReadBudget::new(settings.quotas.reads, &ports.clock),
            presence: PresenceService::new(ports, &settings, &shared),
            conversations: ConversationService::new(ports, &settings, &shared),
            groups: GroupService::new(ports, &settings, &shared),
            messages: MessageService::new(ports, &shared, &settings),
            search: SearchService::new(ports, &shared),
            blocks: BlockService::new(ports, &settings, &shared),
            push: PushService::new(ports),
            files: FileService::new(ports, &shared),
            accounts: AccountService::new(ports, &settings, &shared),
            admin: AdminService::new(ports, &settings, &shared),
            last_seen: LastSeenWriter::new(ports),
            shared,
            settings,
        }
    }

    /// The store's generation. A transport reads it before it handles a command, and sends it with
    /// the reply.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.messages_store.generation()
    }

    #[must_use]
    pub fn identity(&self) -> Identity {
        self.settings.identity
    }

    /// Uploads and downloads, which are no commands: their bytes pass by the transport.
    #[must_use]
    pub fn files(&self) -> &FileService {
        &self.files
    }

    #[must_use]
    pub fn is_registration_open(&self) -> bool {
        self.settings.is_registration_open
    }

    /// Runs a command.
    ///
    /// A message gets its place in the log when the returned future is *first polled*: a transport
    /// that polls each request once, in the order of arrival, preserves that order, and may let the
    /// requests finish concurrently.
    ///
    /// # Errors
    /// A refusal. It changed nothing, except that after `unavailable` or `internal` the outcome is
    /// unknown.
    pub async fn handle(&self, caller: &Caller, command: Command) -> Result<Reply, Refusal> {
        let Metadata { scope, budget, .. } = command.metadata();
        self.shared.limits.admit(budget, caller)?;
        scope.check(caller, self.settings.identity)?;
        let user = caller.user().ok().cloned();
        if budget == Budget::Read {
            return Box::pin(self.read(caller, user, command)).await;
        }
        Flow::from(caller.address, user, Urgency::First)
            .run(self.dispatch(caller, command))
            .await
    }

    /// Waits until the caller's read budget admits the command, and charges it for the reply.
    async fn read(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        command: Command,
    ) -> Result<Reply, Refusal> {
        let is_service = caller.principal == Principal::Service;
        let admit = self.reads.admit(
            user.as_ref().filter(|_| !is_service),
            caller.address.filter(|_| !is_service),
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
            admitted.set_cost(reply.cost());
        }
        reply
    }

    /// The areas whose commands are rare are boxed: the future of every send and heartbeat would
    /// otherwise be as large as that of the largest command.
    async fn dispatch(&self, caller: &Caller, command: Command) -> Result<Reply, Refusal> {
        match command {
            Command::Presence(command) => self.presence.handle(caller, command).await,
            Command::Conversations(command) => {
                Box::pin(self.conversations.handle(caller, command)).await
            }
            Command::Groups(command) => Box::pin(self.groups.handle(caller, command)).await,
            Command::Messages(command) => self.messages.handle(caller, command).await,
            Command::Search(command) => Box::pin(self.search.handle(caller, command)).await,
            Command::Blocks(command) => Box::pin(self.blocks.handle(caller, command)).await,
            Command::Push(command) => Box::pin(self.push.handle(caller, command)).await,
            Command::Accounts(command) => Box::pin(self.accounts.handle(caller, command)).await,
            Command::Admin(command) => Box::pin(self.admin.handle(command)).await,
        }
    }
}

/// For authentication, before there is a command.
impl Handler {
    /// The user of a local session and when it expires, by the digest of its token.
    ///
    /// # Errors
    /// When the store fails; the log has the cause.
    pub async fn session(&self, digest: &str) -> Result<Option<(UserId, Timestamp)>, Refusal> {
        self.accounts.session(digest).await
    }

    /// Those of these digests that belong to no session in the store. At most a few hundred at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn without_session(&self, digests: &[String]) -> Result<Vec<String>, Refusal> {
        self.accounts.without_session(digests).await
    }

    /// Until when the tokens that the host application issued to these users are refused, if any are.
    /// At most a few hundred users at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tokens_ended_at(
        &self,
        users: &[UserId],
    ) -> Result<Vec<Option<Timestamp>>, Refusal> {
        self.accounts.tokens_ended_at(users).await
    }

    /// The digest that the store keeps of a local session's token.
    #[must_use]
    pub fn digest(&self, token: &str) -> String {
        self.accounts.digest(token)
    }

    /// Writes the profile in a token's claims, or a bare profile if the directory has none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ensure_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        issued_at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        self.shared
            .profiles
            .ensure_profile(profile, source, issued_at)
            .await
    }

    /// Whether a secret from this address may be compared at all.
    ///
    /// # Errors
    /// `rate_limited` after too many refused tokens from the address.
    pub fn may_try_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.shared.limits.may_try_token(address)
    }

    /// Counts a refused token, against guessing.
    ///
    /// # Errors
    /// `rate_limited` after too many refused tokens from the address.
    pub fn count_refused_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.shared.limits.refused_token(address)
    }

    /// Counts a refusal of a user, or of an address where there is no user. Returns how much later
    /// to answer, if the caller is refused too often.
    #[must_use]
    pub fn pause_after_refusal(&self, user: Option<&UserId>, address: IpAddr) -> Option<Duration> {
        self.shared
            .limits
            .refused(user, address)
            .err()
            .map(|_| REFUSED_PAUSE)
    }

    /// Counts a lookup that is no command: whose a token is.
    ///
    /// # Errors
    /// `rate_limited` after too many lookups.
    pub fn count_lookup(&self, caller: &Caller) -> Result<(), Refusal> {
        self.shared.limits.admit(Budget::Lookup, caller)
    }

    /// Counts an event of so many bytes, before it is decoded, if it is large. Returns the refusal,
    /// and how much later the next event of its socket is to be handled, if the address sends too
    /// much in large events.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn count_event(&self, address: IpAddr, bytes: usize) -> Result<(), (Refusal, Duration)> {
        let limits = &self.shared.limits;
        limits.event(address, bytes).map_err(|refusal| {
            let units = u32::try_from(bytes / LARGE_EVENT).unwrap_or(u32::MAX);
            (refusal, REFUSED_PAUSE.saturating_mul(units))
        })
    }

    /// Counts a request of an address, of any kind.
    ///
    /// # Errors
    /// `rate_limited` after too many requests.
    pub fn count_request(&self, address: IpAddr) -> Result<(), Refusal> {
        self.shared.limits.request(address)
    }

    /// Whether a request beyond that limit is admitted all the same. `is_key` compares its token with
    /// the server key; it is not called after too many other tokens.
    pub fn is_exempt(&self, address: IpAddr, is_key: impl FnOnce() -> bool) -> bool {
        self.shared.limits.is_exempt(address, is_key)
    }
}

/// For delivery.
impl Handler {
    /// A conversation as one of its members sees it, without what is the same for all. `None` for others.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn summary_for(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Option<ConversationSummary>, Refusal> {
        self.conversations.summary(user, conversation).await
    }

    /// The users who look offline to each of these because of a block, each since a version.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn hidden_from(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, HashMap<UserId, u64>>, Refusal> {
        hidden_from(&*self.blocks_store, self.settings.identity, users).await
    }

    /// The privacy settings of these users, with their revisions.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn privacy_of(&self, users: &[UserId]) -> Result<Vec<(Privacy, u64)>, Refusal> {
        deadline::store(self.directory_store.privacy_of(users)).await
    }

    /// The same for one user. Those who come at the same time share their reads.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn hidden_from_one(&self, user: &UserId) -> Result<HashMap<UserId, u64>, Refusal> {
        let identity = self.settings.identity;
        self.hidden_reads
            .of(&*self.blocks_store, identity, user)
            .await
    }

    /// These are no members of a conversation any more: they do not hear that somebody stops typing
    /// there.
    pub fn members_left(&self, conversation: &ConversationId, users: &[UserId]) {
        self.shared.typing.left(conversation, users);
    }

    /// Handles a block between these users. See [`Event::TypingEnds`].
    ///
    /// [`Event::TypingEnds`]: lamplight_domain::event::Event::TypingEnds
    pub fn end_typing(&self, between: &[UserId; 2], is_published: bool) {
        let [one, other] = between;
        self.shared.typing.end_between(one, other, is_published);
    }

    /// The data of a conversation that is the same for all members; `None` if it does not exist.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn details(
        &self,
        conversation: &ConversationId,
    ) -> Result<Option<ConversationDetails>, Refusal> {
        self.conversations.details(conversation).await
    }

    /// Receives which messages were written to sockets.
    #[must_use]
    pub fn delivery_observer(&self) -> Arc<dyn DeliveryObserver> {
        Arc::clone(&self.shared.marks) as _
    }
}

/// Background work.
impl Handler {
    /// Writes what the components collect and ends what expires, for as long as it is polled. A
    /// store that stalls holds up none of the timers.
    pub async fn run_background(&self) {
        tokio::join!(
            self.last_seen.run(),
            self.shared.marks.run(),
            self.accounts.ended().run(),
            self.accounts.run_deletions(),
            self.files.run_progress(),
            self.run_timers(),
        );
    }

    async fn run_timers(&self) {
        let mut half_second = tokio::time::interval(Duration::from_millis(500));
        let mut minute = tokio::time::interval(Duration::from_secs(60));
        half_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = half_second.tick() => self.expire_typing(),
                _ = minute.tick() => {
                    self.forget_idle();
                    throttle::report();
                }
            }
        }
    }

    /// Writes all that the components have collected. For a shutdown.
    pub async fn flush(&self) {
        self.last_seen.flush().await;
        self.shared.marks.flush().await;
    }

    /// Ends typing notices that are too old. [`Handler::run_background`] calls it.
    pub fn expire_typing(&self) {
        self.shared.typing.expire();
    }

    /// Learns, for a bounded time, what has to be known before the first caller is served: which
    /// sessions ended that the store still has.
    pub async fn warm_up(&self) {
        self.accounts.ended().exchange().await;
    }

    /// Tries once to end in the store the sessions that ended in memory.
    /// [`Handler::run_background`] repeats it.
    pub async fn write_ended(&self) {
        self.accounts.ended().write().await;
    }

    /// Finishes the deletions of accounts that no other node works at. [`Handler::run_background`]
    /// calls it.
    ///
    /// # Errors
    /// When the store fails; it is repeated.
    pub async fn finish_deletions(&self) -> StoreResult<()> {
        self.accounts.finish_deletions().await
    }

    /// Drops the limiters' keys that have their whole allowance back.
    /// [`Handler::run_background`] calls it.
    pub fn forget_idle(&self) {
        self.shared.limits.forget_idle();
        self.reads.forget_idle();
    }

    /// Sizes of the tables of what is under way; all zero when nothing is.
    #[must_use]
    pub fn table_sizes(&self) -> TableSizes {
        TableSizes {
            limits: self.shared.limits.len() + self.reads.len(),
            typing: self.shared.typing.len(),
            marks: self.shared.marks.len() + self.last_seen.queue().len(),
            ended: self.accounts.ended().len(),
            uploads: self.files.uploads(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_future_of_a_command_stays_small() {
        fn size<F>(_: impl Fn(&'static Handler, &'static Caller, Command) -> F) -> usize {
            size_of::<F>()
        }
        // The transport allocates it for every command: it was 3,400 bytes when all areas were in it.
        let size = size(Handler::handle);
        assert!(size <= 1_504, "{size}");
    }
}

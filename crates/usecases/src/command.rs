//! What can be asked, by whom, and what is answered.

use crate::ports::{History, Page, SyncPage, SyncPosition, WatchedPresence};
use crate::refusal::Refusal;
use lamplight_domain::conversation::Conversation;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::{ConnectionId, ConversationId, Profile, UserId};
use lamplight_domain::message::SendKey;
use lamplight_domain::presence::{Activity, OfflineReason, Presence, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_domain::time::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// Who is calling, as the wire proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// No credentials, or ones that were not verified.
    Anonymous,
    /// A user with a verified token or cookie.
    User(UserId),
    /// A user id that the client named and nothing verified: `AUTH=open` only.
    UnverifiedUser(UserId),
    /// The host application, authenticated by the server key.
    Service,
}

/// Who is calling, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The socket: the one it came by, or over HTTP the one that the caller names as their own.
    pub session: Option<ConnectionId>,
    /// The address it came from.
    pub address: Option<IpAddr>,
    /// The digest of the local session's token, if that is what proved it.
    pub credential: Option<Arc<str>>,
}

impl Caller {
    /// The user, if it is one.
    ///
    /// # Errors
    /// `unauthenticated` for nobody, `forbidden` for the host application, which has no
    /// conversations.
    pub fn user(&self) -> Result<&UserId, Refusal> {
        match &self.principal {
            Principal::User(user) | Principal::UnverifiedUser(user) => Ok(user),
            Principal::Anonymous => Err(Refusal::unauthenticated()),
            Principal::Service => Err(Refusal::new(
                crate::Code::Forbidden,
                "The server key is not a user.",
            )),
        }
    }

    /// The user and the socket, for what only a socket can ask.
    ///
    /// # Errors
    /// As [`Caller::user`], and `invalid` where there is no socket.
    pub fn on_socket(&self) -> Result<(&UserId, &ConnectionId), Refusal> {
        let user = self.user()?;
        let session = self
            .session
            .as_ref()
            .ok_or_else(|| Refusal::invalid("This can be asked over a socket only."))?;
        Ok((user, session))
    }
}

/// Something a caller wants done.
#[derive(Clone, Debug)]
pub enum Command {
    /// Announces the user of a socket.
    Join {
        /// Who they say they are.
        user: UserId,
        /// How much of the roster they want.
        mode: Mode,
        /// What they say of themselves; taken for it only where their word is.
        name: Option<Arc<str>>,
        /// The same.
        avatar_url: Option<Arc<str>>,
    },
    /// The heartbeat.
    Activity {
        /// The person is at the device.
        active: bool,
    },
    /// The socket's connection is back on a socket that announced its user before: nothing of it
    /// was lost but its place among those who are in.
    Resume,
    /// The socket is gone.
    Leave {
        /// How.
        reason: OfflineReason,
    },
    /// The person signed out on this socket's device.
    SignOut,
    /// The manual status.
    SetStatus(StatusOverride),
    /// What the person is doing.
    SetActivity(Option<Activity>),
    /// Follow these users.
    Watch(Vec<UserId>),
    /// Follow them no longer.
    Unwatch(Vec<UserId>),
    /// The user is looking at a conversation.
    View(ConversationId),
    /// The user looks away from it.
    Unview(ConversationId),
    /// Send a message.
    Send {
        /// Where.
        conversation: ConversationId,
        /// What, unchecked.
        content: String,
        /// What makes it repeatable.
        key: Option<SendKey>,
        /// What is echoed to the sender alone.
        temp_id: Option<Arc<str>>,
    },
    /// Began or stopped typing.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Which of the two.
        is_typing: bool,
    },
    /// Moves the read mark.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// To where.
        seq: u64,
    },
    /// What did I miss?
    Sync {
        /// The newest entry that the caller has of each conversation.
        have: Vec<SyncPosition>,
        /// What was named and could not be read, each with what is wrong with it: answered beside
        /// the others.
        refused: Vec<(Arc<str>, Refusal)>,
    },
    /// Who is in?
    ListOnline {
        /// Leave this one out.
        exclude: Option<UserId>,
        /// Only how many.
        count_only: bool,
        /// The page.
        cursor: Option<String>,
        /// Its length.
        limit: usize,
    },
    /// The caller's conversations.
    ListConversations {
        /// The page.
        cursor: Option<String>,
        /// Its length.
        limit: usize,
    },
    /// The conversation with someone, made if there is none.
    OpenConversation(UserId),
    /// The host application brings a conversation in.
    PutConversation {
        /// Under its own id.
        conversation: ConversationId,
        /// With these in it.
        members: Vec<UserId>,
    },
    /// A part of a log.
    History {
        /// Which log.
        conversation: ConversationId,
        /// Which part.
        range: crate::ports::Range,
        /// Its length.
        limit: usize,
    },
    /// The directory.
    ListUsers {
        /// Part of a name or an id.
        query: String,
        /// The page.
        cursor: Option<String>,
        /// Its length.
        limit: usize,
    },
    /// The host application writes a profile.
    PutProfile(Profile),
    /// Makes a local account.
    Register {
        /// The name to sign in with.
        username: String,
        /// The password.
        password: String,
        /// The display name; the username where none is given.
        name: Option<String>,
    },
    /// Signs in to a local account.
    Login {
        /// The name to sign in with.
        username: String,
        /// The password.
        password: String,
    },
    /// Ends the session that the caller's credential stands for.
    Logout,
    /// Ends every session of the caller's account.
    LogoutAll,
    /// Gives the caller's account another password.
    ChangePassword {
        /// The password in force.
        current: String,
        /// The one to come.
        next: String,
    },
    /// Changes what the caller's account shows of its owner; what is left out stays.
    UpdateAccount {
        /// The display name.
        name: Option<Arc<str>>,
        /// The picture; `Some(None)` takes it away.
        avatar_url: Option<Option<Arc<str>>>,
    },
    /// Who am I?
    WhoAmI,
}

/// What a command counts against. There is none without: this is where a new one says how often it
/// may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// As much as somebody asks for: counted by `LIMIT_READS`, charged by what it was answered, a
    /// few at a time, and after what is more urgent.
    Read,
    /// One small look: counted by `LIMIT_READS`.
    Lookup,
    /// One small write: counted with the other writes of its user.
    Write,
    /// A write that everybody is told of: counted as one, and by a limit on these.
    Change,
    /// By limits that its use case asks itself.
    Own,
    /// Nothing: it needs the server key.
    Service,
    /// Nothing: no client asks for it, or no more than once.
    Internal,
}

impl Command {
    /// What it counts against.
    #[must_use]
    pub fn budget(&self) -> Budget {
        match self {
            Self::Watch(_)
            | Self::Sync { .. }
            | Self::ListOnline { .. }
            | Self::ListConversations { .. }
            | Self::History { .. }
            | Self::ListUsers { .. } => Budget::Read,
            Self::Activity { .. }
            | Self::Unwatch(_)
            | Self::View(_)
            | Self::Unview(_)
            | Self::WhoAmI => Budget::Lookup,
            Self::MarkRead { .. }
            | Self::OpenConversation(_)
            | Self::UpdateAccount { .. }
            | Self::LogoutAll => Budget::Write,
            Self::SetStatus(_) | Self::SetActivity(_) => Budget::Change,
            // The socket, the user, the account or the address.
            Self::Join { .. }
            | Self::Send { .. }
            | Self::Typing { .. }
            | Self::Register { .. }
            | Self::Login { .. }
            | Self::ChangePassword { .. } => Budget::Own,
            Self::PutConversation { .. } | Self::PutProfile(_) => Budget::Service,
            // A session ends once.
            Self::Resume | Self::Leave { .. } | Self::SignOut | Self::Logout => Budget::Internal,
        }
    }
}

/// What a caller is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Done; there is nothing to say.
    Done,
    /// Announced.
    Joined {
        /// The user.
        user: Profile,
        /// The socket's session.
        session: ConnectionId,
        /// The roster mode in force.
        mode: Mode,
        /// The manual status in force, which the user's other devices may have set.
        chosen: StatusOverride,
    },
    /// The manual status in force.
    Status(StatusOverride),
    /// The states of the users watched.
    Watching {
        /// With when those who are out were last seen.
        users: Vec<(WatchedPresence, Option<Timestamp>)>,
        /// Those in, whose states would make the answer too long: they follow as changes.
        later: Vec<UserId>,
    },
    /// Sent.
    Sent {
        /// The entry in the log.
        message: Arc<Entry>,
        /// It was there already.
        duplicate: bool,
        /// The sender's own id for it.
        temp_id: Option<Arc<str>>,
    },
    /// The read mark in force.
    Read {
        /// Where.
        conversation: ConversationId,
        /// The mark.
        read_seq: u64,
    },
    /// What was missed.
    Synced {
        /// By conversation, in the order asked; `None` where there is none for the caller.
        conversations: Vec<(ConversationId, Option<SyncPage>)>,
        /// What could not be asked for, as it was named, and why.
        refused: Vec<(Arc<str>, Refusal)>,
        /// Conversations the caller did not name.
        added: Vec<Conversation>,
    },
    /// Who is in.
    Online {
        /// This page of them.
        users: Vec<Arc<Presence>>,
        /// How many in all.
        count: usize,
        /// Where the next page begins.
        next: Option<String>,
        /// This node's own view only.
        degraded: bool,
    },
    /// How many are in.
    OnlineCount {
        /// How many.
        count: usize,
        /// This node's own view only.
        degraded: bool,
    },
    /// The caller's conversations.
    Conversations(Page<Conversation>),
    /// One conversation.
    Conversation {
        /// As the caller sees it.
        conversation: Conversation,
        /// It was made just now.
        created: bool,
    },
    /// A conversation was brought in.
    Put,
    /// A part of a log.
    History(History),
    /// A page of the directory.
    Users(Page<Profile>),
    /// A profile.
    User(Profile),
    /// Signed in.
    SignedIn {
        /// As whom.
        user: Profile,
        /// The session's token.
        token: String,
        /// When it ends.
        expires: Timestamp,
    },
}

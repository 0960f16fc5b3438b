//! The JSON shapes that the server sends. Each borrows its data and is serialized once.

pub use crate::entry::{
    DeleteEntry, DetailsEntry, EditEntry, Entry, Hidden, MembersEntry, Message, PinEntry, Quote,
    Reaction, ReactionEntry, SharedFile, role_name,
};
pub use crate::file::ConversationFile;
pub use crate::search::SearchHit;
use crate::time;
use lamplight_domain::conversation as model;
use lamplight_domain::identity::Profile;
use lamplight_domain::presence::{
    self, ManualStatus, Offline, OfflineReason, Status, StatusOverride,
};
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::Refusal as Refused;
use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User<'a> {
    pub id: &'a str,
    /// Empty where the account was deleted.
    pub name: &'a str,
    pub avatar_url: Option<&'a str>,
    /// The account was deleted: there is no name and no picture.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, type = "true")]
    #[schema(required = false)]
    pub deleted: bool,
}

impl<'a> From<&'a Profile> for User<'a> {
    fn from(profile: &'a Profile) -> Self {
        Self {
            id: profile.id.as_str(),
            name: &profile.name,
            avatar_url: profile.avatar_url.as_deref(),
            deleted: profile.is_deleted(),
        }
    }
}

/// A user's privacy settings. A user who hides something does not see it of others.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountSettings {
    /// Who sees when the user was last seen.
    #[ts(type = "\"everyone\" | \"nobody\"")]
    pub last_seen: &'static str,
    /// Whether others see how far the user has read.
    pub receipts: bool,
}

impl From<&presence::Privacy> for AccountSettings {
    fn from(privacy: &presence::Privacy) -> Self {
        Self {
            last_seen: if privacy.hides_last_seen {
                "nobody"
            } else {
                "everyone"
            },
            receipts: !privacy.hides_reads,
        }
    }
}

#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity<'a> {
    /// `in_call`, `sharing_file`, or a word that the application chooses.
    pub kind: &'a str,
    /// A short text to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub conversation_id: Option<&'a str>,
}

impl<'a> From<&'a presence::Activity> for Activity<'a> {
    fn from(activity: &'a presence::Activity) -> Self {
        Self {
            kind: &activity.kind,
            label: activity.label.as_deref(),
            conversation_id: activity
                .conversation
                .as_ref()
                .map(|conversation| conversation.as_str()),
        }
    }
}

/// An online user.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Presence<'a> {
    pub user_id: &'a str,
    pub user: User<'a>,
    #[ts(type = "\"online\" | \"away\" | \"busy\"")]
    pub status: &'static str,
    /// Status text that the user wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub text: Option<&'a str>,
    /// On any device.
    pub last_active_at: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<Activity<'a>>>")]
    pub activities: Vec<Activity<'a>>,
    /// Grows with every change of this user.
    pub version: u64,
}

impl<'a> From<&'a presence::Presence> for Presence<'a> {
    fn from(shown: &'a presence::Presence) -> Self {
        Self {
            user_id: shown.profile.id.as_str(),
            user: (&shown.profile).into(),
            status: match shown.status {
                Status::Online => "online",
                Status::Away => "away",
                Status::Busy => "busy",
            },
            text: shown.text.as_deref(),
            last_active_at: time::format(shown.last_active_at),
            activities: shown.activities.iter().map(Into::into).collect(),
            version: shown.version,
        }
    }
}

/// `user_offline`.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOffline<'a> {
    pub user_id: &'a str,
    pub last_seen_at: Option<String>,
    #[ts(type = "\"closed\" | \"timeout\" | \"node_lost\" | \"signed_out\"")]
    pub reason: &'static str,
    /// Newer than every earlier version of this user.
    pub version: u64,
}

impl<'a> From<&'a Offline> for UserOffline<'a> {
    fn from(absence: &'a Offline) -> Self {
        Self {
            user_id: absence.user.as_str(),
            last_seen_at: absence.last_seen_at.map(time::format),
            reason: match absence.reason {
                OfflineReason::Closed => "closed",
                OfflineReason::Timeout => "timeout",
                OfflineReason::NodeLost => "node_lost",
                OfflineReason::SignedOut => "signed_out",
            },
            version: absence.version,
        }
    }
}

/// One of `presence_changes`.
#[derive(Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PresenceChange<'a> {
    /// The user came online.
    Online(Presence<'a>),
    /// Status, profile or activities changed.
    Updated(Presence<'a>),
    /// The user went offline.
    Offline(UserOffline<'a>),
}

impl<'a> From<&'a presence::Change> for PresenceChange<'a> {
    fn from(change: &'a presence::Change) -> Self {
        match change {
            presence::Change::Online(shown) => Self::Online(shown.as_ref().into()),
            presence::Change::Updated(shown) => Self::Updated(shown.as_ref().into()),
            presence::Change::Offline(absence) => Self::Offline(absence.into()),
        }
    }
}

/// `presence_changes`.
#[derive(Serialize, TS)]
pub struct PresenceChanges<'a> {
    /// In the order in which they happened.
    pub changes: Vec<PresenceChange<'a>>,
    /// The version of the newest change of the roster.
    pub version: u64,
    /// The number of all online users, if the list is shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub count: Option<usize>,
}

/// `online_users`.
#[derive(Serialize, TS)]
pub struct OnlineUsers<'a> {
    /// In the order in which they came online.
    pub users: Vec<Presence<'a>>,
    /// The number of all online users.
    pub count: usize,
    /// `users` has fewer than `count`.
    pub truncated: bool,
    /// The version of the newest change that the list holds.
    pub version: u64,
}

/// The state of a watched user.
#[derive(Serialize, TS)]
#[serde(untagged)]
pub enum WatchedState<'a> {
    In(Presence<'a>),
    Out(WatchedOffline<'a>),
}

/// A watched user who is offline.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct WatchedOffline<'a> {
    pub user_id: &'a str,
    /// Always `offline`.
    #[ts(type = "\"offline\"")]
    pub status: &'static str,
    pub last_seen_at: Option<String>,
    /// Newer than every earlier change of this user, older than every later one.
    pub version: u64,
}

/// A conversation as its receiver sees it.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversation<'a> {
    pub id: &'a str,
    /// `direct` for two people, `group` otherwise.
    #[ts(type = "\"direct\" | \"group\"")]
    pub kind: &'static str,
    /// Of a group, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub name: Option<&'a str>,
    /// Of a group, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub avatar_url: Option<&'a str>,
    /// Of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub member_count: Option<u64>,
    /// The receiver's role in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "\"owner\" | \"admin\" | \"member\"")]
    pub role: Option<&'static str>,
    /// In the order of their ids: the first 100.
    pub members: Vec<User<'a>>,
    /// The newest message that is not deleted and that the receiver may see, without its reactions.
    pub last_message: Option<Message<'a>>,
    /// Messages by others past the receiver's read mark that are not deleted.
    pub unread: u64,
    /// The `seq` of the newest entry; 0 if there is none.
    pub head_seq: u64,
    /// The receiver's read mark.
    pub read_seq: u64,
    /// The receiver has muted the conversation until this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub muted_until: Option<String>,
    /// The receiver has archived it. A new message ends that, unless the conversation is muted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub archived: Option<bool>,
    /// The receiver has pinned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub pinned: Option<bool>,
    pub created_at: String,
}

impl<'a> From<&'a model::Conversation> for Conversation<'a> {
    fn from(conversation: &'a model::Conversation) -> Self {
        let group = conversation.group.as_ref();
        Self {
            id: conversation.id.as_str(),
            kind: group.map_or("direct", |_| "group"),
            name: group.and_then(|group| group.name.as_deref()),
            avatar_url: group.and_then(|group| group.avatar_url.as_deref()),
            member_count: group.map(|group| group.member_count),
            role: group.map(|_| role_name(conversation.role)),
            members: conversation.members.iter().map(Into::into).collect(),
            last_message: conversation.last_message.as_ref().and_then(Message::now),
            unread: conversation.unread,
            head_seq: conversation.head_seq,
            read_seq: conversation.read_seq,
            muted_until: conversation.settings.muted_until.map(time::format),
            archived: conversation.settings.archived.then_some(true),
            pinned: conversation.settings.pinned.then_some(true),
            created_at: time::format(conversation.created_at),
        }
    }
}

/// A member of a conversation.
#[derive(Serialize, TS, ToSchema)]
pub struct Member<'a> {
    #[serde(flatten)]
    pub user: User<'a>,
    #[ts(type = "\"owner\" | \"admin\" | \"member\"")]
    pub role: &'static str,
}

impl<'a> From<&'a model::Member> for Member<'a> {
    fn from(member: &'a model::Member) -> Self {
        Self {
            user: (&member.profile).into(),
            role: role_name(member.role),
        }
    }
}

/// The marks of a member in a conversation that the context names.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Marks<'a> {
    pub user_id: &'a str,
    /// Written to a socket of the member, or fetched. Read implies delivered.
    pub delivered_seq: u64,
    pub read_seq: u64,
}

impl<'a> From<&'a model::Receipt> for Marks<'a> {
    fn from(receipt: &'a model::Receipt) -> Self {
        Self {
            user_id: receipt.user.as_str(),
            delivered_seq: receipt.delivered_seq.max(receipt.read_seq),
            read_seq: receipt.read_seq,
        }
    }
}

/// `receipt`.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Receipt<'a> {
    pub conversation_id: &'a str,
    #[serde(flatten)]
    pub marks: Marks<'a>,
}

/// `typing`.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Typing<'a> {
    pub conversation_id: &'a str,
    pub user_id: &'a str,
    pub is_typing: bool,
    /// The end, unless another `typing` arrives earlier.
    pub expires_at: String,
}

/// `file_progress`: how far an upload of another member is.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct FileProgress<'a> {
    pub conversation_id: &'a str,
    pub file_id: &'a str,
    pub user_id: &'a str,
    pub name: &'a str,
    pub size: u64,
    pub received: u64,
    /// The last one is `ready`, `failed` or `blocked`. After `failed` the upload may go on.
    #[ts(type = "\"uploading\" | \"processing\" | \"ready\" | \"failed\" | \"blocked\"")]
    pub state: &'static str,
}

/// A manual status.
#[derive(Serialize, TS)]
pub struct ChosenStatus<'a> {
    #[ts(type = "\"online\" | \"away\" | \"busy\" | \"invisible\"")]
    pub status: &'static str,
    /// Status text that the user wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub text: Option<&'a str>,
    /// The end of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub until: Option<String>,
}

impl<'a> From<&'a StatusOverride> for ChosenStatus<'a> {
    fn from(chosen: &'a StatusOverride) -> Self {
        Self {
            status: match chosen.status {
                ManualStatus::Online => "online",
                ManualStatus::Away => "away",
                ManualStatus::Busy => "busy",
                ManualStatus::Invisible => "invisible",
            },
            text: chosen.text.as_deref(),
            until: chosen.until.map(time::format),
        }
    }
}

/// The answer to a request that failed.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal<'a> {
    /// Always `false`.
    #[ts(type = "false")]
    pub success: bool,
    /// A sentence a person can read.
    pub error: &'a str,
    /// A stable code.
    #[ts(type = "RefusalCode")]
    pub code: &'static str,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// How long to wait, if waiting helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub retry_after_ms: Option<u64>,
}

impl<'a> From<&'a Refused> for Refusal<'a> {
    fn from(refused: &'a Refused) -> Self {
        Self {
            success: false,
            error: &refused.message,
            code: refused.code.as_str(),
            retryable: refused.code.is_retryable(),
            retry_after_ms: refused
                .retry_after
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// One conversation in the answer to `sync`.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SyncPage<'a> {
    /// The entries after what the client has, oldest first; with `reset` the newest ones.
    pub entries: Vec<Entry<'a>>,
    /// The client's entry is not in this log, because the store's data went back in time: discard
    /// what you hold of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub reset: bool,
    pub head_seq: u64,
    /// The receiver's read mark.
    pub read_seq: u64,
    pub receipts: Vec<Marks<'a>>,
    /// The oldest `seq` that the store has.
    pub first_seq: u64,
    /// There are more entries.
    pub has_more: bool,
}

impl<'a> From<&'a lamplight_usecases::ports::SyncPage> for SyncPage<'a> {
    fn from(page: &'a lamplight_usecases::ports::SyncPage) -> Self {
        Self {
            entries: page.entries.iter().map(Into::into).collect(),
            reset: page.reset,
            head_seq: page.head_seq,
            read_seq: page.read_seq,
            receipts: page.receipts.iter().map(Into::into).collect(),
            first_seq: page.first_seq,
            has_more: page.has_more,
        }
    }
}

#[must_use]
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Full => "full",
        Mode::Diff => "diff",
        Mode::Watch => "watch",
        Mode::None => "none",
    }
}

//! The JSON shapes of a log's entries and of messages.

use crate::time;
use lamplight_domain::entry::{self, EntryKind, MessageAction};
use lamplight_domain::file::Attachment;
use lamplight_domain::fold;
use lamplight_domain::identity::UserId;
use lamplight_domain::message::Content;
use lamplight_domain::permission::Role;
use serde::Serialize;
use std::collections::BTreeMap;
use ts_rs::TS;
use utoipa::ToSchema;

/// The schemas of `kind`, each with one value, which distinguish the kinds of entries.
mod kind {
    use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

    macro_rules! kinds {
        ($($name:ident)*) => {$(
            pub(super) fn $name() -> Object {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some([stringify!($name)]))
                    .build()
            }
        )*};
    }
    kinds!(message edit delete reaction pin members details hidden);
}

/// An entry of a log. A client that meets a `kind` that it does not know moves its position past
/// the entry and shows nothing.
#[derive(Serialize, TS, ToSchema)]
#[serde(untagged)]
pub enum Entry<'a> {
    Message(Message<'a>),
    Edit(EditEntry<'a>),
    Delete(DeleteEntry<'a>),
    Reaction(ReactionEntry<'a>),
    Pin(PinEntry<'a>),
    Members(MembersEntry<'a>),
    Details(DetailsEntry<'a>),
    /// Stands for an entry that cannot be shown.
    Hidden(Hidden<'a>),
}

impl<'a> From<&'a entry::Entry> for Entry<'a> {
    fn from(entry: &'a entry::Entry) -> Self {
        match &entry.kind {
            EntryKind::Message { content, extras } => {
                Self::Message(Message::sent(entry, content, extras.as_deref()))
            }
            EntryKind::Change(change) => Self::change(entry, change),
            EntryKind::Members(change) => Self::Members(MembersEntry::of(entry, change)),
            EntryKind::Details(change) => Self::Details(DetailsEntry::of(entry, change)),
            EntryKind::Hidden | EntryKind::Unknown => Self::Hidden(Hidden::of(entry)),
        }
    }
}

impl<'a> Entry<'a> {
    fn change(entry: &'a entry::Entry, change: &'a entry::Change) -> Self {
        let about = ChangeFields {
            id: entry.id.as_str(),
            conversation_id: entry.conversation.as_str(),
            seq: entry.seq,
            sender_id: entry.sender.as_str(),
            client_message_id: entry.client_message_id.as_deref(),
            created_at: time::format(entry.created_at),
            message_id: change.message.as_str(),
            message_seq: change.message_seq,
        };
        match &change.action {
            MessageAction::Edit { content, mentions } => Self::Edit(EditEntry {
                about,
                kind: "edit",
                content: content.as_str(),
                mentions: ids(mentions),
            }),
            MessageAction::Delete => Self::Delete(DeleteEntry {
                about,
                kind: "delete",
            }),
            MessageAction::React { emoji, added } => Self::Reaction(ReactionEntry {
                about,
                kind: "reaction",
                emoji: emoji.as_str(),
                added: *added,
            }),
            MessageAction::Pin { pinned } => Self::Pin(PinEntry {
                about,
                kind: "pin",
                pinned: *pinned,
            }),
        }
    }
}

/// The fields of every entry that changes a message.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFields<'a> {
    /// Unique over all conversations.
    pub id: &'a str,
    pub conversation_id: &'a str,
    /// Position in the log, from 1.
    pub seq: u64,
    pub sender_id: &'a str,
    /// The id that the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub client_message_id: Option<&'a str>,
    /// When the server accepted it.
    pub created_at: String,
    /// The message that it changes.
    pub message_id: &'a str,
    /// The position of that message.
    pub message_seq: u64,
}

/// A new text of a message.
#[derive(Serialize, TS, ToSchema)]
pub struct EditEntry<'a> {
    #[serde(flatten)]
    pub about: ChangeFields<'a>,
    /// Always `edit`.
    #[ts(type = "\"edit\"")]
    #[schema(schema_with = kind::edit)]
    pub kind: &'static str,
    /// As typed. Empty once the message is deleted.
    pub content: &'a str,
    /// The members who are mentioned from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub mentions: Option<Vec<&'a str>>,
}

/// The deletion of a message.
#[derive(Serialize, TS, ToSchema)]
pub struct DeleteEntry<'a> {
    #[serde(flatten)]
    pub about: ChangeFields<'a>,
    /// Always `delete`.
    #[ts(type = "\"delete\"")]
    #[schema(schema_with = kind::delete)]
    pub kind: &'static str,
}

/// A reaction to a message.
#[derive(Serialize, TS, ToSchema)]
pub struct ReactionEntry<'a> {
    #[serde(flatten)]
    pub about: ChangeFields<'a>,
    /// Always `reaction`.
    #[ts(type = "\"reaction\"")]
    #[schema(schema_with = kind::reaction)]
    pub kind: &'static str,
    pub emoji: &'a str,
    /// Whether the sender adds the reaction or takes it back.
    pub added: bool,
}

/// A message is pinned, or no longer.
#[derive(Serialize, TS, ToSchema)]
pub struct PinEntry<'a> {
    #[serde(flatten)]
    pub about: ChangeFields<'a>,
    /// Always `pin`.
    #[ts(type = "\"pin\"")]
    #[schema(schema_with = kind::pin)]
    pub kind: &'static str,
    pub pinned: bool,
}

/// People come to the conversation, leave it, or get other roles.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MembersEntry<'a> {
    /// Unique over all conversations.
    pub id: &'a str,
    /// Always `members`.
    #[ts(type = "\"members\"")]
    #[schema(schema_with = kind::members)]
    pub kind: &'static str,
    pub conversation_id: &'a str,
    /// Position in the log, from 1.
    pub seq: u64,
    /// `null` if the host application wrote it.
    pub sender_id: Option<&'a str>,
    /// The id that the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub client_message_id: Option<&'a str>,
    /// When the server accepted it.
    pub created_at: String,
    pub added: Vec<&'a str>,
    /// For each of them this is the last entry.
    pub removed: Vec<&'a str>,
    /// New roles by user id; who is added is a member otherwise.
    #[ts(type = "Record<string, \"owner\" | \"admin\" | \"member\">")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub roles: BTreeMap<&'a str, &'static str>,
}

impl<'a> MembersEntry<'a> {
    fn of(entry: &'a entry::Entry, change: &'a entry::MembersChange) -> Self {
        let roles = change.roles.iter();
        Self {
            id: entry.id.as_str(),
            kind: "members",
            conversation_id: entry.conversation.as_str(),
            seq: entry.seq,
            sender_id: entry.author().map(UserId::as_str),
            client_message_id: entry.client_message_id.as_deref(),
            created_at: time::format(entry.created_at),
            added: change.added.iter().map(UserId::as_str).collect(),
            removed: change.removed.iter().map(UserId::as_str).collect(),
            roles: roles
                .map(|(user, role)| (user.as_str(), role_name(*role)))
                .collect(),
        }
    }
}

#[must_use]
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// A change of a group's name or picture. Unchanged fields are left out.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetailsEntry<'a> {
    /// Unique over all conversations.
    pub id: &'a str,
    /// Always `details`.
    #[ts(type = "\"details\"")]
    #[schema(schema_with = kind::details)]
    pub kind: &'static str,
    pub conversation_id: &'a str,
    /// Position in the log, from 1.
    pub seq: u64,
    /// `null` if the host application wrote it.
    pub sender_id: Option<&'a str>,
    /// The id that the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub client_message_id: Option<&'a str>,
    /// When the server accepted it.
    pub created_at: String,
    /// The new name; `null` if it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string | null")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Option<&'a str>>,
    /// The URL of the new picture; `null` if it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string | null")]
    #[schema(value_type = Option<String>)]
    pub avatar_url: Option<Option<&'a str>>,
}

impl<'a> DetailsEntry<'a> {
    fn of(entry: &'a entry::Entry, change: &'a entry::DetailsChange) -> Self {
        Self {
            id: entry.id.as_str(),
            kind: "details",
            conversation_id: entry.conversation.as_str(),
            seq: entry.seq,
            sender_id: entry.author().map(UserId::as_str),
            client_message_id: entry.client_message_id.as_deref(),
            created_at: time::format(entry.created_at),
            name: change.name.as_ref().map(|name| name.as_deref()),
            avatar_url: change.avatar_url.as_ref().map(|url| url.as_deref()),
        }
    }
}

/// An entry that keeps its position in the log and shows nothing.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hidden<'a> {
    /// Unique over all conversations.
    pub id: &'a str,
    /// Always `hidden`.
    #[ts(type = "\"hidden\"")]
    #[schema(schema_with = kind::hidden)]
    pub kind: &'static str,
    pub conversation_id: &'a str,
    /// Position in the log, from 1.
    pub seq: u64,
    /// `null` if the host application wrote it.
    pub sender_id: Option<&'a str>,
    /// When the server accepted it.
    pub created_at: String,
}

impl<'a> Hidden<'a> {
    fn of(entry: &'a entry::Entry) -> Self {
        Self {
            id: entry.id.as_str(),
            kind: "hidden",
            conversation_id: entry.conversation.as_str(),
            seq: entry.seq,
            sender_id: entry.author().map(UserId::as_str),
            created_at: time::format(entry.created_at),
        }
    }
}

/// A message. As an entry of a log it is as it was sent, and empty once it is deleted. In history,
/// in `lastMessage` and in the answer to a send it is as it is now.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message<'a> {
    /// Unique over all conversations.
    pub id: &'a str,
    /// Always `message`.
    #[ts(type = "\"message\"")]
    #[schema(schema_with = kind::message)]
    pub kind: &'static str,
    pub conversation_id: &'a str,
    /// Position in the log, from 1.
    pub seq: u64,
    pub sender_id: &'a str,
    /// As typed.
    pub content: &'a str,
    /// The id that the sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub client_message_id: Option<&'a str>,
    /// When the server accepted it.
    pub created_at: String,
    /// The message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reply_to: Option<Quote<'a>>,
    /// The members who are mentioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub mentions: Option<Vec<&'a str>>,
    /// The files that it brings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<SharedFile<'a>>>")]
    #[schema(required = false)]
    pub attachments: Vec<SharedFile<'a>>,
    /// When it was edited last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub edited_at: Option<String>,
    /// When it was deleted. `content` is empty then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub deleted_at: Option<String>,
    /// When it was pinned, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub pinned_at: Option<String>,
    /// In the order in which each emoji was first added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<Reaction<'a>>>")]
    #[schema(required = false)]
    pub reactions: Vec<Reaction<'a>>,
}

/// A file.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedFile<'a> {
    pub id: &'a str,
    /// As its sender named it, without path parts, control characters and marks of direction.
    pub name: &'a str,
    /// The media type detected from its content; `application/octet-stream` if unknown.
    #[serde(rename = "type")]
    pub media_type: &'a str,
    pub size: u64,
    /// Of a picture or a video, in pixels, as it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub height: Option<u32>,
    /// Of sound and video, in seconds to three places, as the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub duration: Option<f64>,
    /// Of a picture with a thumbnail: a placeholder for it (<https://blurha.sh>).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub blur_hash: Option<&'a str>,
    /// A small picture of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub thumbnail_url: Option<String>,
    /// Where its bytes are, for members of the conversation.
    pub url: String,
    /// Always `ready`.
    #[ts(type = "\"ready\"")]
    pub state: &'static str,
}

impl<'a> From<&'a Attachment> for SharedFile<'a> {
    fn from(file: &'a Attachment) -> Self {
        let url = format!("/api/files/{}", file.id);
        Self {
            id: file.id.as_str(),
            name: &file.name,
            media_type: &file.media_type,
            size: file.size,
            width: file.dimensions.map(|of| of.width),
            height: file.dimensions.map(|of| of.height),
            duration: file.duration_ms.map(seconds),
            blur_hash: file.blur_hash.as_deref(),
            thumbnail_url: file.has_thumbnail.then(|| format!("{url}/thumbnail")),
            url,
            state: "ready",
        }
    }
}

fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}

/// The message that another one answers.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quote<'a> {
    pub id: &'a str,
    pub seq: u64,
    pub sender_id: &'a str,
    /// The beginning of its text in one line; empty once it is deleted.
    pub excerpt: &'a str,
}

/// The reactions with one emoji.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reaction<'a> {
    pub emoji: &'a str,
    pub count: u64,
    /// Whether one of them is the receiver's.
    pub mine: bool,
    /// The ids of the first 20 users who reacted, in the order of their reactions.
    pub user_ids: Vec<&'a str>,
}

impl<'a> Message<'a> {
    fn sent(
        entry: &'a entry::Entry,
        content: &'a Content,
        extras: Option<&'a entry::Extras>,
    ) -> Self {
        Self {
            id: entry.id.as_str(),
            kind: "message",
            conversation_id: entry.conversation.as_str(),
            seq: entry.seq,
            sender_id: entry.sender.as_str(),
            content: content.as_str(),
            client_message_id: entry.client_message_id.as_deref(),
            created_at: time::format(entry.created_at),
            reply_to: extras
                .and_then(|extras| extras.reply_to.as_ref())
                .map(Quote::from),
            mentions: extras.and_then(|extras| ids(&extras.mentions)),
            attachments: extras
                .map(|extras| extras.attachments.iter().map(SharedFile::from).collect())
                .unwrap_or_default(),
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
            reactions: Vec::new(),
        }
    }

    /// `None` if the entry is of another kind.
    #[must_use]
    pub fn now(message: &'a fold::Message) -> Option<Self> {
        let EntryKind::Message { content, extras } = &message.entry.kind else {
            return None;
        };
        Some(Self {
            edited_at: message.edited_at.map(time::format),
            deleted_at: message.deleted_at.map(time::format),
            pinned_at: message.pinned_at.map(time::format),
            reactions: message.reactions.iter().map(Reaction::from).collect(),
            ..Self::sent(&message.entry, content, extras.as_deref())
        })
    }
}

impl<'a> From<&'a entry::Quote> for Quote<'a> {
    fn from(quote: &'a entry::Quote) -> Self {
        Self {
            id: quote.id.as_str(),
            seq: quote.seq,
            sender_id: quote.sender.as_str(),
            excerpt: &quote.excerpt,
        }
    }
}

impl<'a> From<&'a fold::Reactions> for Reaction<'a> {
    fn from(reactions: &'a fold::Reactions) -> Self {
        Self {
            emoji: reactions.emoji.as_str(),
            count: reactions.count,
            mine: reactions.is_mine,
            user_ids: reactions.users.iter().map(UserId::as_str).collect(),
        }
    }
}

/// `None` for an empty list, which is left out.
fn ids(users: &[UserId]) -> Option<Vec<&str>> {
    (!users.is_empty()).then(|| users.iter().map(UserId::as_str).collect())
}

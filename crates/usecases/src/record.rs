//! The JSON record of an entry, for data without a column of its own. All stores and nodes use it.
//! Readers skip unknown fields and kinds, so that versions work side by side.

use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{
    Change, DetailsChange, EntryKind, Extras, MembersChange, MessageAction, Quote,
};
use lamplight_domain::file::{Attachment, Dimensions, FileProgress, FileState};
use lamplight_domain::identity::{ConversationId, FileId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::permission::Role;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A change of a message.
#[derive(Serialize, Deserialize)]
struct ChangeRecord<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
    seq: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    emoji: Option<Cow<'a, str>>,
    /// Whether a reaction is added, or a message pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<bool>,
}

/// The parts of a message besides its content.
#[derive(Serialize, Deserialize)]
struct ExtrasRecord<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<QuoteRecord<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileRecord<'a>>,
}

/// A file that is ready, and so does not change.
#[derive(Serialize, Deserialize)]
struct FileRecord<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    media_type: Cow<'a, str>,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dimensions: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    thumbnail: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    blur_hash: Option<Cow<'a, str>>,
    /// In milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
}

impl<'a> From<&'a Attachment> for FileRecord<'a> {
    fn from(file: &'a Attachment) -> Self {
        Self {
            id: file.id.as_str().into(),
            name: (*file.name).into(),
            media_type: (*file.media_type).into(),
            size: file.size,
            dimensions: file.dimensions.map(|of| (of.width, of.height)),
            thumbnail: file.has_thumbnail,
            blur_hash: file.blur_hash.as_deref().map(Cow::Borrowed),
            duration: file.duration_ms,
        }
    }
}

impl From<FileRecord<'_>> for Attachment {
    fn from(record: FileRecord<'_>) -> Self {
        let dimensions = |(width, height)| Dimensions { width, height };
        Self {
            id: FileId::trusted(&*record.id),
            name: (*record.name).into(),
            media_type: (*record.media_type).into(),
            size: record.size,
            dimensions: record.dimensions.map(dimensions),
            has_thumbnail: record.thumbnail,
            blur_hash: record.blur_hash.map(|hash| (*hash).into()),
            duration_ms: record.duration,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct QuoteRecord<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    /// Between nodes only. A store reads the quoted message instead.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    excerpt: Option<Cow<'a, str>>,
}

/// Added and removed members, and new roles by user: 0 a member, 1 an admin, 2 an owner.
#[derive(Serialize, Deserialize)]
struct MembersRecord<'a> {
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    roles: BTreeMap<String, i64>,
}

/// Fields that change; `null` removes one.
#[derive(Serialize, Deserialize)]
struct DetailsRecord {
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    name: Option<Option<String>>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    avatar_url: Option<Option<String>>,
}

/// Distinguishes `null` from a missing field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// A role as stores and nodes write it.
#[must_use]
pub fn role_to_number(role: Role) -> i64 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

/// A role that a newer version wrote gives no rights beyond a member's.
#[must_use]
pub fn role_from_number(number: i64) -> Role {
    match number {
        1 => Role::Admin,
        2 => Role::Owner,
        _ => Role::Member,
    }
}

fn names(users: &[UserId]) -> Vec<Cow<'_, str>> {
    users.iter().map(|user| user.as_str().into()).collect()
}

fn users(names: &[Cow<'_, str>]) -> Vec<UserId> {
    names.iter().map(|name| UserId::trusted(&**name)).collect()
}

fn write<T: Serialize>(record: &T) -> String {
    // Texts and numbers always have a form in JSON.
    serde_json::to_string(record).unwrap_or_default()
}

/// The record of a change, which [`read_change`] reads by its kind's name.
#[must_use]
pub fn write_change(change: &Change) -> String {
    let mut record = ChangeRecord {
        message: change.message.as_str().into(),
        seq: change.message_seq,
        content: None,
        mentions: Vec::new(),
        emoji: None,
        on: None,
    };
    match &change.action {
        MessageAction::Edit { content, mentions } => {
            record.content = Some(content.as_str().into());
            record.mentions = names(mentions);
        }
        MessageAction::Delete => {}
        MessageAction::React { emoji, added } => {
            record.emoji = Some(emoji.as_str().into());
            record.on = Some(*added);
        }
        MessageAction::Pin { pinned } => record.on = Some(*pinned),
    }
    write(&record)
}

/// The record of an edit whose message was deleted.
#[must_use]
pub fn write_erased_edit(message: &MessageId, message_seq: u64) -> String {
    write_change(&Change {
        message: message.clone(),
        message_seq,
        action: MessageAction::Edit {
            content: Content::trusted(""),
            mentions: Vec::new(),
        },
    })
}

/// The name and the record of an entry that is neither a message nor hidden.
#[must_use]
pub fn write_other(kind: &EntryKind) -> Option<(&'static str, String)> {
    match kind {
        EntryKind::Change(change) => Some((change.action.name(), write_change(change))),
        EntryKind::Members(change) => Some(("members", write_members(change))),
        EntryKind::Details(change) => Some(("details", write_details(change))),
        EntryKind::Message { .. } | EntryKind::Hidden | EntryKind::Unknown => None,
    }
}

/// Adds to the record of a group's change the digest of the action that made it. Readers of the record
/// skip it.
#[must_use]
pub fn with_digest(record: &str, digest: &str) -> String {
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(record).unwrap_or_default();
    fields.insert("digest".into(), digest.into());
    write(&fields)
}

/// The digest in a record; `None` where an earlier version wrote it, or the writer had no key.
#[must_use]
pub fn read_digest(record: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct DigestRecord {
        #[serde(default)]
        digest: Option<String>,
    }
    serde_json::from_str::<DigestRecord>(record).ok()?.digest
}

/// The record of a change of members.
#[must_use]
pub fn write_members(change: &MembersChange) -> String {
    let role = |(user, role): &(UserId, Role)| (user.as_str().to_owned(), role_to_number(*role));
    write(&MembersRecord {
        added: names(&change.added),
        removed: names(&change.removed),
        roles: change.roles.iter().map(role).collect(),
    })
}

/// The record of a change of a group's details.
#[must_use]
pub fn write_details(change: &DetailsChange) -> String {
    let owned = |field: &Option<Option<Arc<str>>>| {
        let field = field.as_ref()?;
        Some(field.as_deref().map(str::to_owned))
    };
    write(&DetailsRecord {
        name: owned(&change.name),
        avatar_url: owned(&change.avatar_url),
    })
}

/// The kind of an entry that is not a message. [`EntryKind::Unknown`] where this version does not
/// know its name or cannot read its record.
#[must_use]
pub fn read_change(name: &str, record: &str) -> EntryKind {
    let kind = match name {
        "members" => members(record).map(|change| EntryKind::Members(Box::new(change))),
        "details" => details(record).map(EntryKind::Details),
        _ => change(name, record).map(|change| EntryKind::Change(Box::new(change))),
    };
    kind.unwrap_or(EntryKind::Unknown)
}

fn members(record: &str) -> Option<MembersChange> {
    let record: MembersRecord<'_> = serde_json::from_str(record).ok()?;
    let role = |(user, role): (String, i64)| (UserId::trusted(user), role_from_number(role));
    Some(MembersChange {
        added: users(&record.added),
        removed: users(&record.removed),
        roles: record.roles.into_iter().map(role).collect(),
    })
}

fn details(record: &str) -> Option<DetailsChange> {
    let record: DetailsRecord = serde_json::from_str(record).ok()?;
    let shared = |field: Option<Option<String>>| field.map(|field| field.map(Arc::from));
    Some(DetailsChange {
        name: shared(record.name),
        avatar_url: shared(record.avatar_url),
    })
}

fn change(name: &str, record: &str) -> Option<Change> {
    if !["edit", "delete", "reaction", "pin"].contains(&name) {
        return None;
    }
    let record: ChangeRecord<'_> = serde_json::from_str(record).ok()?;
    let action = match name {
        "edit" => MessageAction::Edit {
            content: Content::trusted(record.content.as_deref()?),
            mentions: users(&record.mentions),
        },
        "delete" => MessageAction::Delete,
        "reaction" => MessageAction::React {
            emoji: Emoji::trusted(record.emoji.as_deref()?),
            added: record.on?,
        },
        _ => MessageAction::Pin { pinned: record.on? },
    };
    Some(Change {
        message: MessageId::trusted(&*record.message),
        message_seq: record.seq,
        action,
    })
}

/// The record of a message's extras in a store, without the excerpt.
#[must_use]
pub fn write_extras(extras: &Extras) -> String {
    extras_record(extras, false)
}

/// The record of a message's extras as nodes send it to each other, with the excerpt.
#[must_use]
pub fn write_whole_extras(extras: &Extras) -> String {
    extras_record(extras, true)
}

fn extras_record(extras: &Extras, with_excerpt: bool) -> String {
    write(&ExtrasRecord {
        reply_to: extras.reply_to.as_ref().map(|quote| QuoteRecord {
            id: quote.id.as_str().into(),
            seq: quote.seq,
            sender: quote.sender.as_str().into(),
            excerpt: with_excerpt.then(|| (*quote.excerpt).into()),
        }),
        mentions: names(&extras.mentions),
        files: extras.attachments.iter().map(FileRecord::from).collect(),
    })
}

/// A message's extras; none where the record cannot be read. An excerpt that the record lacks is
/// empty.
#[must_use]
pub fn read_extras(record: &str) -> Extras {
    let Ok(record) = serde_json::from_str::<ExtrasRecord<'_>>(record) else {
        return Extras::default();
    };
    Extras {
        reply_to: record.reply_to.map(|quote| Quote {
            id: MessageId::trusted(&*quote.id),
            seq: quote.seq,
            sender: UserId::trusted(&*quote.sender),
            excerpt: quote
                .excerpt
                .map_or_else(|| Arc::from(""), |text| Arc::from(&*text)),
        }),
        mentions: users(&record.mentions),
        attachments: record.files.into_iter().map(Attachment::from).collect(),
    }
}

#[derive(Serialize, Deserialize)]
struct ProgressRecord<'a> {
    #[serde(borrow)]
    conversation: Cow<'a, str>,
    #[serde(borrow)]
    file: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    size: u64,
    received: u64,
    state: i16,
}

/// The record of how far an upload is, which nodes send to each other.
#[must_use]
pub fn write_progress(progress: &FileProgress) -> String {
    write(&ProgressRecord {
        conversation: progress.conversation.as_str().into(),
        file: progress.file.as_str().into(),
        user: progress.user.as_str().into(),
        name: (*progress.name).into(),
        size: progress.size,
        received: progress.received,
        state: progress.state.number(),
    })
}

/// How far an upload is; `None` where the record cannot be read.
#[must_use]
pub fn read_progress(record: &str) -> Option<FileProgress> {
    let record: ProgressRecord<'_> = serde_json::from_str(record).ok()?;
    Some(FileProgress {
        conversation: ConversationId::trusted(&*record.conversation),
        file: FileId::trusted(&*record.file),
        user: UserId::trusted(&*record.user),
        name: (*record.name).into(),
        size: record.size,
        received: record.received,
        state: FileState::from_number(record.state.into()),
    })
}

/// The record of a list of mentions.
#[must_use]
pub fn write_mentions(mentions: &[UserId]) -> String {
    write(&names(mentions))
}

/// A list of mentions; empty where the record cannot be read.
#[must_use]
pub fn read_mentions(record: &str) -> Vec<UserId> {
    let names: Vec<Cow<'_, str>> = serde_json::from_str(record).unwrap_or_default();
    users(&names)
}

#[cfg(test)]
mod tests;

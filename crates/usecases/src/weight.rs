//! Estimates how many bytes a reply has as JSON, so that a long one can be bounded before it is
//! encoded. The estimate is exact or a little too high.

use crate::ports::{SentFile, WatchedPresence};
use lamplight_domain::conversation::{Conversation, Receipt};
use lamplight_domain::entry::{Entry, EntryKind, Extras, MessageAction};
use lamplight_domain::file::Attachment;
use lamplight_domain::fold::{Message, Reactions};
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::presence::{Change, Presence};
use std::sync::Arc;

/// The most bytes of one reply as JSON, except for a single item that is larger by itself. `hasMore`,
/// a cursor or changes that follow announce the rest.
pub const ANSWER_BYTES: usize = 1_000_000;

/// The cost of each row of a read, besides its bytes.
pub(crate) const ROW: usize = 200;
/// An entry without its content and ids: field names, kind, `seq`, time. With ids of the usual
/// length an entry has about 350.
pub(crate) const ENTRY: usize = 160;
/// The reference to the message that an entry changes, and its other fields besides texts.
const CHANGED: usize = 60;
/// The message that another one answers, without its texts.
const QUOTE: usize = 60;
/// A file without its texts.
const ATTACHMENT: usize = 200;
/// The name of a list and its brackets.
const LIST: usize = 20;
/// A role without its user's id.
const ROLE: usize = 15;
/// The size of a group without its texts.
const GROUP: usize = 90;
/// A time with its name.
const TIME: usize = 45;
/// The reactions with one emoji, without it and the users.
const REACTION: usize = 60;
/// A member's marks without their id.
const RECEIPT: usize = 75;
/// A member without their id, name and picture.
const MEMBER: usize = 45;
/// A conversation in a list, without its members and its last message.
const CONVERSATION: usize = 183;
/// A flag of a conversation.
const FLAG: usize = 16;
/// An online user in a roster, without texts.
const PRESENCE: usize = 130;
/// An activity without its texts.
const ACTIVITY: usize = 40;
/// An offline user without the id.
pub(crate) const OFFLINE: usize = 110;
/// The size of a change without the user.
const CHANGE: usize = 20;
/// A conversation in a sync reply, without its entries and receipts.
pub(crate) const PAGE: usize = 135;

#[must_use]
pub fn entry(entry: &Entry) -> usize {
    let client_message_id = entry.client_message_id.as_deref().map_or(0, text);
    ENTRY
        + text(entry.id.as_str())
        + text(entry.conversation.as_str())
        + text(entry.sender.as_str())
        + client_message_id
        + match &entry.kind {
            EntryKind::Message { content, extras } => {
                text(content.as_str()) + extras.as_deref().map_or(0, extra)
            }
            EntryKind::Change(change) => {
                CHANGED + text(change.message.as_str()) + action(&change.action)
            }
            EntryKind::Members(change) => {
                let roles = change.roles.iter();
                let roles = roles.map(|(user, _)| text(user.as_str()) + ROLE);
                LIST + users(&change.added) + users(&change.removed) + roles.sum::<usize>()
            }
            EntryKind::Details(change) => details(&change.name) + details(&change.avatar_url),
            EntryKind::Hidden | EntryKind::Unknown => 0,
        }
}

/// A field of a group's details.
fn details(field: &Option<Option<Arc<str>>>) -> usize {
    let value = field.as_ref().map(|field| field.as_deref());
    value.map_or(0, |value| LIST + value.map_or(0, text))
}

fn extra(extras: &Extras) -> usize {
    let quote = extras.reply_to.as_ref().map_or(0, |quote| {
        QUOTE + text(quote.id.as_str()) + text(quote.sender.as_str()) + text(&quote.excerpt)
    });
    quote + users(&extras.mentions) + rows(&extras.attachments, attachment)
}

/// Its names appear in two addresses besides.
fn attachment(file: &Attachment) -> usize {
    let blur = file.blur_hash.as_ref().map_or(0, |hash| text(hash));
    ATTACHMENT + text(&file.name) + text(&file.media_type) + blur + 3 * text(file.id.as_str())
}

pub(crate) fn sent_file(sent: &SentFile) -> usize {
    ENTRY + attachment(&sent.file) + text(sent.message.as_str()) + text(sent.sender.as_str())
}

fn action(action: &MessageAction) -> usize {
    match action {
        MessageAction::Edit { content, mentions } => text(content.as_str()) + users(mentions),
        MessageAction::Delete | MessageAction::Pin { .. } => 0,
        MessageAction::React { emoji, .. } => text(emoji.as_str()),
    }
}

/// A list of ids with its name.
fn users(ids: &[UserId]) -> usize {
    match ids {
        [] => 0,
        ids => LIST + ids.iter().map(|id| text(id.as_str()) + 3).sum::<usize>(),
    }
}

#[must_use]
pub fn message(message: &Message) -> usize {
    let times = [message.edited_at, message.deleted_at, message.pinned_at];
    let reactions = |of: &Reactions| REACTION + text(of.emoji.as_str()) + users(&of.users);
    entry(&message.entry)
        + times.iter().flatten().count() * TIME
        + message.reactions.iter().map(reactions).sum::<usize>()
}

pub(crate) fn receipts(receipts: &[Receipt]) -> usize {
    receipts
        .iter()
        .map(|receipt| RECEIPT + text(receipt.user.as_str()))
        .sum()
}

/// As [`PAGE`], with the conversation's id.
pub(crate) fn bare_page(conversation: &ConversationId) -> usize {
    PAGE + text(conversation.as_str())
}

#[must_use]
pub fn conversation(conversation: &Conversation) -> usize {
    let members: usize = conversation.members.iter().map(member).sum();
    let settings = &conversation.settings;
    let flags = usize::from(settings.archived) + usize::from(settings.pinned);
    let group = conversation.group.as_ref().map_or(0, |group| {
        GROUP + group.name.as_deref().map_or(0, text) + group.avatar_url.as_deref().map_or(0, text)
    });
    CONVERSATION
        + group
        + settings.muted_until.map_or(0, |_| TIME)
        + flags * FLAG
        + text(conversation.id.as_str())
        + members
        + conversation.last_message.as_ref().map_or(0, message)
}

#[must_use]
pub fn member(profile: &Profile) -> usize {
    MEMBER
        + text(profile.id.as_str())
        + text(&profile.name)
        + profile.avatar_url.as_deref().map_or(0, text)
}

#[must_use]
pub fn presence(shown: &Presence) -> usize {
    let activity = |activity: &lamplight_domain::presence::Activity| {
        let conversation = activity
            .conversation
            .as_ref()
            .map_or(0, |conversation| text(conversation.as_str()));
        ACTIVITY + text(&activity.kind) + activity.label.as_deref().map_or(0, text) + conversation
    };
    let activities: usize = shown.activities.iter().map(activity).sum();
    PRESENCE
        + text(shown.profile.id.as_str())
        + member(&shown.profile)
        + shown.text.as_deref().map_or(0, text)
        + activities
}

#[must_use]
pub fn watched(watched: &WatchedPresence) -> usize {
    watched
        .shown
        .as_deref()
        .map_or_else(|| OFFLINE + text(watched.user.as_str()), presence)
}

#[must_use]
pub fn change(change: &Change) -> usize {
    match change {
        Change::Online(shown) | Change::Updated(shown) => CHANGE + presence(shown),
        Change::Offline(absence) => CHANGE + OFFLINE + text(absence.user.as_str()),
    }
}

/// How many of these fit into `bytes`; at least one.
pub fn fitting<T>(
    items: impl IntoIterator<Item = T>,
    bytes: usize,
    weight: impl Fn(&T) -> usize,
) -> usize {
    let mut total = 0;
    let fits = |item: &T| {
        total += weight(item);
        total <= bytes
    };
    items.into_iter().take_while(fits).count().max(1)
}

/// The cost of a reply with these items: [`ROW`] and the bytes of each.
pub(crate) fn rows<T>(items: &[T], weight: impl Fn(&T) -> usize) -> usize {
    items.iter().map(|item| ROW + weight(item)).sum()
}

/// A text as JSON: quotes, backslashes and the common control characters are two bytes, the other
/// control characters six.
pub(crate) fn text(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_of_a_text_is_its_length_in_json() {
        assert_eq!(text("ok"), 2);
        assert_eq!(text("\u{1f4a1}"), 4);
        assert_eq!(text("\"\\\n\r\t\u{8}\u{c}"), 14);
        assert_eq!(text("\u{0}\u{1f}\u{7f}"), 13);
    }
}

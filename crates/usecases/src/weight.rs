//! About how many bytes an answer has on the wire, so that a long one can be bounded before it is
//! written. A little too much where it is not exact: what is bounded by it is bounded.

use crate::ports::WatchedPresence;
use lamplight_domain::conversation::{Conversation, Receipt};
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::{ConversationId, Profile};
use lamplight_domain::presence::{Change, Presence};

/// The most bytes of one answer as it travels, but for a single thing that is larger by itself.
/// What is past it is told by `hasMore`, a cursor, or changes that follow.
pub const ANSWER_BYTES: usize = 1_000_000;

/// What a read is charged for each row besides its bytes, for the lookup.
pub(crate) const ROW: usize = 200;
/// An entry without its content and ids: the names of its fields, its kind, its `seq`, its time.
/// With ids of the usual length that is about 350.
pub(crate) const ENTRY: usize = 160;
/// A member's marks without their id.
const RECEIPT: usize = 75;
/// A member without their id, name and picture.
const MEMBER: usize = 45;
/// A conversation in a list without its members and its last entry.
const CONVERSATION: usize = 165;
/// Someone in a roster without their texts.
const PRESENCE: usize = 130;
/// One of their activities without its texts.
const ACTIVITY: usize = 40;
/// Someone who is out without their id.
pub(crate) const OFFLINE: usize = 110;
/// What makes it a change.
const CHANGE: usize = 20;
/// What is answered of a conversation besides entries and receipts.
pub(crate) const PAGE: usize = 135;

/// An entry of a log.
#[must_use]
pub fn entry(entry: &Entry) -> usize {
    let client_message_id = entry.client_message_id.as_deref().map_or(0, text);
    ENTRY
        + text(entry.id.as_str())
        + text(entry.conversation.as_str())
        + text(entry.sender.as_str())
        + entry.content().map_or(0, |content| text(content.as_str()))
        + client_message_id
}

pub(crate) fn receipts(receipts: &[Receipt]) -> usize {
    receipts
        .iter()
        .map(|receipt| RECEIPT + text(receipt.user.as_str()))
        .sum()
}

/// A page of a catch-up without its entries and receipts.
pub(crate) fn bare_page(conversation: &ConversationId) -> usize {
    PAGE + text(conversation.as_str())
}

/// A conversation in a list.
#[must_use]
pub fn conversation(conversation: &Conversation) -> usize {
    let members: usize = conversation.members.iter().map(member).sum();
    CONVERSATION
        + text(conversation.id.as_str())
        + members
        + conversation.last_message.as_ref().map_or(0, entry)
}

/// A person in a list.
#[must_use]
pub fn member(profile: &Profile) -> usize {
    MEMBER
        + text(profile.id.as_str())
        + text(&profile.name)
        + profile.avatar_url.as_deref().map_or(0, text)
}

/// Someone who is in.
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

/// Someone who is watched.
#[must_use]
pub fn seen(seen: &WatchedPresence) -> usize {
    seen.shown
        .as_deref()
        .map_or_else(|| OFFLINE + text(seen.user.as_str()), presence)
}

/// A change of someone's presence.
#[must_use]
pub fn change(change: &Change) -> usize {
    match change {
        Change::Online(shown) | Change::Updated(shown) => CHANGE + presence(shown),
        Change::Offline(absence) => CHANGE + OFFLINE + text(absence.user.as_str()),
    }
}

/// As many of these as fit into `bytes`, and one in any case.
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

/// What a reply with these items is charged: [`ROW`] and their bytes each.
pub(crate) fn rows<T>(items: &[T], weight: impl Fn(&T) -> usize) -> usize {
    items.iter().map(|item| ROW + weight(item)).sum()
}

/// A text as JSON has it: quotes, backslashes and the usual control characters are two bytes, the
/// others six.
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
    fn a_text_is_counted_as_json_writes_it() {
        assert_eq!(text("ok"), 2);
        assert_eq!(text("\u{1f4a1}"), 4);
        assert_eq!(text("\"\\\n\r\t\u{8}\u{c}"), 14);
        assert_eq!(text("\u{0}\u{1f}\u{7f}"), 13);
    }
}

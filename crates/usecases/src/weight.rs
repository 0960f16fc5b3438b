//! About how many bytes an answer has on the wire, so that a long one can be bounded before it is written. A little too much
//! where it is not exact: what is bounded by it is bounded.

use lamplight_domain::conversation::{Conversation, Receipt};
use lamplight_domain::identity::{ConversationId, Profile};
use lamplight_domain::message::Message;

/// An entry without its content and ids: the names of its fields, its kind, its `seq`, its time. With ids of the usual length
/// that is about 350.
pub(crate) const ENTRY: usize = 160;
/// A member's marks without their id.
const RECEIPT: usize = 75;
/// A member without their id, name and picture.
const MEMBER: usize = 45;
/// A conversation in a list without its members and its last entry.
const CONVERSATION: usize = 165;
/// What is answered of a conversation besides entries and receipts.
const PAGE: usize = 135;

pub(crate) fn entry(entry: &Message) -> usize {
    let client_message_id = entry.client_message_id.as_deref().map_or(0, text);
    ENTRY
        + text(entry.id.as_str())
        + text(entry.conversation.as_str())
        + text(entry.sender.as_str())
        + text(entry.content.as_str())
        + client_message_id
}

pub(crate) fn receipts(receipts: &[Receipt]) -> usize {
    receipts.iter().map(|receipt| RECEIPT + text(receipt.user.as_str())).sum()
}

/// A page of a catch-up without its entries and receipts.
pub(crate) fn bare_page(conversation: &ConversationId) -> usize {
    PAGE + text(conversation.as_str())
}

pub(crate) fn conversation(conversation: &Conversation) -> usize {
    let members: usize = conversation.members.iter().map(member).sum();
    CONVERSATION + text(conversation.id.as_str()) + members + conversation.last_message.as_ref().map_or(0, entry)
}

fn member(profile: &Profile) -> usize {
    MEMBER + text(profile.id.as_str()) + text(&profile.name) + profile.avatar_url.as_deref().map_or(0, text)
}

/// A text as JSON has it: quotes, backslashes and the usual control characters are two bytes, the others six.
fn text(text: &str) -> usize {
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

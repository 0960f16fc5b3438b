//! Conversations: their members, how far each has read, and what is new.

use crate::fold::Message;
use crate::identity::{ConversationId, Profile, UserId};
use crate::member_settings::MemberSettings;
use crate::time::Timestamp;
use std::sync::Arc;

/// A conversation as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub members: MemberProfiles,
    /// The newest message that is not deleted, without its reactions.
    pub last_message: Option<Message>,
    /// Messages by others past the viewer's read mark that are not deleted.
    pub unread: u64,
    /// The `seq` of the newest entry; 0 while there is none.
    pub head_seq: u64,
    /// How far the viewer has read.
    pub read_seq: u64,
    /// What the viewer has set.
    pub settings: MemberSettings,
    pub created_at: Timestamp,
}

/// A conversation without its members: what differs from one member to the next, and what changes
/// with every message. The members are a read of their own, since they are the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationSummary {
    pub id: ConversationId,
    pub last_message: Option<Message>,
    pub unread: u64,
    pub head_seq: u64,
    pub read_seq: u64,
    pub settings: MemberSettings,
    pub created_at: Timestamp,
}

impl ConversationSummary {
    #[must_use]
    pub fn with_members(self, members: MemberProfiles) -> Conversation {
        Conversation {
            id: self.id,
            members,
            last_message: self.last_message,
            unread: self.unread,
            head_seq: self.head_seq,
            read_seq: self.read_seq,
            settings: self.settings,
            created_at: self.created_at,
        }
    }
}

/// The profiles of everyone in a conversation, in the order of their ids.
pub type MemberProfiles = Arc<[Profile]>;

/// A member's marks as the others see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub user: UserId,
    /// Written to one of the user's sockets, or fetched.
    pub delivered_seq: u64,
    pub read_seq: u64,
}

/// The key under which two people have exactly one conversation, whoever asks first. Lengths stand
/// before the ids so that no two pairs share a key, whatever characters the ids have.
///
/// `None` for a conversation with oneself.
#[must_use]
pub fn direct_key(one: &UserId, other: &UserId) -> Option<String> {
    let (low, high) = match one.cmp(other) {
        std::cmp::Ordering::Less => (one, other),
        std::cmp::Ordering::Greater => (other, one),
        std::cmp::Ordering::Equal => return None,
    };
    Some(format!("{}:{low}:{high}", low.as_str().len()))
}

/// The members of a conversation, in the order of their ids; shared by the events for them.
pub type Members = Arc<[UserId]>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_key_and_no_other_pair_shares_it() {
        let id = |text: &str| UserId::parse(text).unwrap();
        assert_eq!(
            direct_key(&id("a"), &id("b")),
            direct_key(&id("b"), &id("a"))
        );
        assert_ne!(
            direct_key(&id("a"), &id("b:c")),
            direct_key(&id("a:b"), &id("c"))
        );
        assert_eq!(direct_key(&id("a"), &id("a")), None);
    }
}

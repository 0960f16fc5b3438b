//! Conversations: their members and read marks.

use crate::fold::Message;
use crate::identity::{ConversationId, Profile, UserId};
use crate::member_settings::MemberSettings;
use crate::permission::Role;
use crate::time::Timestamp;
use std::sync::Arc;

/// The most members that a conversation is shown with; the others are read in pages.
pub const SHOWN_MEMBERS: usize = 100;

/// A conversation as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub members: MemberProfiles,
    /// `None` for a conversation of two people.
    pub group: Option<GroupDetails>,
    /// The viewer's.
    pub role: Role,
    /// The newest message that is not deleted and that the viewer may see, without its reactions.
    pub last_message: Option<Message>,
    /// Messages by others past the viewer's read mark that are not deleted.
    pub unread: u64,
    /// The `seq` of the newest entry; 0 while there is none.
    pub head_seq: u64,
    /// How far the viewer has read.
    pub read_seq: u64,
    /// The viewer's settings.
    pub settings: MemberSettings,
    pub created_at: Timestamp,
}

/// A conversation as far as it differs from one member to the next, and changes with every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationSummary {
    pub id: ConversationId,
    pub role: Role,
    pub last_message: Option<Message>,
    pub unread: u64,
    pub head_seq: u64,
    pub read_seq: u64,
    pub settings: MemberSettings,
    pub created_at: Timestamp,
}

/// A conversation as far as it is the same for all members: a read of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationDetails {
    pub members: MemberProfiles,
    pub group: Option<GroupDetails>,
}

/// The data of a group besides its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDetails {
    pub name: Option<Arc<str>>,
    pub avatar_url: Option<Arc<str>>,
    pub member_count: u64,
}

impl ConversationSummary {
    #[must_use]
    pub fn with_details(self, details: ConversationDetails) -> Conversation {
        Conversation {
            id: self.id,
            members: details.members,
            group: details.group,
            role: self.role,
            last_message: self.last_message,
            unread: self.unread,
            head_seq: self.head_seq,
            read_seq: self.read_seq,
            settings: self.settings,
            created_at: self.created_at,
        }
    }
}

/// The profiles of members, in the order of their ids: at most [`SHOWN_MEMBERS`].
pub type MemberProfiles = Arc<[Profile]>;

/// A member of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub profile: Profile,
    pub role: Role,
}

/// A member's marks as the others see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub user: UserId,
    /// Written to one of the user's sockets, or fetched.
    pub delivered_seq: u64,
    pub read_seq: u64,
}

impl Receipt {
    /// For those who are not to know how far others have read.
    #[must_use]
    pub fn without_read(self) -> Self {
        Self {
            read_seq: 0,
            ..self
        }
    }
}

/// The key that makes the direct conversation of two people unique. It has the length before each
/// id, so that different pairs have different keys, whatever characters the ids have.
///
/// `None` if both ids are the same.
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

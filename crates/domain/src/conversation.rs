//! Conversations: who is in them, how far each has read, and what is new.

use crate::entry::Entry;
use crate::identity::{ConversationId, Profile, UserId};
use crate::time::Timestamp;
use std::sync::Arc;

/// A conversation as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Everyone in it, the viewer included, in the order of their ids.
    pub members: Vec<Profile>,
    /// The newest entry that is a message.
    pub last_message: Option<Entry>,
    /// Messages by others past the viewer's read mark.
    pub unread: u64,
    /// The `seq` of the newest entry; 0 while there is none.
    pub head_seq: u64,
    /// How far the viewer has read.
    pub read_seq: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How far one member has got, as the others may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whose marks these are.
    pub user: UserId,
    /// Written to one socket of theirs, or fetched.
    pub delivered_seq: u64,
    /// Read.
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

/// The members of a conversation, shared by everything that is told to them.
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

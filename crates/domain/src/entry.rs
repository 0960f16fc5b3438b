//! A log's entries and their kinds, and how messages are counted among them.

use crate::identity::{ConversationId, MessageId, UserId};
use crate::message::Content;
use crate::time::Timestamp;
use std::sync::Arc;

/// An entry of a conversation's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique over all conversations.
    pub id: MessageId,
    pub conversation: ConversationId,
    /// Its place in the log: 1, 2, 3 … without gaps.
    pub seq: u64,
    pub sender: UserId,
    /// The client's own id for it, which every device of the sender recognises its own entries by.
    /// Writes of every kind may carry one.
    pub client_message_id: Option<Arc<str>>,
    pub kind: EntryKind,
    /// When the server accepted it.
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Message {
        content: Content,
    },
    /// A kind that this version does not know: a newer version wrote the entry to the same store.
    /// It keeps its `seq`, so that positions and pages stay whole, and shows nothing.
    Unknown,
}

impl Entry {
    /// The text of a message, `None` for entries of other kinds.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match &self.kind {
            EntryKind::Message { content } => Some(content),
            EntryKind::Unknown => None,
        }
    }
}

impl EntryKind {
    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Message { .. })
    }
}

/// How far a log has got. Messages are counted apart from entries, so that entries of other kinds
/// change neither what is unread nor which message is the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogHead {
    /// The `seq` of the newest entry; 0 while there is none.
    pub seq: u64,
    /// Messages up to it.
    pub message_count: u64,
    /// The `seq` of the newest message; 0 while there is none.
    pub last_message_seq: u64,
}

impl LogHead {
    /// A log of so many entries, all of them messages.
    #[must_use]
    pub fn of_messages(seq: u64) -> Self {
        Self {
            seq,
            message_count: seq,
            last_message_seq: seq,
        }
    }

    /// The head after one more entry. The new entry's number among the messages, which the store
    /// keeps with it, is the new `message_count`.
    #[must_use]
    pub fn next(self, is_message: bool) -> Self {
        let seq = self.seq + 1;
        if is_message {
            Self {
                seq,
                message_count: self.message_count + 1,
                last_message_seq: seq,
            }
        } else {
            Self { seq, ..self }
        }
    }

    /// Whether every entry so far is a message, so that a message's number is its `seq`.
    #[must_use]
    pub fn has_only_messages(&self) -> bool {
        self.message_count == self.seq
    }

    /// Messages past a read mark, given how many there are up to it. A member's own send moves the
    /// mark to itself, so everything past the mark is by others.
    #[must_use]
    pub fn unread(&self, messages_read: u64) -> u64 {
        self.message_count.saturating_sub(messages_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m4_every_entry_takes_a_seq_and_only_messages_are_counted() {
        let kinds = [true, false, true, false, false];
        let heads: Vec<LogHead> = kinds
            .iter()
            .scan(LogHead::default(), |head, is_message| {
                *head = head.next(*is_message);
                Some(*head)
            })
            .collect();
        let counted: Vec<(u64, u64, u64)> = heads
            .iter()
            .map(|head| (head.seq, head.message_count, head.last_message_seq))
            .collect();
        assert_eq!(
            counted,
            [(1, 1, 1), (2, 1, 1), (3, 2, 3), (4, 2, 3), (5, 2, 3)]
        );
        assert!(heads[0].has_only_messages() && !heads[1].has_only_messages());
    }

    #[test]
    fn m9_unread_counts_messages_past_the_mark() {
        let head = LogHead::of_messages(3).next(false).next(true);
        assert_eq!((head.seq, head.message_count), (5, 4));
        assert_eq!(head.unread(0), 4);
        assert_eq!(head.unread(3), 1, "read up to the entry of another kind");
        assert_eq!(head.unread(4), 0);
        assert_eq!(
            head.unread(9),
            0,
            "a mark past the head leaves nothing unread"
        );
    }
}

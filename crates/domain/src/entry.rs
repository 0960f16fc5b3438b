//! A log's entries and their kinds, and how messages are counted among them.

use crate::emoji::Emoji;
use crate::file::Attachment;
use crate::identity::{ConversationId, MessageId, UserId};
use crate::message::Content;
use crate::permission::Role;
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
        /// As it was sent. Empty once the message is deleted.
        content: Content,
        extras: Option<Box<Extras>>,
    },
    /// Changes a message of the same log.
    Change(Box<Change>),
    /// Changes the members of the conversation.
    Members(Box<MembersChange>),
    /// Changes the name or picture of a group.
    Details(DetailsChange),
    /// Keeps the place of an entry that its reader may not see.
    Hidden,
    /// A kind that this version does not know: a newer version wrote the entry to the same store.
    /// It keeps its `seq`, so that positions and pages stay whole, and shows nothing.
    Unknown,
}

/// The parts of a message that few messages have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// The message that this one answers.
    pub reply_to: Option<Quote>,
    /// Members who are mentioned, each once.
    pub mentions: Vec<UserId>,
    /// Its files, in the sender's order.
    pub attachments: Vec<Attachment>,
}

impl Extras {
    /// `None` where there are none.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub id: MessageId,
    pub seq: u64,
    pub sender: UserId,
    /// The [`excerpt`](crate::message::excerpt) of its content when it was read; empty once it is
    /// deleted.
    pub excerpt: Arc<str>,
}

/// A change of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The message.
    pub message: MessageId,
    pub message_seq: u64,
    pub action: MessageAction,
}

/// The actions on a sent message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageAction {
    Edit {
        /// Empty once the message is deleted.
        content: Content,
        /// Members who are mentioned from then on, each once.
        mentions: Vec<UserId>,
    },
    Delete,
    React {
        emoji: Emoji,
        /// Whether the reaction is added or taken back.
        added: bool,
    },
    Pin {
        pinned: bool,
    },
}

/// Added and removed members, and changed roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersChange {
    /// In the order of their ids, like the others.
    pub added: Vec<UserId>,
    pub removed: Vec<UserId>,
    /// The new roles of members; those who are added have [`Role::Member`] otherwise.
    pub roles: Vec<(UserId, Role)>,
}

/// A change of a group's name or picture. `None` is unchanged, `Some(None)` removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetailsChange {
    pub name: Option<Option<Arc<str>>>,
    pub avatar_url: Option<Option<Arc<str>>>,
}

impl MessageAction {
    /// The name of the entry's kind.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Edit { .. } => "edit",
            Self::Delete => "delete",
            Self::React { .. } => "reaction",
            Self::Pin { .. } => "pin",
        }
    }
}

impl Entry {
    /// The author; `None` for the host application.
    #[must_use]
    pub fn author(&self) -> Option<&UserId> {
        (!self.sender.is_host()).then_some(&self.sender)
    }

    /// As a member sees it whose log begins at `first_seq`.
    #[must_use]
    pub fn seen_from(self, first_seq: u64) -> Self {
        match self.kind.about_seq() {
            Some(seq) if seq < first_seq => self.without_past(),
            _ => self,
        }
    }

    /// The entry for a member whose log begins after the message that it refers to: a change is hidden,
    /// and a reply has no quote.
    #[must_use]
    pub fn without_past(mut self) -> Self {
        match &mut self.kind {
            EntryKind::Change(_) => {
                self.kind = EntryKind::Hidden;
                self.client_message_id = None;
            }
            EntryKind::Message {
                extras: Some(extras),
                ..
            } => {
                if let Some(quote) = &mut extras.reply_to {
                    quote.excerpt = "".into();
                }
            }
            _ => {}
        }
        self
    }

    /// Its change of members, if it is one.
    #[must_use]
    pub fn members_change(&self) -> Option<&MembersChange> {
        match &self.kind {
            EntryKind::Members(change) => Some(change),
            _ => None,
        }
    }
}

impl Entry {
    /// The text of a message, `None` for entries of other kinds.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match &self.kind {
            EntryKind::Message { content, .. } => Some(content),
            _ => None,
        }
    }

    /// The parts of a message besides its content.
    #[must_use]
    pub fn extras(&self) -> Option<&Extras> {
        match &self.kind {
            EntryKind::Message { extras, .. } => extras.as_deref(),
            _ => None,
        }
    }

    /// Its change of a message, if it is one.
    #[must_use]
    pub fn change(&self) -> Option<&Change> {
        match &self.kind {
            EntryKind::Change(change) => Some(change),
            _ => None,
        }
    }
}

impl EntryKind {
    /// A message that has nothing but its content.
    #[must_use]
    pub fn message(content: Content) -> Self {
        Self::Message {
            content,
            extras: None,
        }
    }

    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Message { .. })
    }

    /// The place of the earlier message that it changes or answers.
    #[must_use]
    pub fn about_seq(&self) -> Option<u64> {
        match self {
            Self::Change(change) => Some(change.message_seq),
            Self::Message {
                extras: Some(extras),
                ..
            } => extras.reply_to.as_ref().map(|quote| quote.seq),
            _ => None,
        }
    }

    /// Whether it moves a conversation to the front of lists.
    #[must_use]
    pub fn moves_list(&self) -> bool {
        matches!(self, Self::Message { .. } | Self::Members(_))
    }
}

/// The head of a log. Messages are counted apart from entries, so that entries of other kinds do not
/// change the number of unread messages, and only deletions change the last message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogHead {
    /// The `seq` of the newest entry; 0 while there is none.
    pub seq: u64,
    /// Messages up to it, those that are deleted included.
    pub message_count: u64,
    /// The `seq` of the newest message that no entry up to this head has deleted; 0 while there is
    /// none.
    pub last_message_seq: u64,
}

impl LogHead {
    /// How far the log had got at `seq`, given the same for the nearest entry up to there that is
    /// not a message: everything after that entry is. A store keeps the heads of those entries,
    /// finds one by an index, and needs to keep nothing with a message.
    #[must_use]
    pub fn at(seq: u64, nearest_other: Option<Self>) -> Self {
        let base = nearest_other.unwrap_or_default();
        let messages = seq.saturating_sub(base.seq);
        Self {
            seq,
            message_count: base.message_count + messages,
            last_message_seq: if messages > 0 {
                seq
            } else {
                base.last_message_seq
            },
        }
    }

    /// The head after one more entry.
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

    /// The head after an entry that deletes the last message: `before` is the newest message before
    /// that one which is not deleted, 0 if there is none.
    #[must_use]
    pub fn next_without_last(self, before: u64) -> Self {
        Self {
            last_message_seq: before,
            ..self.next(false)
        }
    }

    /// Messages past a read mark, deleted ones included, given how far the log had got at the mark. A member's own send
    /// moves the mark to itself, so everything past the mark is by others.
    #[must_use]
    pub fn unread(&self, at_mark: Self) -> u64 {
        self.message_count.saturating_sub(at_mark.message_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads after each entry of a log with these kinds, `true` for a message.
    fn heads(kinds: &[bool]) -> Vec<LogHead> {
        kinds
            .iter()
            .scan(LogHead::default(), |head, is_message| {
                *head = head.next(*is_message);
                Some(*head)
            })
            .collect()
    }

    #[test]
    fn m4_every_entry_takes_a_seq_and_only_messages_count_as_unread() {
        let counted: Vec<(u64, u64, u64)> = heads(&[false, true, false, true, false, false])
            .iter()
            .map(|head| (head.seq, head.message_count, head.last_message_seq))
            .collect();
        assert_eq!(
            counted,
            [
                (1, 0, 0),
                (2, 1, 2),
                (3, 1, 2),
                (4, 2, 4),
                (5, 2, 4),
                (6, 2, 4)
            ]
        );
    }

    #[test]
    fn the_head_at_any_entry_follows_from_the_nearest_that_is_not_a_message() {
        for kinds in 0_u32..1 << 8 {
            let kinds: Vec<bool> = (0..8).map(|bit| kinds >> bit & 1 == 1).collect();
            let heads = heads(&kinds);
            for (at, head) in heads.iter().enumerate() {
                let nearest_other = (0..=at).rev().find(|at| !kinds[*at]).map(|at| heads[at]);
                assert_eq!(LogHead::at(head.seq, nearest_other), *head, "{kinds:?}");
            }
        }
        assert_eq!(LogHead::at(0, None), LogHead::default());
    }

    #[test]
    fn m9_unread_counts_messages_past_the_mark() {
        let heads = heads(&[true, true, false, true, false]);
        let head = heads[4];
        assert_eq!(head.unread(LogHead::default()), 3);
        assert_eq!(head.unread(heads[1]), 1);
        assert_eq!(
            head.unread(heads[2]),
            1,
            "the mark is on an entry of another kind"
        );
        assert_eq!(head.unread(heads[3]), 0);
        assert_eq!(head.unread(head), 0);
    }
}

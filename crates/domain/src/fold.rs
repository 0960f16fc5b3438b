//! Messages as they are now: what becomes of a log's messages by the entries after them. A store
//! keeps this beside the log, and must answer as [`fold`] does.

use crate::emoji::Emoji;
use crate::entry::{Change, Entry, EntryKind, Extras, MessageAction};
use crate::identity::UserId;
use crate::message::{Content, excerpt};
use crate::time::Timestamp;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The maximum number of user ids in a reaction; its count includes the others.
pub const REACTION_USERS: usize = 20;

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// An entry of the kind `message`, with its content and mentions as they are now. The content
    /// is empty, and there are no extras, once it is deleted.
    pub entry: Entry,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub pinned_at: Option<Timestamp>,
    /// In the order in which each emoji's first reaction that is still there was added.
    pub reactions: Vec<Reactions>,
}

/// The reactions with one emoji on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reactions {
    pub emoji: Emoji,
    pub count: u64,
    /// Whether one of them is the viewer's.
    pub is_mine: bool,
    /// The first users who reacted, in the order of their reactions: at most [`REACTION_USERS`].
    pub users: Vec<UserId>,
}

impl From<Entry> for Message {
    /// A message that nothing has been done to.
    fn from(entry: Entry) -> Self {
        Self {
            entry,
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
            reactions: Vec::new(),
        }
    }
}

impl Message {
    /// As it was sent, or as it was edited last.
    #[must_use]
    pub fn content(&self) -> &str {
        self.entry.content().map_or("", Content::as_str)
    }

    /// As a member sees it whose log begins at `first_seq`.
    #[must_use]
    pub fn seen_from(self, first_seq: u64) -> Self {
        Self {
            entry: self.entry.seen_from(first_seq),
            ..self
        }
    }

    /// Gives it the content and mentions of an edit.
    pub fn edit(&mut self, content: Content, mentions: Vec<UserId>, at: Timestamp) {
        let extras = Extras {
            mentions,
            ..self.entry.extras().cloned().unwrap_or_default()
        };
        let extras = extras.boxed();
        self.entry.kind = EntryKind::Message { content, extras };
        self.edited_at = Some(at);
    }

    /// Empties it.
    pub fn delete(&mut self, at: Timestamp) {
        self.entry.kind = EntryKind::message(Content::trusted(""));
        self.edited_at = None;
        self.pinned_at = None;
        self.reactions.clear();
        self.deleted_at = Some(at);
    }
}

/// Groups the reactions on a message: who reacted with which emoji, in the order of the entries.
/// Texts become values of their own only where they stay: a message can have thousands of
/// reactions, and few are named.
#[must_use]
pub fn group_reactions<E, U>(
    reactions: impl IntoIterator<Item = (E, U)>,
    viewer: &UserId,
) -> Vec<Reactions>
where
    E: Borrow<str> + Into<Arc<str>>,
    U: Borrow<str> + Into<Arc<str>>,
{
    let mut groups: Vec<Reactions> = Vec::new();
    for (emoji, user) in reactions {
        let at = groups
            .iter()
            .position(|group| group.emoji.as_str() == emoji.borrow());
        let at = at.unwrap_or_else(|| {
            groups.push(Reactions {
                emoji: Emoji::trusted(emoji),
                count: 0,
                is_mine: false,
                users: Vec::new(),
            });
            groups.len() - 1
        });
        let group = &mut groups[at];
        group.count += 1;
        group.is_mine |= user.borrow() == viewer.as_str();
        if group.users.len() < REACTION_USERS {
            group.users.push(UserId::trusted(user));
        }
    }
    groups
}

/// The messages of a log from its first entry on, as `viewer` sees them.
#[must_use]
pub fn fold(log: &[Entry], viewer: &UserId) -> Vec<Message> {
    let mut folded = Folded::default();
    for entry in log {
        match &entry.kind {
            EntryKind::Message { .. } => {
                folded.messages.insert(entry.seq, entry.clone().into());
            }
            EntryKind::Change(change) => folded.apply(change, entry),
            _ => {}
        }
    }
    folded.finish(viewer)
}

#[derive(Default)]
struct Folded {
    messages: BTreeMap<u64, Message>,
    /// By the message, and then by the entry that added each.
    reactions: BTreeMap<(u64, u64), (Emoji, UserId)>,
}

impl Folded {
    fn apply(&mut self, change: &Change, entry: &Entry) {
        let seq = change.message_seq;
        let Some(message) = self.messages.get_mut(&seq) else {
            return;
        };
        if message.deleted_at.is_some() {
            return;
        }
        match &change.action {
            MessageAction::Edit { content, mentions } => {
                message.edit(content.clone(), mentions.clone(), entry.created_at);
            }
            MessageAction::Delete => {
                message.delete(entry.created_at);
                self.reactions.retain(|(of, _), _| *of != seq);
            }
            MessageAction::React { emoji, added } => {
                let reaction = (emoji.clone(), entry.sender.clone());
                self.reactions
                    .retain(|(of, _), there| *of != seq || *there != reaction);
                if *added {
                    self.reactions.insert((seq, entry.seq), reaction);
                }
            }
            MessageAction::Pin { pinned } => {
                message.pinned_at = pinned.then_some(entry.created_at);
            }
        }
    }

    fn finish(mut self, viewer: &UserId) -> Vec<Message> {
        let excerpts: BTreeMap<u64, _> = self
            .messages
            .iter()
            .filter_map(|(seq, message)| Some((*seq, excerpt(message.entry.content()?))))
            .collect();
        for (seq, message) in &mut self.messages {
            let of = self.reactions.range((*seq, 0)..=(*seq, u64::MAX));
            message.reactions = group_reactions(of.map(|(_, there)| there.clone()), viewer);
            if let EntryKind::Message {
                extras: Some(extras),
                ..
            } = &mut message.entry.kind
                && let Some(quote) = &mut extras.reply_to
                && let Some(excerpt) = excerpts.get(&quote.seq)
            {
                quote.excerpt = excerpt.clone();
            }
        }
        self.messages.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Quote;
    use crate::identity::{ConversationId, MessageId};

    fn entry(seq: u64, sender: &str, kind: EntryKind) -> Entry {
        Entry {
            id: MessageId::trusted(format!("m{seq}")),
            conversation: ConversationId::trusted("c"),
            seq,
            sender: UserId::trusted(sender),
            client_message_id: None,
            kind,
            created_at: Timestamp(i64::try_from(seq).unwrap_or(0)),
        }
    }

    fn change(seq: u64, sender: &str, of: u64, action: MessageAction) -> Entry {
        let change = Change {
            message: MessageId::trusted(format!("m{of}")),
            message_seq: of,
            action,
        };
        entry(seq, sender, EntryKind::Change(Box::new(change)))
    }

    fn sent(seq: u64, content: &str) -> Entry {
        entry(seq, "a", EntryKind::message(Content::trusted(content)))
    }

    fn edit(content: &str) -> MessageAction {
        MessageAction::Edit {
            content: Content::trusted(content),
            mentions: Vec::new(),
        }
    }

    fn react(emoji: &str, added: bool) -> MessageAction {
        MessageAction::React {
            emoji: Emoji::trusted(emoji),
            added,
        }
    }

    #[test]
    fn edits_reactions_and_pins_fold_into_the_message() {
        let log = [
            sent(1, "first"),
            change(2, "b", 1, react("👍", true)),
            change(3, "a", 1, edit("second")),
            change(4, "c", 1, react("❤️", true)),
            change(5, "c", 1, react("👍", true)),
            change(6, "b", 1, react("👍", false)),
            change(7, "b", 1, MessageAction::Pin { pinned: true }),
            entry(8, "b", EntryKind::Unknown),
        ];
        let messages = fold(&log, &UserId::trusted("c"));
        let [message] = &messages[..] else {
            panic!("one message")
        };
        assert_eq!(message.content(), "second");
        assert_eq!(message.edited_at, Some(Timestamp(3)));
        assert_eq!(message.pinned_at, Some(Timestamp(7)));
        let reactions: Vec<_> = message
            .reactions
            .iter()
            .map(|of| (of.emoji.as_str(), of.count, of.is_mine, of.users.len()))
            .collect();
        assert_eq!(reactions, [("❤️", 1, true, 1), ("👍", 1, true, 1)]);
    }

    #[test]
    fn a_deleted_message_is_empty_and_cannot_change() {
        let mut answer = sent(2, "answer");
        let quote = Quote {
            id: MessageId::trusted("m1"),
            seq: 1,
            sender: UserId::trusted("a"),
            excerpt: "secret".into(),
        };
        answer.kind = EntryKind::Message {
            content: Content::trusted("answer"),
            extras: Extras {
                reply_to: Some(quote),
                ..Extras::default()
            }
            .boxed(),
        };
        let log = [
            sent(1, "secret"),
            answer,
            change(3, "b", 1, react("👍", true)),
            change(4, "a", 1, MessageAction::Delete),
            change(5, "a", 1, edit("back")),
            change(6, "b", 1, react("👍", true)),
        ];
        let messages = fold(&log, &UserId::trusted("b"));
        assert_eq!(messages[0].content(), "");
        assert_eq!(messages[0].deleted_at, Some(Timestamp(4)));
        assert_eq!(messages[0].reactions, []);
        let quoted = messages[1]
            .entry
            .extras()
            .and_then(|extras| extras.reply_to.as_ref());
        assert_eq!(quoted.map(|quote| &*quote.excerpt), Some(""));
    }

    #[test]
    fn a_reaction_names_its_first_twenty_users() {
        let reactions = (0..25).map(|n| (Emoji::trusted("👍"), UserId::trusted(format!("u{n}"))));
        let groups = group_reactions(reactions, &UserId::trusted("u24"));
        assert_eq!((groups[0].count, groups[0].is_mine), (25, true));
        assert_eq!(groups[0].users.len(), 20);
        assert_eq!(groups[0].users[19].as_str(), "u19");
    }
}

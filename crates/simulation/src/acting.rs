//! Edits, deletions and reactions, with the rules and the fold of the domain.

use crate::entry::{Change, Entry, HOST, Kind};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{self as domain, EntryKind, MessageAction};
use lamplight_domain::fold::{Message, fold};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::message_rules::{Actor, MessageState, ReactionState, Verdict};
use lamplight_domain::permission::Role;
use lamplight_domain::time::Timestamp;

/// A write that the store refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

pub(crate) const EMOJIS: [&str; 3] = ["👍", "🎉", "❤️"];

/// Decides what becomes of a change, in the store's transaction.
///
/// # Errors
/// When it is refused.
pub(crate) fn judge(
    log: &[Entry],
    sender: usize,
    of: u64,
    change: Change,
    (role, is_direct): (Role, bool),
) -> Result<Verdict, Refused> {
    let message = log
        .iter()
        .find(|entry| entry.seq == of && entry.kind == Kind::Message);
    let message = message.ok_or(Refused)?;
    let mut state = MessageState {
        seq: of,
        sender: user(message.sender),
        created_at: Timestamp(0),
        content: sent_text(message),
        mentions: Vec::new(),
        content_seq: of,
        deleted_seq: None,
        pinned_seq: None,
        reactions: ReactionState::default(),
    };
    let mut there: Vec<(usize, usize, u64)> = Vec::new();
    for entry in log {
        let Kind::Change { of: other, change } = entry.kind else {
            continue;
        };
        if other != of {
            continue;
        }
        match change {
            Change::Edit { text } => {
                state.content = Content::trusted(text.to_string());
                state.content_seq = entry.seq;
            }
            Change::Delete => state.deleted_seq = Some(entry.seq),
            Change::React { emoji, added } => {
                there.retain(|(kind, by, _)| (*kind, *by) != (emoji, entry.sender));
                if added {
                    there.push((emoji, entry.sender, entry.seq));
                }
            }
        }
    }
    if let Change::React { emoji, .. } = change {
        let is_own = |(_, by, _): &&(usize, usize, u64)| *by == sender;
        state.reactions = ReactionState {
            kinds: (0..EMOJIS.len())
                .filter(|kind| there.iter().any(|(one, ..)| one == kind))
                .count(),
            has_kind: there.iter().any(|(kind, ..)| *kind == emoji),
            own: there.iter().filter(is_own).count(),
            own_seq: there
                .iter()
                .filter(is_own)
                .find(|(kind, ..)| *kind == emoji)
                .map(|(.., seq)| *seq),
        };
    }
    let actor = Actor {
        user: &user(sender),
        role,
        is_direct,
        pins: 0,
        editable_since: None,
    };
    lamplight_domain::message_rules::judge(&action(change), &state, &actor).map_err(|_| Refused)
}

/// The messages of a log as they are now.
pub(crate) fn messages(log: &[Entry], viewer: usize) -> Vec<Message> {
    let entries: Vec<domain::Entry> = log.iter().map(domain_entry).collect();
    fold(&entries, &user(viewer))
}

/// An entry as a member sees it whose log begins at `first_seq`.
pub(crate) fn seen_from(entry: &Entry, first_seq: u64) -> Entry {
    if first_seq <= 1 || domain_entry(entry).seen_from(first_seq).kind != EntryKind::Hidden {
        return *entry;
    }
    without_past(entry)
}

/// An entry for a member whose log begins after the message that it refers to.
pub(crate) fn without_past(entry: &Entry) -> Entry {
    match domain_entry(entry).without_past().kind {
        EntryKind::Hidden => Entry {
            kind: Kind::Hidden,
            ..*entry
        },
        _ => *entry,
    }
}

pub(crate) fn domain_entry(entry: &Entry) -> domain::Entry {
    let id = |seq: u64| MessageId::trusted(format!("c{}-{seq}", entry.conversation));
    domain::Entry {
        id: id(entry.seq),
        conversation: ConversationId::trusted(format!("c{}", entry.conversation)),
        seq: entry.seq,
        sender: user(entry.sender),
        client_message_id: None,
        kind: match entry.kind {
            Kind::Message => EntryKind::message(sent_text(entry)),
            Kind::Change { of, change } => EntryKind::Change(Box::new(domain::Change {
                message: id(of),
                message_seq: of,
                action: action(change),
            })),
            Kind::Members(change) => EntryKind::Members(Box::new(domain::MembersChange {
                added: change.added.map(user).into_iter().collect(),
                removed: change.removed.map(user).into_iter().collect(),
                roles: change
                    .role
                    .map(|(of, role)| (user(of), role))
                    .into_iter()
                    .collect(),
            })),
            Kind::Hidden | Kind::Asked(_) => EntryKind::Hidden,
        },
        created_at: Timestamp(i64::try_from(entry.seq).unwrap_or(i64::MAX)),
    }
}

fn action(change: Change) -> MessageAction {
    match change {
        Change::Edit { text } => MessageAction::Edit {
            content: Content::trusted(text.to_string()),
            mentions: Vec::new(),
        },
        Change::Delete => MessageAction::Delete,
        Change::React { emoji, added } => MessageAction::React {
            emoji: Emoji::trusted(EMOJIS[emoji]),
            added,
        },
    }
}

/// The text that a message was sent with.
fn sent_text(entry: &Entry) -> Content {
    Content::trusted(format!("as sent: {}", entry.id))
}

pub(crate) fn user(number: usize) -> UserId {
    if number == HOST {
        return UserId::host();
    }
    UserId::trusted(format!("u{number}"))
}

/// The number of a user's id.
pub(crate) fn number(user: &UserId) -> usize {
    user.as_str()[1..].parse().unwrap_or(HOST)
}

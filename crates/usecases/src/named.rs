//! Finds the users in a page of a log who are not in the conversation's list of members. The answer
//! includes their profiles.

use crate::ports::SentFile;
use crate::weight;
use lamplight_domain::conversation::{Members, SHOWN_MEMBERS};
use lamplight_domain::entry::{Entry, EntryKind, MessageAction};
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{Profile, UserId};
use std::collections::{HashMap, HashSet};

/// The most profiles beside a page: each of the 200 messages that a page has at most can be of a
/// sender of its own.
const MOST: usize = 250;
/// The most bytes of these profiles as JSON.
const MOST_BYTES: usize = 100_000;

/// The users in these messages who are not in these members, at most as many as fit beside a page.
/// Senders come first, then the senders of quoted messages, mentioned users, and users who reacted.
#[must_use]
pub fn in_messages(messages: &[Message], members: &Members) -> Vec<UserId> {
    let mut named = Named::new(members);
    named.add_all(messages, |message| [&message.entry.sender]);
    named.add_all(messages, |message| quoted(&message.entry.kind));
    named.add_all(messages, |message| mentioned(&message.entry.kind));
    named.add_all(messages, |message| {
        message.reactions.iter().flat_map(|of| &of.users)
    });
    named.wanted
}

/// The same for entries: senders come first, then the senders of quoted messages, added and removed
/// members, and mentioned users.
#[must_use]
pub fn in_entries(entries: &[Entry], members: &Members) -> Vec<UserId> {
    let mut named = Named::new(members);
    named.add_all(entries, |entry| {
        let is_shown = !matches!(entry.kind, EntryKind::Hidden | EntryKind::Unknown);
        entry.author().filter(|_| is_shown)
    });
    named.add_all(entries, |entry| quoted(&entry.kind));
    named.add_all(entries, |entry| {
        let change = entry.members_change();
        change.into_iter().flat_map(|change| {
            let roles = change.roles.iter().map(|(user, _)| user);
            change.added.iter().chain(&change.removed).chain(roles)
        })
    });
    named.add_all(entries, |entry| mentioned(&entry.kind));
    named.wanted
}

/// The senders of these files.
#[must_use]
pub fn in_files(files: &[SentFile], members: &Members) -> Vec<UserId> {
    let mut named = Named::new(members);
    named.add_all(files, |file| [&file.sender]);
    named.wanted
}

/// The profiles that were found, in the order in which they are wanted, as far as they fit.
#[must_use]
pub fn fitting(wanted: &[UserId], found: impl IntoIterator<Item = Profile>) -> Vec<Profile> {
    let mut found: HashMap<UserId, Profile> = found
        .into_iter()
        .map(|profile| (profile.id.clone(), profile))
        .collect();
    let mut profiles: Vec<Profile> = wanted.iter().filter_map(|id| found.remove(id)).collect();
    profiles.truncate(weight::fitting(&profiles, MOST_BYTES, |profile| {
        weight::member(profile)
    }));
    profiles
}

fn quoted(kind: &EntryKind) -> Option<&UserId> {
    match kind {
        EntryKind::Message {
            extras: Some(extras),
            ..
        } => extras.reply_to.as_ref().map(|quote| &quote.sender),
        _ => None,
    }
}

fn mentioned(kind: &EntryKind) -> &[UserId] {
    match kind {
        EntryKind::Message {
            extras: Some(extras),
            ..
        } => &extras.mentions,
        EntryKind::Change(change) => match &change.action {
            MessageAction::Edit { mentions, .. } => mentions,
            _ => &[],
        },
        _ => &[],
    }
}

/// Gathers users, each once.
struct Named<'a> {
    /// The members that a client has.
    shown: &'a [UserId],
    met: HashSet<&'a UserId>,
    wanted: Vec<UserId>,
}

impl<'a> Named<'a> {
    fn new(members: &'a Members) -> Self {
        Self {
            shown: &members[..members.len().min(SHOWN_MEMBERS)],
            met: HashSet::new(),
            wanted: Vec::new(),
        }
    }

    fn add_all<'b: 'a, T, U: IntoIterator<Item = &'b UserId>>(
        &mut self,
        of: &'b [T],
        users: impl Fn(&'b T) -> U,
    ) {
        for user in of.iter().flat_map(users) {
            if self.wanted.len() == MOST {
                return;
            }
            // Members are in the order of their ids.
            if self.met.insert(user) && self.shown.binary_search(user).is_err() {
                self.wanted.push(user.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::identity::{ConversationId, MessageId};
    use lamplight_domain::message::Content;
    use lamplight_domain::time::Timestamp;

    fn message(seq: u64, sender: &str) -> Message {
        Message::from(Entry {
            id: MessageId::trusted(format!("m{seq}")),
            conversation: ConversationId::trusted("c"),
            seq,
            sender: UserId::trusted(sender),
            client_message_id: None,
            kind: EntryKind::message(Content::trusted("x")),
            created_at: Timestamp(0),
        })
    }

    #[test]
    fn the_profiles_beside_a_page_are_bounded() {
        let members: Members = [UserId::trusted("a")].into();
        let messages: Vec<Message> = (1..=1_000)
            .map(|seq| message(seq, &format!("sender {}", seq % 500)))
            .chain([message(0, "a")])
            .collect();
        let wanted = in_messages(&messages, &members);
        assert_eq!((wanted.len(), wanted[0].as_str()), (MOST, "sender 1"));
        let profile = |id: &UserId| Profile {
            id: id.clone(),
            name: "n".repeat(1_000).into(),
            avatar_url: None,
        };
        let fits = fitting(&wanted, wanted.iter().rev().map(profile));
        assert!((90..100).contains(&fits.len()), "{}", fits.len());
        assert_eq!(fits[0].id, wanted[0]);
        assert!(fitting(&[], []).is_empty());
    }
}

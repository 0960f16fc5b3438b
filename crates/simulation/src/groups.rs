//! Changes of members, and blocks: the store's use of the domain's rules about groups.

use crate::acting::{Refused, domain_entry, number, seen_from, user};
use crate::bug::Bug;
use crate::database::{Appended, Conversation, Database, Standing, SyncPage};
use crate::entry::{Change, ClientMessageId, Entry, GroupChange, HOST, Kind, MembersChange};
use lamplight_domain::group::{
    GroupAction, GroupMember, GroupState, GroupVerdict, GroupWrite, History, Readers, begins_anew,
    is_group,
};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::permission::Role;
use lamplight_domain::time::Timestamp;
use std::rc::Rc;

/// The receivers of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Receivers {
    pub(crate) to: Rc<[usize]>,
    /// Those of them whose logs begin after the message that it refers to.
    pub(crate) newcomers: Rc<[usize]>,
}

/// The receivers of an entry that is read from the log.
pub(crate) fn receivers(readers: &Readers, entry: &Entry) -> Receivers {
    let receivers = readers.receivers(&domain_entry(entry));
    let numbers = |ids: &[UserId]| ids.iter().map(number).collect();
    Receivers {
        to: numbers(&receivers.to),
        newcomers: numbers(&receivers.newcomers),
    }
}

impl Conversation {
    pub(crate) fn is_direct(&self) -> bool {
        !is_group(self.is_group, self.members.len())
    }

    pub(crate) fn first_seq(&self, user: usize) -> u64 {
        self.standing.get(&user).map_or(0, |of| of.first_seq)
    }

    fn all_see_all(&self) -> bool {
        self.readers.first_seqs.is_empty()
    }

    /// The members, and those for whom the entry's message is before their log.
    pub(crate) fn receivers(&self, entry: &Entry) -> Receivers {
        if self.all_see_all() && !matches!(entry.kind, Kind::Members(_)) {
            return Receivers {
                to: self.members.keys().copied().collect(),
                newcomers: Rc::from([]),
            };
        }
        receivers(&self.readers, entry)
    }

    /// Where the log began for a user who was, or is, a member at this `seq`.
    pub(crate) fn first_seq_at(&self, user: usize, seq: u64) -> Option<u64> {
        let spans = self.spans.get(&user)?.iter();
        let mut spans =
            spans.filter(|(first, last)| *first <= seq && last.is_none_or(|last| seq <= last));
        spans.next_back().map(|(first, _)| *first)
    }

    /// The log as a member sees it who reads all of it now.
    pub(crate) fn view(&self, user: usize) -> Vec<Entry> {
        let first_seq = self.first_seq(user);
        let begun = self.log.iter().filter(|entry| entry.seq >= first_seq);
        begun.map(|entry| seen_from(entry, first_seq)).collect()
    }

    fn state(&self) -> GroupState {
        let member = |(number, of): (&usize, &Standing)| GroupMember {
            user: user(*number),
            role: of.role,
            joined_seq: of.joined_seq,
            role_seq: of.role_seq,
        };
        GroupState {
            members: self.standing.iter().map(member).collect(),
            is_recorded: self.is_group,
            history: History::Joined,
            ..GroupState::default()
        }
    }

    fn apply(&mut self, change: MembersChange, seq: u64) {
        use lamplight_domain::marks::Marks;
        if let Some(gone) = change.removed {
            self.members.remove(&gone);
            self.standing.remove(&gone);
            if let Some(span) = self.spans.entry(gone).or_default().last_mut() {
                span.1 = Some(seq);
            }
        }
        if let Some(new) = change.added {
            self.members.insert(new, Marks::all_at(seq));
            self.standing.insert(
                new,
                Standing {
                    first_seq: seq,
                    joined_seq: seq,
                    role: Role::Member,
                    role_seq: seq,
                },
            );
            self.spans.entry(new).or_default().push((seq, None));
        }
        if let Some((of, role)) = change.role
            && let Some(standing) = self.standing.get_mut(&of)
        {
            standing.role = role;
            standing.role_seq = seq;
        }
        self.read_members();
    }

    /// To be called when the members have changed.
    pub(crate) fn read_members(&mut self) {
        let members = self.standing.iter();
        let members = members.map(|(number, of)| (user(*number), of.first_seq));
        self.readers = Rc::new(Readers::new(members.collect()));
    }
}

impl Database {
    /// One transaction: the rules of groups, the entry, the members. By the host application without
    /// a sender.
    ///
    /// # Errors
    /// If the rules refuse it.
    pub(crate) fn change_group(
        &mut self,
        conversation: usize,
        sender: Option<(usize, ClientMessageId)>,
        change: GroupChange,
    ) -> Result<Appended, Refused> {
        let held = &self.conversations[conversation];
        let state = held.state();
        let by = sender.map_or_else(UserId::host, |(sender, _)| user(sender));
        let write = GroupWrite {
            id: MessageId::trusted("e"),
            conversation: ConversationId::trusted("c"),
            sender: by,
            action: match change {
                GroupChange::Add(of) => GroupAction::Add(vec![user(of)]),
                GroupChange::Remove(of) => GroupAction::Remove(user(of)),
                GroupChange::SetRole(of, role) => GroupAction::SetRole(user(of), role),
            },
            key: None,
            created_at: Timestamp(0),
            limit: 1_000,
        };
        let change = match state.judge(&write).map_err(|_| Refused)? {
            GroupVerdict::Members(change) => change,
            GroupVerdict::Unchanged(seq) => {
                let made_by = held.log.iter().find(|entry| entry.seq == seq);
                return Ok(Appended::duplicate(*made_by.ok_or(Refused)?));
            }
            GroupVerdict::Details(_) => return Err(Refused),
        };
        let mut made = MembersChange {
            added: change.added.first().map(number),
            removed: change.removed.first().map(number),
            role: change.roles.first().map(|(of, role)| (number(of), *role)),
        };
        if self.bug == Some(Bug::NoHandOver) && made.removed.is_some() {
            made.role = None;
        }
        let to = state.before_and_after(&change).iter().map(number).collect();
        let key = sender.map_or((HOST, self.commits.len() as u64), |(_, key)| key);
        let by = sender.map_or(HOST, |(sender, _)| sender);
        let entry = self.insert(conversation, by, key, Kind::Members(made));
        let held = &mut self.conversations[conversation];
        held.apply(made, entry.seq);
        Ok(Appended {
            entry,
            duplicate: false,
            receivers: Receivers {
                to,
                newcomers: Rc::from([]),
            },
            receipt: None,
            changed: Some(held.members.keys().copied().collect()),
        })
    }

    /// The entries that a member with a log up to `have` missed.
    pub(crate) fn missed(&self, user: usize, conversation: usize, have: u64) -> SyncPage {
        let held = &self.conversations[conversation];
        let ignores_first = self.bug == Some(Bug::FirstSeqIgnored);
        let first_seq = if ignores_first {
            0
        } else {
            held.first_seq(user)
        };
        let reset = begins_anew(have, first_seq) && self.bug != Some(Bug::NotAnew);
        let after = if reset { 0 } else { have };
        let entries = held.log.iter();
        let entries = entries.filter(|entry| entry.seq > after && entry.seq >= first_seq);
        SyncPage {
            entries: entries.map(|entry| seen_from(entry, first_seq)).collect(),
            first_seq,
            reset,
            read: held.members[&user].read,
            receipts: held
                .members
                .iter()
                .map(|(user, marks)| (*user, marks.visible_read))
                .collect(),
        }
    }

    pub(crate) fn set_block(&mut self, by: usize, of: usize, is_blocked: bool) {
        if is_blocked {
            self.blocks.insert((by, of));
        } else {
            self.blocks.remove(&(by, of));
        }
        let position = self.commits.len();
        self.block_log.push((position, (by, of), is_blocked));
    }

    /// Whether a block keeps this from being written.
    pub(crate) fn is_blocked(&self, sender: usize, conversation: usize, kind: Kind) -> bool {
        let held = &self.conversations[conversation];
        let other = held.members.keys().find(|other| **other != sender);
        let Some(other) = other.filter(|_| held.is_direct()) else {
            return false;
        };
        let pairs = [(sender, *other), (*other, sender)];
        pairs.iter().any(|pair| self.blocks.contains(pair)) && !held.deletes_own(sender, kind)
    }
}

impl Conversation {
    /// Deleting own messages is still allowed.
    pub(crate) fn deletes_own(&self, sender: usize, kind: Kind) -> bool {
        let Kind::Change {
            of,
            change: Change::Delete,
        } = kind
        else {
            return false;
        };
        let message = self.log.iter().find(|entry| entry.seq == of);
        message.is_some_and(|message| message.sender == sender)
    }
}

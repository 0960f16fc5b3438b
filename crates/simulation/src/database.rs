//! The simulated PostgreSQL: one order of commits. Permissions, marks and counts are the domain's.

use crate::acting::{Refused, judge};
use crate::bug::Bug;
use crate::entry::{Change, ClientMessageId, Entry, Kind};
use lamplight_domain::entry::LogHead;
use lamplight_domain::marks::{Mark, Marks};
use lamplight_domain::message_rules::Verdict;
use lamplight_domain::permission::{Action, Role, authorize};
use lamplight_domain::presence::{ManualStatus, SavedStatus, StatusOverride, next_version};
use lamplight_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) members: BTreeMap<usize, Marks>,
    pub(crate) log: Vec<Entry>,
    pub(crate) head: LogHead,
    /// The heads at the entries that are no messages.
    others: BTreeMap<u64, LogHead>,
    /// Deleted messages.
    deleted: BTreeSet<u64>,
    /// Users who are not members any more, with the head at their removal.
    pub(crate) removed: BTreeMap<usize, u64>,
    /// For [`Bug::SeqFromSequence`].
    sequence: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) entry: Entry,
    pub(crate) duplicate: bool,
    pub(crate) to: Rc<[usize]>,
    /// The sender's marks passed entries of others.
    pub(crate) receipt: Option<Receipt>,
}

/// What one member's devices and the others see of the member's marks.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) conversation: usize,
    pub(crate) user: usize,
    pub(crate) read: u64,
    pub(crate) visible_read: u64,
    pub(crate) to: Rc<[usize]>,
}

#[derive(Clone, Debug)]
pub(crate) struct SyncPage {
    pub(crate) entries: Vec<Entry>,
    pub(crate) read: u64,
    /// The visible read marks.
    pub(crate) receipts: Vec<(usize, u64)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    pub(crate) status: SavedStatus,
    pub(crate) last_seen: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) conversations: Vec<Conversation>,
    /// The order of commits: the place of each entry.
    pub(crate) commits: Vec<(usize, usize)>,
    pub(crate) people: Vec<Person>,
    /// How far the republisher has got.
    pub(crate) republished: usize,
    dedupe: BTreeMap<(usize, usize, ClientMessageId), usize>,
    last_id: u64,
    bug: Option<Bug>,
}

impl Conversation {
    /// The head after one more entry.
    fn head_after(&self, kind: Kind) -> LogHead {
        let deletes_last = matches!(kind, Kind::Change { of, change: Change::Delete }
            if of == self.head.last_message_seq);
        if !deletes_last {
            return self.head.next(kind == Kind::Message);
        }
        let mut before = self.head.last_message_seq;
        loop {
            before = self.head_at(before - 1).last_message_seq;
            if before == 0 || !self.deleted.contains(&before) {
                return self.head.next_without_last(before);
            }
        }
    }

    /// How far the log had got at a `seq`, from the heads that are kept.
    pub(crate) fn head_at(&self, seq: u64) -> LogHead {
        let nearest = self.others.range(..=seq).next_back();
        LogHead::at(seq, nearest.map(|(_, head)| *head))
    }

    /// Messages past a mark that are not deleted, from what is kept beside the log.
    pub(crate) fn unread(&self, mark: u64) -> u64 {
        let deleted = self.deleted.range(mark + 1..).count() as u64;
        self.head.unread(self.head_at(mark)) - deleted
    }
}

impl Database {
    pub(crate) fn new(members: &[&[usize]], users: usize, bug: Option<Bug>) -> Self {
        let conversations = members.iter().map(|members| Conversation {
            members: members
                .iter()
                .map(|user| (*user, Marks::default()))
                .collect(),
            log: Vec::new(),
            head: LogHead::default(),
            others: BTreeMap::new(),
            deleted: BTreeSet::new(),
            removed: BTreeMap::new(),
            sequence: 0,
        });
        Self {
            conversations: conversations.collect(),
            commits: Vec::new(),
            people: vec![Person::default(); users],
            republished: 0,
            dedupe: BTreeMap::new(),
            last_id: 0,
            bug,
        }
    }

    pub(crate) fn members(&self, conversation: usize) -> Rc<[usize]> {
        self.conversations[conversation]
            .members
            .keys()
            .copied()
            .collect()
    }

    fn may(&self, user: usize, conversation: usize, action: Action) -> bool {
        let is_member = self.conversations[conversation].members.contains_key(&user);
        authorize(is_member.then_some(Role::Member), action).is_ok()
    }

    /// One transaction: membership, deduplication, the rules for what is done to messages, the next
    /// `seq`, the entry, the sender's marks. `keyed` is whether a repetition is looked for.
    ///
    /// # Errors
    /// If the sender is not in the conversation, or the rules refuse the change.
    pub(crate) fn append(
        &mut self,
        sender: usize,
        conversation: usize,
        key: ClientMessageId,
        kind: Kind,
        keyed: bool,
    ) -> Result<Appended, Refused> {
        if !self.may(sender, conversation, Action::Write) {
            return Err(Refused);
        }
        let to = self.members(conversation);
        let dedupe_key = (conversation, sender, key);
        if keyed && let Some(place) = self.dedupe.get(&dedupe_key) {
            return Ok(Appended {
                entry: self.conversations[conversation].log[*place],
                duplicate: true,
                to,
                receipt: None,
            });
        }
        if let Kind::Change { of, change } = kind
            && self.bug != Some(Bug::NotJudged)
        {
            let held = &self.conversations[conversation];
            let is_direct = held.members.len() == 2;
            if let Verdict::Unchanged(seq) = judge(&held.log, sender, of, change, is_direct)? {
                let made_by = held.log.iter().find(|entry| entry.seq == seq);
                return Ok(Appended {
                    entry: *made_by.ok_or(Refused)?,
                    duplicate: true,
                    to,
                    receipt: None,
                });
            }
        }
        self.last_id += 1;
        let id = self.last_id;
        let held = &mut self.conversations[conversation];
        held.head = held.head_after(kind);
        held.sequence += 1;
        let seq = if self.bug == Some(Bug::SeqFromSequence) {
            held.sequence
        } else {
            held.head.seq
        };
        let entry = Entry {
            conversation,
            seq,
            id,
            sender,
            key,
            kind,
        };
        let mut receipt = None;
        match kind {
            Kind::Message => {
                let marks = held.members.entry(sender).or_default();
                receipt = marks.covered_by_send(seq).map(|_| Receipt {
                    conversation,
                    user: sender,
                    read: seq,
                    visible_read: seq,
                    to: Rc::clone(&to),
                });
                *marks = Marks::all_at(seq);
            }
            Kind::Change { of, change } => {
                held.others.insert(seq, held.head);
                if change == Change::Delete && self.bug != Some(Bug::DeletedStayUnread) {
                    held.deleted.insert(of);
                }
            }
        }
        held.log.push(entry);
        let place = held.log.len() - 1;
        self.commits.push((conversation, place));
        self.dedupe.insert(dedupe_key, place);
        Ok(Appended {
            entry,
            duplicate: false,
            to,
            receipt,
        })
    }

    /// A transaction for an append that rolls back.
    pub(crate) fn roll_back(&mut self, conversation: usize) {
        self.conversations[conversation].sequence += 1;
    }

    pub(crate) fn mark_read(
        &mut self,
        user: usize,
        conversation: usize,
        seq: u64,
    ) -> Option<Receipt> {
        if !self.may(user, conversation, Action::Mark) {
            return None;
        }
        let is_invisible = self.is_invisible(user);
        let to = self.members(conversation);
        let held = &mut self.conversations[conversation];
        let head = held.head.seq;
        let marks = held.members.get_mut(&user)?;
        *marks = if self.bug == Some(Bug::MarksSet) {
            Marks::all_at(seq.min(head))
        } else {
            marks.advance(Mark::Read, seq, head, is_invisible)
        };
        Some(Receipt {
            conversation,
            user,
            read: marks.read,
            visible_read: marks.visible_read,
            to,
        })
    }

    pub(crate) fn sync(&self, user: usize, conversation: usize, have: u64) -> Option<SyncPage> {
        if !self.may(user, conversation, Action::View) {
            return None;
        }
        let held = &self.conversations[conversation];
        Some(SyncPage {
            entries: held
                .log
                .iter()
                .filter(|entry| entry.seq > have)
                .copied()
                .collect(),
            read: held.members[&user].read,
            receipts: held
                .members
                .iter()
                .map(|(user, marks)| (*user, marks.visible_read))
                .collect(),
        })
    }

    /// Adds the user to a conversation with everything read, or removes them.
    pub(crate) fn set_member(&mut self, conversation: usize, user: usize, is_member: bool) {
        let held = &mut self.conversations[conversation];
        if !is_member {
            if held.members.remove(&user).is_some() {
                held.removed.insert(user, held.head.seq);
            }
        } else if !held.members.contains_key(&user) {
            held.members.insert(user, Marks::all_at(held.head.seq));
            held.removed.remove(&user);
        }
    }

    pub(crate) fn set_status(
        &mut self,
        user: usize,
        status: ManualStatus,
        wall: Timestamp,
    ) -> (SavedStatus, Vec<Receipt>) {
        let person = &mut self.people[user];
        person.status = SavedStatus {
            chosen: StatusOverride {
                status,
                text: None,
                until: None,
            },
            revision: next_version(person.status.revision, wall),
        };
        let status = person.status.clone();
        let mut receipts = Vec::new();
        if !self.is_invisible(user) {
            // The marks that others see catch up.
            for (conversation, held) in self.conversations.iter_mut().enumerate() {
                let (head, to) = (held.head.seq, held.members.keys().copied().collect());
                let Some(marks) = held.members.get_mut(&user) else {
                    continue;
                };
                let before = *marks;
                *marks = marks.advance(Mark::Delivered, 0, head, false);
                if marks.newly_covered(before).is_some() {
                    receipts.push(Receipt {
                        conversation,
                        user,
                        read: marks.read,
                        visible_read: marks.visible_read,
                        to,
                    });
                }
            }
        }
        (status, receipts)
    }

    pub(crate) fn is_invisible(&self, user: usize) -> bool {
        self.people[user].status.chosen.status == ManualStatus::Invisible
    }

    pub(crate) fn seen(&mut self, user: usize, at: Timestamp) {
        let held = &mut self.people[user].last_seen;
        *held = Some(held.map_or(at, |before| before.advance_to(at)));
    }

    /// Whether the log has this entry.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        let log = &self.conversations[entry.conversation].log;
        let near = usize::try_from(entry.seq).unwrap_or(0).saturating_sub(1);
        log.get(near) == Some(entry) || log.contains(entry)
    }
}

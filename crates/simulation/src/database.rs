//! The simulated PostgreSQL: one order of commits. Permissions, marks and counts are the domain's.

use crate::acting::{Refused, domain_entry, judge, number};
use crate::bug::Bug;
use crate::entry::{Change, ClientMessageId, Entry, Kind};
use crate::groups::Receivers;
use crate::names::CHANGING;
use lamplight_domain::entry::LogHead;
use lamplight_domain::group::Readers;
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
    /// Of the same members.
    pub(crate) standing: BTreeMap<usize, Standing>,
    /// A group, which shows newcomers what follows the entry that added them.
    pub(crate) is_group: bool,
    pub(crate) readers: Rc<Readers>,
    /// When each user was a member: from which `seq`, and up to the one that removed them.
    pub(crate) spans: BTreeMap<usize, Vec<(u64, Option<u64>)>>,
    pub(crate) log: Vec<Entry>,
    pub(crate) head: LogHead,
    /// The heads at the entries that are no messages.
    others: BTreeMap<u64, LogHead>,
    /// Deleted messages.
    deleted: BTreeSet<u64>,
    /// For [`Bug::SeqFromSequence`].
    sequence: u64,
}

/// A membership without its marks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// Where their log begins.
    pub(crate) first_seq: u64,
    pub(crate) joined_seq: u64,
    pub(crate) role: Role,
    pub(crate) role_seq: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) entry: Entry,
    pub(crate) duplicate: bool,
    pub(crate) receivers: Receivers,
    /// The sender's marks passed entries of others.
    pub(crate) receipt: Option<Receipt>,
    /// The members for whom the conversation changed.
    pub(crate) changed: Option<Rc<[usize]>>,
}

/// The marks of a member, as seen by the member's devices and by others.
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
    pub(crate) first_seq: u64,
    /// The client drops its data.
    pub(crate) reset: bool,
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
    /// Blocks: blocker and blocked user.
    pub(crate) blocks: BTreeSet<(usize, usize)>,
    /// Each change of them, with the number of entries that were committed before it.
    pub(crate) block_log: Vec<(usize, (usize, usize), bool)>,
    pub(crate) bug: Option<Bug>,
}

impl Appended {
    /// An earlier write made this entry.
    pub(crate) fn duplicate(entry: Entry) -> Self {
        Self {
            entry,
            duplicate: true,
            receivers: Receivers {
                to: Rc::from([]),
                newcomers: Rc::from([]),
            },
            receipt: None,
            changed: None,
        }
    }
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

    /// Messages past a mark that are not deleted, by the state beside the log.
    pub(crate) fn unread(&self, mark: u64) -> u64 {
        let deleted = self.deleted.range(mark + 1..).count() as u64;
        self.head.unread(self.head_at(mark)) - deleted
    }
}

impl Database {
    pub(crate) fn new(members: &[&[usize]], users: usize, bug: Option<Bug>) -> Self {
        let conversations = members.iter().enumerate();
        let conversations = conversations.map(|(place, members)| Conversation {
            standing: members
                .iter()
                .map(|user| (*user, Standing::default()))
                .collect(),
            is_group: place == CHANGING,
            readers: Rc::default(),
            spans: members
                .iter()
                .map(|user| (*user, vec![(0, None)]))
                .collect(),
            members: members
                .iter()
                .map(|user| (*user, Marks::default()))
                .collect(),
            log: Vec::new(),
            head: LogHead::default(),
            others: BTreeMap::new(),
            deleted: BTreeSet::new(),
            sequence: 0,
        });
        let mut conversations: Vec<Conversation> = conversations.collect();
        if let Some(first) = conversations[CHANGING].standing.values_mut().next() {
            first.role = Role::Owner;
        }
        for conversation in &mut conversations {
            conversation.read_members();
        }
        Self {
            conversations,
            commits: Vec::new(),
            people: vec![Person::default(); users],
            republished: 0,
            dedupe: BTreeMap::new(),
            last_id: 0,
            blocks: BTreeSet::new(),
            block_log: Vec::new(),
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
        let held = &self.conversations[conversation];
        authorize(held.standing.get(&user).map(|of| of.role), action).is_ok()
    }

    /// One transaction: membership, deduplication, blocks, the rules for changes of messages, the
    /// next `seq`, the entry, the sender's marks. `keyed` is whether a repetition is looked for.
    ///
    /// # Errors
    /// If the sender is not in the conversation, a block is in the way, or the rules refuse it.
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
        let dedupe_key = (conversation, sender, key);
        if keyed && let Some(place) = self.dedupe.get(&dedupe_key) {
            let entry = self.conversations[conversation].log[*place];
            return Ok(Appended::duplicate(entry));
        }
        if self.bug != Some(Bug::BlocksCached) && self.is_blocked(sender, conversation, kind) {
            return Err(Refused);
        }
        if let Kind::Asked(change) = kind {
            return self.change_group(conversation, Some((sender, key)), change);
        }
        if let Kind::Change { of, change } = kind
            && self.bug != Some(Bug::NotJudged)
        {
            let held = &self.conversations[conversation];
            let standing = held.standing[&sender];
            if of < standing.first_seq {
                return Err(Refused);
            }
            let actor = (standing.role, held.is_direct());
            if let Verdict::Unchanged(seq) = judge(&held.log, sender, of, change, actor)? {
                let made_by = held.log.iter().find(|entry| entry.seq == seq);
                return Ok(Appended::duplicate(*made_by.ok_or(Refused)?));
            }
        }
        let entry = self.insert(conversation, sender, key, kind);
        let held = &mut self.conversations[conversation];
        let mut receipt = None;
        if kind == Kind::Message {
            let to: Rc<[usize]> = held.members.keys().copied().collect();
            let marks = held.members.entry(sender).or_default();
            receipt = marks.covered_by_send(entry.seq).map(|_| Receipt {
                conversation,
                user: sender,
                read: entry.seq,
                visible_read: entry.seq,
                to,
            });
            *marks = Marks::all_at(entry.seq);
        }
        let newcomers = held.readers.newcomers(&domain_entry(&entry));
        Ok(Appended {
            entry,
            duplicate: false,
            receivers: Receivers {
                to: held.members.keys().copied().collect(),
                newcomers: newcomers.iter().map(number).collect(),
            },
            receipt,
            changed: None,
        })
    }

    /// The next entry of a log.
    pub(crate) fn insert(
        &mut self,
        conversation: usize,
        sender: usize,
        key: ClientMessageId,
        kind: Kind,
    ) -> Entry {
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
        if kind != Kind::Message {
            held.others.insert(seq, held.head);
        }
        if let Kind::Change {
            of,
            change: Change::Delete,
        } = kind
            && self.bug != Some(Bug::DeletedStayUnread)
        {
            held.deleted.insert(of);
        }
        held.log.push(entry);
        let place = held.log.len() - 1;
        self.commits.push((conversation, place));
        self.dedupe.insert((conversation, sender, key), place);
        entry
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
        Some(self.missed(user, conversation, have))
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
            privacy: person.status.privacy,
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

    /// Whether the log has this entry, or one that it hides.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        let log = &self.conversations[entry.conversation].log;
        let near = usize::try_from(entry.seq).unwrap_or(0).saturating_sub(1);
        let is_it = |there: &Entry| {
            there == entry
                || entry.kind == Kind::Hidden
                    && *entry
                        == (Entry {
                            kind: Kind::Hidden,
                            ..*there
                        })
        };
        log.get(near).is_some_and(is_it) || log.iter().any(is_it)
    }
}

//! Applies a batch's changes to messages in memory: each change sees the earlier ones. `states.rs`
//! reads the initial state; `change_rows.rs` writes the result.

pub(super) mod sql;

use super::change_rows::{ChangeRows, NowRow};
use super::codec::to_db;
use lamplight_domain::conversation::Members;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Change, Extras, LogHead, MessageAction, Quote};
use lamplight_domain::file::Attachment;
use lamplight_domain::fold::Message;
use lamplight_domain::group::is_group;
use lamplight_domain::identity::{FileId, MessageId, UserId};
use lamplight_domain::message::{Content, excerpt};
use lamplight_domain::message_rules::{
    Actor, MessageState, ReactionState, Verdict, WriteRefused, judge,
};
use lamplight_domain::permission::Role;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::record;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A message that writes of the batch are about.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) seq: u64,
    pub(super) sender: UserId,
    pub(super) created_at: Timestamp,
    /// The write that made its entry; `None` once the entry is erased.
    pub(super) sent: Option<Write>,
    pub(super) content: Content,
    pub(super) mentions: Vec<UserId>,
    /// The entry that edited it last, and when.
    pub(super) edited: Option<(u64, Timestamp)>,
    pub(super) deleted: Option<(u64, Timestamp)>,
    pub(super) pinned: Option<(u64, Timestamp)>,
    /// How many reactions there are with each emoji.
    pub(super) kinds: HashMap<Emoji, u64>,
    /// The entries that added reactions, of people who react in this batch.
    pub(super) own: HashMap<(i64, Emoji), u64>,
    /// The dedupe key of its entry.
    pub(super) key: Option<String>,
    /// Its newest edits with their dedupe keys, if it is to be deleted.
    pub(super) edits: Vec<(u64, Write, Option<String>)>,
    /// Whether this batch edits, deletes or pins it.
    is_changed: bool,
}

impl Target {
    /// A message as it is now; `sent` is what made its entry.
    pub(super) fn new(sent: Option<Write>, now: &Message) -> Self {
        let extras = now.entry.extras().cloned().unwrap_or_default();
        Self {
            seq: now.entry.seq,
            sender: now.entry.sender.clone(),
            created_at: now.entry.created_at,
            sent,
            content: Content::trusted(now.content()),
            mentions: extras.mentions,
            edited: None,
            deleted: None,
            pinned: None,
            kinds: HashMap::new(),
            own: HashMap::new(),
            key: None,
            edits: Vec::new(),
            is_changed: false,
        }
    }

    fn state(&self, action: &MessageAction, person: i64) -> MessageState {
        let reactions = match action {
            MessageAction::React { emoji, .. } => ReactionState {
                kinds: self.kinds.len(),
                has_kind: self.kinds.contains_key(emoji),
                own: self.own.keys().filter(|(of, _)| *of == person).count(),
                own_seq: self.own.get(&(person, emoji.clone())).copied(),
            },
            _ => ReactionState::default(),
        };
        MessageState {
            seq: self.seq,
            sender: self.sender.clone(),
            created_at: self.created_at,
            content: self.content.clone(),
            mentions: self.mentions.clone(),
            content_seq: self.edited.map_or(self.seq, |(seq, _)| seq),
            deleted_seq: self.deleted.map(|(seq, _)| seq),
            pinned_seq: self.pinned.map(|(seq, _)| seq),
            reactions,
        }
    }
}

/// A conversation whose messages are changed.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) head: LogHead,
    /// Pinned messages, if one is to be pinned.
    pub(super) pins: usize,
    /// Its newest messages that are not deleted, oldest first: down to one that the batch does not
    /// delete.
    pub(super) newest: Vec<u64>,
}

/// The messages and conversations that a batch's writes on messages are about.
#[derive(Default)]
pub(super) struct States {
    /// By the conversation's row and the message's id.
    pub(super) targets: HashMap<(i64, MessageId), Target>,
    /// By the conversation's row: those with changes in the batch.
    pub(super) counts: HashMap<i64, Counts>,
    /// Files that may be sent, each with the rows of its conversation and its owner.
    pub(super) files: HashMap<FileId, (i64, i64, Attachment)>,
    pub(super) digest_key: Arc<str>,
    /// Conversations that the database has as groups, of those with changes.
    pub(super) groups: HashSet<i64>,
    /// By the conversation's row: members whose logs do not begin with the first entry.
    pub(super) newcomers: HashMap<i64, Vec<(UserId, u64)>>,
}

/// The author and the conversation.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) new: &'a NewEntry,
    pub(super) key: Option<&'a str>,
    pub(super) row: i64,
    pub(super) person: i64,
    pub(super) role: Role,
    /// Where the writer's log begins.
    pub(super) first_seq: u64,
    pub(super) members: &'a Members,
}

/// The outcome of a write.
pub(super) enum Judged {
    /// A message with its extras.
    Message(Option<Box<Extras>>),
    Change(Change),
    /// It would change nothing: the entry at this `seq` made the state.
    Unchanged(u64),
}

impl States {
    /// Asks the rules.
    pub(super) fn judge(&self, by: Writer<'_>) -> Result<Judged, WriteRefused> {
        match &by.new.write {
            Write::Message {
                reply_to,
                mentions,
                attachments,
                ..
            } => {
                let reply_to = match reply_to {
                    None => None,
                    Some(id) => Some(self.quote(by, id)?),
                };
                are_members(by.members, mentions)?;
                let files = attachments.iter().map(|id| self.file(by, id));
                let extras = Extras {
                    reply_to,
                    mentions: mentions.clone(),
                    attachments: files.collect::<Result<_, _>>()?,
                };
                Ok(Judged::Message(extras.boxed()))
            }
            Write::Change { message, action } => self.judge_change(by, message, action),
        }
    }

    fn file(&self, by: Writer<'_>, id: &FileId) -> Result<Attachment, WriteRefused> {
        match self.files.get(id) {
            Some((row, person, file)) if (*row, *person) == (by.row, by.person) => Ok(file.clone()),
            _ => Err(WriteRefused::UnknownFile),
        }
    }

    /// Gives files to the message at a `seq`, in its order.
    pub(super) fn attach(&mut self, files: &[Attachment], seq: u64, rows: &mut ChangeRows) {
        for (position, file) in (0_i64..).zip(files) {
            self.files.remove(&file.id);
            rows.files.push((file.id.clone(), to_db(seq), position));
        }
    }

    fn quote(&self, by: Writer<'_>, id: &MessageId) -> Result<Quote, WriteRefused> {
        let target = self.targets.get(&(by.row, id.clone()));
        let target = target.filter(|target| target.deleted.is_none() && target.seq >= by.first_seq);
        let target = target.ok_or(WriteRefused::UnknownReply)?;
        Ok(Quote {
            id: id.clone(),
            seq: target.seq,
            sender: target.sender.clone(),
            excerpt: excerpt(&target.content),
        })
    }

    fn judge_change(
        &self,
        by: Writer<'_>,
        message: &MessageId,
        action: &MessageAction,
    ) -> Result<Judged, WriteRefused> {
        let target = self.targets.get(&(by.row, message.clone()));
        let target = target.filter(|target| target.seq >= by.first_seq);
        let target = target.ok_or(WriteRefused::NoMessage)?;
        let actor = Actor {
            user: &by.new.sender,
            role: by.role,
            is_direct: !is_group(self.groups.contains(&by.row), by.members.len()),
            pins: self.counts.get(&by.row).map_or(0, |counts| counts.pins),
            editable_since: by.new.editable_since,
        };
        match judge(action, &target.state(action, by.person), &actor)? {
            Verdict::Unchanged(seq) => return Ok(Judged::Unchanged(seq)),
            Verdict::Append => {}
        }
        if let MessageAction::Edit { mentions, .. } = action {
            are_members(by.members, mentions)?;
        }
        Ok(Judged::Change(Change {
            message: message.clone(),
            message_seq: target.seq,
            action: action.clone(),
        }))
    }

    /// The members whose logs begin after a `seq`, in the order of their ids.
    pub(super) fn whose_log_begins_after(&self, row: i64, seq: u64) -> Members {
        let newcomers = self.newcomers.get(&row).map_or(&[][..], Vec::as_slice);
        let late = newcomers.iter().filter(|(_, first_seq)| *first_seq > seq);
        late.map(|(user, _)| user.clone()).collect()
    }

    /// A message that is added. Later writes of the batch may be about it.
    pub(super) fn sent(&mut self, row: i64, message: &Message, write: &Write, key: Option<&str>) {
        let seq = message.entry.seq;
        if let Some(counts) = self.counts.get_mut(&row) {
            counts.head = counts.head.next(true);
            counts.newest.push(seq);
            let mut target = Target::new(Some(write.clone()), message);
            target.key = key.map(str::to_owned);
            self.targets.insert((row, message.entry.id.clone()), target);
        }
    }

    /// A change that is added as the entry at `seq`.
    pub(super) fn apply(
        &mut self,
        by: Writer<'_>,
        change: &Change,
        (seq, at): (u64, Timestamp),
        rows: &mut ChangeRows,
    ) {
        let counts = self.counts.entry(by.row).or_default();
        let Some(target) = self.targets.get_mut(&(by.row, change.message.clone())) else {
            return;
        };
        let is_deletion = matches!(change.action, MessageAction::Delete);
        let is_last = counts.head.last_message_seq == target.seq;
        if is_deletion {
            counts.newest.retain(|newest| *newest != target.seq);
        }
        counts.head = if is_deletion && is_last {
            let before = counts.newest.last().copied().unwrap_or(0);
            counts.head.next_without_last(before)
        } else {
            counts.head.next(false)
        };
        rows.others
            .push((by.row, change.action.name(), counts.head));
        match &change.action {
            MessageAction::Edit { content, mentions } => {
                target.content = content.clone();
                target.mentions.clone_from(mentions);
                target.edited = Some((seq, at));
                let key = by.key.map(str::to_owned);
                target.edits.push((seq, by.new.write.clone(), key));
                target.is_changed = true;
                rows.edits.push((by.row, to_db(target.seq), to_db(seq)));
            }
            MessageAction::React { emoji, added } => {
                target.react(by.person, emoji, added.then_some(seq));
                let key = (by.row, to_db(target.seq), emoji.clone(), by.person);
                rows.reactions.insert(key, added.then_some(to_db(seq)));
            }
            MessageAction::Pin { pinned } => {
                target.pinned = pinned.then_some((seq, at));
                target.is_changed = true;
                counts.pins = if *pinned {
                    counts.pins + 1
                } else {
                    counts.pins.saturating_sub(1)
                };
            }
            MessageAction::Delete => {
                let was_pinned = target.pinned.is_some();
                counts.pins = counts.pins.saturating_sub(usize::from(was_pinned));
                target.delete(by.row, change, (seq, at), &self.digest_key, rows);
            }
        }
    }

    /// The new state of messages that the batch edits, deletes or pins.
    pub(super) fn finish(self, rows: &mut ChangeRows) {
        let changed = self
            .targets
            .into_iter()
            .filter(|(_, target)| target.is_changed);
        for ((row, _), target) in changed {
            let edited = target.edited.filter(|_| target.deleted.is_none());
            rows.now.push(NowRow {
                conversation: row,
                seq: to_db(target.seq),
                edit: edited.map(|edited| (edited, target.content, target.mentions)),
                deleted: target.deleted,
                pinned: target.pinned,
            });
        }
    }
}

impl Target {
    fn react(&mut self, person: i64, emoji: &Emoji, added_by: Option<u64>) {
        let key = (person, emoji.clone());
        match added_by {
            Some(seq) => {
                self.own.insert(key, seq);
                *self.kinds.entry(emoji.clone()).or_default() += 1;
            }
            None => {
                self.own.remove(&key);
                if let Some(count) = self.kinds.get_mut(emoji) {
                    *count -= 1;
                    if *count == 0 {
                        self.kinds.remove(emoji);
                    }
                }
            }
        }
    }

    fn delete(
        &mut self,
        row: i64,
        change: &Change,
        by: (u64, Timestamp),
        digest_key: &str,
        rows: &mut ChangeRows,
    ) {
        let seq = to_db(self.seq);
        self.deleted = Some(by);
        self.pinned = None;
        self.content = Content::trusted("");
        self.mentions.clear();
        self.is_changed = true;
        self.kinds.clear();
        self.own.clear();
        let blank_edit = record::write_erased_edit(&change.message, self.seq);
        rows.deleted.push((row, seq, blank_edit, by.1));
        rows.reactions
            .retain(|(conversation, of, _, _), _| (*conversation, *of) != (row, seq));
        let (sent, key) = (self.sent.take(), self.key.take());
        let sent = sent.map(|write| (self.seq, write, key));
        let digest_key = digest_key.as_bytes();
        for (seq, write, key) in sent.into_iter().chain(self.edits.drain(..)) {
            let erased_key = key.and_then(|key| write.erased_dedupe_key(&key, digest_key));
            let erased_key = erased_key.map(|key| (row, to_db(seq), key));
            rows.keys.extend(erased_key);
            let digest = write.digest(digest_key);
            rows.erased.push((row, to_db(seq), digest));
        }
    }
}

fn are_members(members: &Members, users: &[UserId]) -> Result<(), WriteRefused> {
    let is_member = |user: &UserId| members.binary_search(user).is_ok();
    if users.iter().all(is_member) {
        Ok(())
    } else {
        Err(WriteRefused::UnknownMention)
    }
}

//! Decides on each append of a batch, in order: the rows to write, the answer, and which
//! events follow.

use super::append::{Append, Archived, Found, Locked};
use super::changes::{Judged, States, Writer};
use super::codec::to_db;
use super::planned::{Pending, Plan};
use super::states::{Made, Read};
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::{Change, Entry, EntryKind, Extras, MessageAction};
use lamplight_domain::event::Event;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::marks::{Covered, Marks, ReceiptAudience};
use lamplight_domain::message::{Content, client_message_id};
use lamplight_domain::permission::{Action, Denied, authorize};
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{AppendError, Appended, StoreError};
use lamplight_usecases::record;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;

pub(super) struct Planner<'a> {
    batch: &'a [Append],
    locked: HashMap<ConversationId, Locked>,
    states: States,
    /// What made the entries under the keys of this batch.
    earlier: HashMap<(i64, u64), Made>,
    /// The marks of the senders, moved to their newest entries.
    marks: HashMap<(i64, i64), Marks>,
    /// Appends of this batch by conversation, sender and key: their places.
    keyed: HashMap<(i64, i64, &'a str), (usize, Arc<Entry>)>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    /// From the locked conversations with their members, what `FIND` found, the rows of `DRAW`,
    /// and the rows that were read for writes on messages.
    pub(super) fn plan(
        batch: &'a [Append],
        locked: HashMap<ConversationId, Locked>,
        found: Vec<Option<Found>>,
        drawn: &[Row],
        (states, earlier): Read,
    ) -> Result<Plan, tokio_postgres::Error> {
        let mut planner = Self {
            batch,
            locked,
            states,
            earlier,
            marks: HashMap::new(),
            keyed: HashMap::new(),
            plan: Plan {
                answers: Vec::with_capacity(batch.len()),
                events: Vec::with_capacity(batch.len()),
                ..Plan::default()
            },
        };
        for ((place, found), drawn) in found.into_iter().enumerate().zip(drawn) {
            let answer = planner.append(place, found, drawn.try_get(0)?);
            planner.plan.answers.push(answer);
        }
        Ok(planner.finish())
    }

    fn append(
        &mut self,
        place: usize,
        found: Option<Found>,
        position: i64,
    ) -> Result<Appended, AppendError> {
        let batch = self.batch;
        let Append { message, key, .. } = &batch[place];
        let (Some(known), Some(found)) = (self.locked.get(&message.conversation), found) else {
            return Err(AppendError::NotFound);
        };
        let row = known.row;
        if let Some(seq) = found.earlier {
            let made = self.earlier.get(&(row, seq));
            return match made {
                Some(made) if made.is_by(&message.write, &self.states.digest_key) => {
                    self.later(place, row, seq, &found, true)
                }
                _ => Err(AppendError::Conflict),
            };
        }
        let keyed = key.as_deref().map(|key| (row, found.person, key));
        if let Some((earlier, entry)) = keyed.and_then(|keyed| self.keyed.get(&keyed)) {
            if batch[*earlier].message.write != message.write {
                return Err(AppendError::Conflict);
            }
            return Ok(Appended {
                entry: Arc::clone(entry),
                duplicate: true,
                message: None,
            });
        }
        if found.is_blocked && !message.write.passes_block() {
            return Err(AppendError::Forbidden);
        }
        match authorize(Some(found.role), Action::Write) {
            Ok(()) => {}
            Err(Denied::Forbidden) => return Err(AppendError::Forbidden),
            Err(Denied::NotAMember) => return Err(AppendError::NotFound),
        }
        let members = known.members.clone();
        let by = Writer {
            new: message,
            key: key.as_deref(),
            row,
            person: found.person,
            role: found.role,
            first_seq: found.first_seq,
            members: &members,
        };
        let entry = match self.states.judge(by).map_err(AppendError::Refused)? {
            Judged::Message(extras) => self.add_message(place, &found, position, extras),
            Judged::Change(change) => self.add_change(place, by, position, change),
            Judged::Unchanged(seq) => {
                return self.later(place, row, seq, &found, false);
            }
        };
        if let Some(keyed) = keyed {
            self.keyed.insert(keyed, (place, Arc::clone(&entry)));
        }
        Ok(Appended {
            entry,
            duplicate: false,
            message: None,
        })
    }

    /// The answer with an entry that is there, which is read once everything is written.
    fn later(
        &mut self,
        place: usize,
        conversation: i64,
        seq: u64,
        by: &Found,
        is_repetition: bool,
    ) -> Result<Appended, AppendError> {
        self.plan.pending.push(Pending {
            place,
            conversation,
            seq,
            person: by.person,
            first_seq: by.first_seq,
            is_repetition,
        });
        Err(StoreError::Internal("an entry that was there is not found".into()).into())
    }

    fn add_message(
        &mut self,
        place: usize,
        found: &Found,
        position: i64,
        extras: Option<Box<Extras>>,
    ) -> Arc<Entry> {
        let Append {
            message: new, key, ..
        } = &self.batch[place];
        let content = new.write.content().cloned();
        let content = content.unwrap_or_else(|| Content::trusted(""));
        let record = extras.as_deref().map(record::write_extras);
        let kind = EntryKind::Message { content, extras };
        let (row, entry) = self.add(place, found.person, position, kind, None);
        if let Some(extras) = entry.extras() {
            let rows = &mut self.plan.changes;
            self.states.attach(&extras.attachments, entry.seq, rows);
        }
        if let Some(record) = record {
            let extras = (row, to_db(entry.seq), record);
            self.plan.changes.extras.push(extras);
        }
        if !self.states.counts.is_empty() {
            let message = Message::from((*entry).clone());
            let states = &mut self.states;
            states.sent(row, &message, &new.write, key.as_deref());
        }
        self.sent(new, row, found, entry.seq);
        self.bring_back(&entry);
        entry
    }

    fn add_change(
        &mut self,
        place: usize,
        by: Writer<'_>,
        position: i64,
        change: Change,
    ) -> Arc<Entry> {
        let is_deletion = matches!(change.action, MessageAction::Delete);
        let record = Some(record::write_change(&change));
        let kind = EntryKind::Change(Box::new(change.clone()));
        let (_, entry) = self.add(place, by.person, position, kind, record);
        let at = (entry.seq, entry.created_at);
        self.states.apply(by, &change, at, &mut self.plan.changes);
        if is_deletion {
            self.plan.events.push(Event::ConversationChanged {
                conversation: entry.conversation.clone(),
                to: by.members.clone(),
            });
        }
        entry
    }

    /// Adds an entry, and its event.
    fn add(
        &mut self,
        place: usize,
        person: i64,
        position: i64,
        kind: EntryKind,
        record: Option<String>,
    ) -> (i64, Arc<Entry>) {
        let Append {
            message,
            except,
            key,
            ..
        } = &self.batch[place];
        let known = self
            .locked
            .get_mut(&message.conversation)
            .expect("it was looked up");
        known.head_seq += 1;
        // A clock that went back puts no entry before the one that it follows.
        known.last_at = message.created_at.max(known.last_at);
        known.is_moved = true;
        if kind.is_message() {
            known.position = Some(position);
        }
        let (row, seq, created_at) = (known.row, known.head_seq, known.last_at);
        let to = known.members.clone();
        let about = kind.about_seq();
        let newcomers = about.map_or_else(Members::default, |about| {
            self.states.whose_log_begins_after(row, about)
        });
        let entry = Arc::new(Entry {
            id: message.id.clone(),
            conversation: message.conversation.clone(),
            seq,
            sender: message.sender.clone(),
            client_message_id: key.as_deref().and_then(client_message_id),
            kind,
            created_at,
        });
        let entries = &mut self.plan.entries;
        entries.ids.push(position);
        entries.conversations.push(row);
        entries.seqs.push(to_db(seq));
        entries.message_ids.push(message.id.clone());
        entries.senders.push(person);
        entries.places.push(place);
        entries.records.push(record);
        entries.created_at.push(created_at.0);
        self.plan.events.push(Event::Appended {
            entry: Arc::clone(&entry),
            to,
            newcomers,
            except: except.clone(),
        });
        (row, entry)
    }

    /// Moves the sender's marks to the entry, and adds the events that follow it: none for an
    /// ordinary message.
    fn sent(&mut self, message: &NewEntry, row: i64, found: &Found, seq: u64) {
        let after = Marks::all_at(seq);
        let moved = self.marks.insert((row, found.person), after);
        let before = moved.unwrap_or(found.marks);
        if let Some(covered) = before.covered_by_send(seq)
            && !found.hides_reads
        {
            let members = &self.locked[&message.conversation].members;
            let to = match covered.audience(members.len()) {
                ReceiptAudience::Everyone => members.clone(),
                ReceiptAudience::AuthorsOf(Covered { after, up_to }) => {
                    let receipts = &mut self.plan.receipts;
                    let event = (
                        self.plan.events.len(),
                        message.sender.clone(),
                        members.clone(),
                    );
                    receipts.events.push(event);
                    receipts.conversations.push(row);
                    receipts.after.push(to_db(after));
                    receipts.up_to.push(to_db(up_to));
                    receipts.persons.push(found.person);
                    Arc::from([])
                }
            };
            self.plan.events.push(Event::Receipt {
                conversation: message.conversation.clone(),
                receipt: after.receipt(message.sender.clone()),
                delivers: before.delivers_by_send(seq),
                to,
            });
        }
        // Otherwise the sender's other devices would count answered messages as unread.
        if before.reads_by_send(seq) {
            self.plan.events.push(Event::ConversationChanged {
                conversation: message.conversation.clone(),
                to: [message.sender.clone()].into(),
            });
        }
    }

    /// Takes the conversation of a new message out of the archives of its members.
    fn bring_back(&mut self, entry: &Entry) {
        let Some(known) = self.locked.get_mut(&entry.conversation) else {
            return;
        };
        let at = entry.created_at;
        let is_back = |one: &mut Archived| one.settings.is_brought_back(at);
        let back: Vec<Archived> = known.archived.extract_if(.., is_back).collect();
        if back.is_empty() {
            return;
        }
        let rows = back.iter().map(|one| (known.row, one.person));
        self.plan.changes.brought_back.extend(rows);
        self.plan.events.push(Event::ConversationChanged {
            conversation: entry.conversation.clone(),
            to: back.into_iter().map(|one| one.user).collect(),
        });
    }

    fn finish(mut self) -> Plan {
        for known in self.locked.values() {
            if let Some(position) = known.position {
                let heads = &mut self.plan.heads;
                heads.ids.push(known.row);
                heads.seqs.push(to_db(known.head_seq));
                heads.last_at.push(known.last_at.0);
                heads.positions.push(position);
                if known.has_archived && known.archived.is_empty() {
                    self.plan.changes.unarchived.push(known.row);
                }
            } else if known.is_moved {
                let head = (known.row, to_db(known.head_seq), known.last_at.0);
                self.plan.changes.heads.push(head);
            }
        }
        for ((conversation, person), marks) in self.marks {
            self.plan.marks.conversations.push(conversation);
            self.plan.marks.persons.push(person);
            self.plan.marks.seqs.push(to_db(marks.read));
        }
        self.states.finish(&mut self.plan.changes);
        self.plan
    }
}

//! Decides on each append of a batch, in their order: what is written, what is answered, and which
//! events follow.

use super::append::{Append, Locked, marks};
use super::codec::{content_from_db, content_to_db, from_db, role_from_db, to_db};
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::marks::{Covered, Marks, ReceiptAudience, owner_and_authors};
use lamplight_domain::message::{Content, client_message_id};
use lamplight_domain::permission::{Action, Denied, Role, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{AppendError, Appended};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;

/// The columns of the entries that are added.
#[derive(Default)]
pub(super) struct NewEntries {
    pub(super) ids: Vec<i64>,
    pub(super) conversations: Vec<i64>,
    pub(super) seqs: Vec<i64>,
    pub(super) message_ids: Vec<MessageId>,
    pub(super) senders: Vec<i64>,
    /// The appends' places in the batch; their contents and keys are not copied.
    places: Vec<usize>,
    pub(super) created_at: Vec<i64>,
}

impl NewEntries {
    pub(super) fn message_ids(&self) -> Vec<&str> {
        self.message_ids.iter().map(MessageId::as_str).collect()
    }

    pub(super) fn contents<'a>(&self, batch: &'a [Append]) -> Vec<Cow<'a, str>> {
        let content = |place: &usize| {
            content_to_db(
                batch[*place]
                    .message
                    .write
                    .content()
                    .map_or("", |content| content.as_str()),
            )
        };
        self.places.iter().map(content).collect()
    }

    pub(super) fn keys<'a>(&self, batch: &'a [Append]) -> Vec<Option<&'a str>> {
        self.places
            .iter()
            .map(|place| batch[*place].key.as_deref())
            .collect()
    }
}

/// The columns of the conversations whose heads move.
#[derive(Default)]
pub(super) struct NewHeads {
    pub(super) ids: Vec<i64>,
    pub(super) seqs: Vec<i64>,
    pub(super) last_at: Vec<i64>,
    pub(super) positions: Vec<i64>,
}

/// The columns of the memberships whose marks move.
#[derive(Default)]
pub(super) struct NewMarks {
    pub(super) conversations: Vec<i64>,
    pub(super) persons: Vec<i64>,
    pub(super) seqs: Vec<i64>,
}

/// Receipts that go to authors, and the parameters of `AUTHORS`.
#[derive(Default)]
pub(super) struct Receipts {
    events: Vec<(usize, UserId, Members)>,
    pub(super) conversations: Vec<i64>,
    pub(super) after: Vec<i64>,
    pub(super) up_to: Vec<i64>,
    pub(super) persons: Vec<i64>,
}

impl Receipts {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// What a batch writes, and what follows from its commit.
pub(super) struct Plan {
    /// In the order of the batch.
    pub(super) answers: Vec<Result<Appended, AppendError>>,
    pub(super) events: Vec<Event>,
    pub(super) entries: NewEntries,
    pub(super) heads: NewHeads,
    pub(super) marks: NewMarks,
    pub(super) receipts: Receipts,
}

impl Plan {
    /// Addresses the receipts that go to authors, from the rows of `AUTHORS`.
    pub(super) fn address(&mut self, rows: &[Row]) -> Result<(), tokio_postgres::Error> {
        let mut authors: HashMap<i64, Vec<&str>> = HashMap::new();
        for row in rows {
            authors
                .entry(row.try_get(0)?)
                .or_default()
                .push(row.try_get(1)?);
        }
        for (number, (event, owner, members)) in (1..).zip(self.receipts.events.drain(..)) {
            let authors = authors.remove(&number).unwrap_or_default();
            if let Some(Event::Receipt { to, .. }) = self.events.get_mut(event) {
                *to = owner_and_authors(&owner, authors, &members);
            }
        }
        Ok(())
    }
}

pub(super) struct Planner<'a> {
    batch: &'a [Append],
    locked: HashMap<ConversationId, Locked>,
    /// The marks of the senders, moved to their newest entries.
    marks: HashMap<(i64, i64), Marks>,
    /// Appends of this batch by conversation, sender and key.
    keyed: HashMap<(i64, i64, &'a str), Arc<Entry>>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    /// From the locked conversations with their members, the rows of `FIND` and those of
    /// `DRAW`.
    pub(super) fn plan(
        batch: &'a [Append],
        locked: HashMap<ConversationId, Locked>,
        rows: &[Row],
        drawn: &[Row],
    ) -> Result<Plan, tokio_postgres::Error> {
        let mut findings: Vec<Option<Found>> = Vec::new();
        findings.resize_with(batch.len(), || None);
        for row in rows {
            let place = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
            if let Some(finding) = findings.get_mut(place.wrapping_sub(1)) {
                *finding = Some(found(row)?);
            }
        }
        let mut planner = Self {
            batch,
            locked,
            marks: HashMap::new(),
            keyed: HashMap::new(),
            plan: Plan {
                answers: Vec::with_capacity(batch.len()),
                events: Vec::with_capacity(batch.len()),
                entries: NewEntries::default(),
                heads: NewHeads::default(),
                marks: NewMarks::default(),
                receipts: Receipts::default(),
            },
        };
        for ((place, found), drawn) in findings.into_iter().enumerate().zip(drawn) {
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
        let Append {
            message,
            except,
            key,
        } = &batch[place];
        let Some(known) = self.locked.get_mut(&message.conversation) else {
            return Err(AppendError::NotFound);
        };
        let allowed = authorize(found.as_ref().map(|found| found.role), Action::Write);
        let found = match (found, allowed) {
            (Some(found), Ok(())) => found,
            (Some(_), Err(Denied::Forbidden)) => return Err(AppendError::Forbidden),
            (None, _) | (_, Err(Denied::NotAMember)) => return Err(AppendError::NotFound),
        };
        let Write::Message { content: text, .. } = &message.write else {
            let unsupported = lamplight_usecases::ports::StoreError::Internal(
                "changes of messages are not stored yet".into(),
            );
            return Err(unsupported.into());
        };
        let entry = |id: &MessageId, seq, content: &Content, created_at| {
            Arc::new(Entry {
                id: id.clone(),
                conversation: message.conversation.clone(),
                seq,
                sender: message.sender.clone(),
                kind: EntryKind::message(content.clone()),
                client_message_id: key.as_deref().and_then(client_message_id),
                created_at,
            })
        };
        if let Some(earlier) = found.earlier {
            return match earlier.content {
                Some(content) if content == *text => Ok(Appended {
                    entry: entry(&earlier.id, earlier.seq, &content, earlier.created_at),
                    duplicate: true,
                    message: None,
                }),
                _ => Err(AppendError::Conflict),
            };
        }
        let keyed = key.as_deref().map(|key| (known.row, found.person, key));
        if let Some(earlier) = keyed.and_then(|keyed| self.keyed.get(&keyed)) {
            return if earlier.content() == Some(text) {
                Ok(Appended {
                    entry: Arc::clone(earlier),
                    duplicate: true,
                    message: None,
                })
            } else {
                Err(AppendError::Conflict)
            };
        }
        known.head_seq += 1;
        // A clock that went back puts no entry before the one that it follows.
        known.last_at = message.created_at.max(known.last_at);
        known.position = Some(position);
        let (seq, to) = (known.head_seq, known.members.clone());
        let entry = entry(&message.id, seq, text, known.last_at);
        if let Some(keyed) = keyed {
            self.keyed.insert(keyed, Arc::clone(&entry));
        }
        let entries = &mut self.plan.entries;
        entries.ids.push(position);
        entries.conversations.push(known.row);
        entries.seqs.push(to_db(seq));
        entries.message_ids.push(message.id.clone());
        entries.senders.push(found.person);
        entries.places.push(place);
        entries.created_at.push(known.last_at.0);
        self.plan.events.push(Event::Appended {
            entry: Arc::clone(&entry),
            to,
            except: except.clone(),
        });
        let row = known.row;
        self.sent(message, row, &found, seq);
        Ok(Appended {
            entry,
            duplicate: false,
            message: None,
        })
    }

    /// Moves the sender's marks to the entry, and adds the events that follow it: none for an
    /// ordinary message.
    fn sent(&mut self, message: &NewEntry, row: i64, found: &Found, seq: u64) {
        let after = Marks::all_at(seq);
        let moved = self.marks.insert((row, found.person), after);
        let before = moved.unwrap_or(found.marks);
        if let Some(covered) = before.covered_by_send(seq) {
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
                to,
            });
        }
        // The sender's other devices count as unread what the sender has answered.
        if before.reads_by_send(seq) {
            self.plan.events.push(Event::ConversationChanged {
                conversation: message.conversation.clone(),
                to: [message.sender.clone()].into(),
            });
        }
    }

    fn finish(mut self) -> Plan {
        for known in self.locked.values() {
            if let Some(position) = known.position {
                let heads = &mut self.plan.heads;
                heads.ids.push(known.row);
                heads.seqs.push(to_db(known.head_seq));
                heads.last_at.push(known.last_at.0);
                heads.positions.push(position);
            }
        }
        for ((conversation, person), marks) in self.marks {
            self.plan.marks.conversations.push(conversation);
            self.plan.marks.persons.push(person);
            self.plan.marks.seqs.push(to_db(marks.read));
        }
        self.plan
    }
}
/// What `FIND` says of an append.
struct Found {
    person: i64,
    role: Role,
    marks: Marks,
    /// What an earlier send made.
    earlier: Option<Earlier>,
}

struct Earlier {
    id: MessageId,
    seq: u64,
    /// `None` in an entry that is not a message.
    content: Option<Content>,
    created_at: Timestamp,
}

fn found(row: &Row) -> Result<Found, tokio_postgres::Error> {
    let earlier = match row.try_get::<_, Option<&str>>(7)? {
        None => None,
        Some(id) => Some(Earlier {
            id: MessageId::trusted(id),
            seq: from_db(row.try_get(8)?),
            content: if row.try_get(11)? {
                Some(Content::trusted(content_from_db(row.try_get(9)?)))
            } else {
                None
            },
            created_at: Timestamp(row.try_get(10)?),
        }),
    };
    Ok(Found {
        person: row.try_get(1)?,
        role: role_from_db(row.try_get(2)?),
        marks: marks(row, 3)?,
        earlier,
    })
}

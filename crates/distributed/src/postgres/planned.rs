//! What a batch of appends writes and answers.

use super::append::Append;
use super::change_rows::ChangeRows;
use super::codec::{content_to_db, to_db};
use super::entries::{CHANGE_COLUMNS, ENTRY_COLUMNS, changed, entry, reacted};
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{MessageId, UserId};
use lamplight_domain::marks::owner_and_authors;
use lamplight_domain::message::Content;
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
    /// The appends' places in the batch; the contents of messages and all keys are not copied.
    pub(super) places: Vec<usize>,
    /// The contents of entries of other kinds.
    pub(super) records: Vec<Option<String>>,
    pub(super) created_at: Vec<i64>,
}

impl NewEntries {
    pub(super) fn message_ids(&self) -> Vec<&str> {
        self.message_ids.iter().map(MessageId::as_str).collect()
    }

    pub(super) fn contents<'a>(&'a self, batch: &'a [Append]) -> Vec<Cow<'a, str>> {
        let content = |(place, record): (&usize, &'a Option<String>)| {
            let content = batch[*place].message.write.content();
            let text = content.map_or("", Content::as_str);
            content_to_db(record.as_deref().unwrap_or(text))
        };
        self.places.iter().zip(&self.records).map(content).collect()
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
    pub(super) events: Vec<(usize, UserId, Members)>,
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
#[derive(Default)]
pub(super) struct Plan {
    /// In the order of the batch.
    pub(super) answers: Vec<Result<Appended, AppendError>>,
    pub(super) events: Vec<Event>,
    pub(super) entries: NewEntries,
    pub(super) heads: NewHeads,
    pub(super) marks: NewMarks,
    pub(super) receipts: Receipts,
    pub(super) changes: ChangeRows,
    /// Answers that are read once everything is written.
    pub(super) pending: Vec<Pending>,
}

/// An answer with an entry that was there before: its place in the batch, and the entry's.
pub(super) struct Pending {
    pub(super) place: usize,
    pub(super) conversation: i64,
    pub(super) seq: u64,
    /// Who is answered.
    pub(super) person: i64,
    /// Where the sender's log begins.
    pub(super) first_seq: u64,
    /// Whether the write repeats an earlier one: what became of the message belongs to the answer
    /// then, unless the message is before the sender's log.
    pub(super) is_repetition: bool,
}

impl Plan {
    /// The entries that answers are still to be read from: rows of conversations, `seq`s, and who is
    /// answered.
    pub(super) fn pending(&self) -> impl Iterator<Item = (i64, i64, i64)> + '_ {
        let of = |one: &Pending| (one.conversation, to_db(one.seq), one.person);
        self.pending.iter().map(of)
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Completes the answers, from the rows of `AT`.
    pub(super) fn answer(
        &mut self,
        batch: &[Append],
        rows: &[Row],
    ) -> Result<(), tokio_postgres::Error> {
        for row in rows {
            let number = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
            let Some(pending) = self.pending.get(number.wrapping_sub(1)) else {
                continue;
            };
            let new = &batch[pending.place].message;
            let Some(entry) = entry(row, 1, &new.conversation)? else {
                continue;
            };
            let mut message = None;
            let first_seq = pending.first_seq;
            let tells_more = pending.is_repetition && entry.seq >= first_seq;
            if tells_more && entry.kind.is_message() {
                let sent = Message::from(entry.clone());
                let mut now = changed(row, 1 + ENTRY_COLUMNS, entry.clone())?;
                let at = 1 + ENTRY_COLUMNS + CHANGE_COLUMNS;
                reacted(row, at, &mut now, &new.sender)?;
                message = (now != sent).then(|| Box::new(now.seen_from(first_seq)));
            }
            self.answers[pending.place] = Ok(Appended {
                entry: Arc::new(entry.seen_from(first_seq)),
                duplicate: true,
                message,
            });
        }
        Ok(())
    }

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

//! Reads the state that changes of messages and repetitions in a batch need: one more round trip,
//! or none for a batch of plain messages.

use super::append::{Append, Found, Locked};
use super::change_rows::{Column, Statement};
use super::changes::sql::{AT, EDITS, FILES, GROUPS, NEWCOMERS, OTHERS, PINS, REACTIONS, TARGETS};
use super::changes::{Counts, States, Target};
use super::codec::{content_from_db, from_db, to_db};
use super::connection::Connection;
use super::database::Database;
use super::entries::{CHANGE_COLUMNS, ENTRY_COLUMNS, REACTION_COLUMNS, changed, entry};
use super::error::Failure;
use super::files::attachment;
use super::members::members_of;
use super::newest::read_newest;
use futures_util::future::join_all;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{EntryKind, LogHead, MessageAction};
use lamplight_domain::identity::{ConversationId, FileId, MessageId, UserId};
use lamplight_domain::write::Write;
use lamplight_usecases::record;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Runs statements at once, in their order. No rows where there is none.
async fn pipeline(
    connection: &Connection,
    statements: &[Option<Statement>],
) -> Result<Vec<Vec<Row>>, Failure> {
    let mut ready = Vec::with_capacity(statements.len());
    for statement in statements {
        ready.push(match statement {
            Some((sql, columns)) => Some((connection.prepare(sql).await?, borrowed(columns))),
            None => None,
        });
    }
    let runs = ready.iter().map(async |run| match run {
        Some((statement, params)) => connection.query_ready(statement, params).await,
        None => Ok(Vec::new()),
    });
    join_all(runs).await.into_iter().collect()
}

/// The parameters of a statement.
pub(super) fn borrowed(columns: &[Column]) -> Vec<&(dyn ToSql + Sync)> {
    columns
        .iter()
        .map(|column| &**column as &(dyn ToSql + Sync))
        .collect()
}

/// The additional state that a batch needs.
#[derive(Default)]
struct Needs<'a> {
    /// Messages that are changed or answered: the conversation's row, and the id.
    targets: BTreeSet<(i64, &'a MessageId)>,
    reacted: BTreeSet<(i64, &'a MessageId)>,
    people: BTreeSet<i64>,
    deleted: BTreeSet<(i64, &'a MessageId)>,
    /// Conversations with changes, with their heads.
    changed: BTreeMap<i64, u64>,
    pinned: BTreeSet<i64>,
    /// Files that messages bring.
    files: BTreeSet<&'a FileId>,
    /// Entries that earlier writes under the same keys made.
    earlier: BTreeSet<(i64, i64)>,
}

impl<'a> Needs<'a> {
    fn of(
        batch: &'a [Append],
        locked: &HashMap<ConversationId, Locked>,
        found: &[Option<Found>],
    ) -> Self {
        let mut needs = Self::default();
        for (append, found) in batch.iter().zip(found) {
            let Some(found) = found else { continue };
            let Some(locked) = locked.get(&append.message.conversation) else {
                continue;
            };
            if let Some(seq) = found.earlier {
                needs.earlier.insert((locked.row, to_db(seq)));
                continue;
            }
            match &append.message.write {
                Write::Message {
                    reply_to,
                    attachments,
                    ..
                } => {
                    needs.files.extend(attachments);
                    needs
                        .targets
                        .extend(reply_to.iter().map(|id| (locked.row, id)));
                }
                Write::Change { message, action } => needs.change(locked, found, message, action),
            }
        }
        // PostgreSQL's text has no U+0000.
        for named in [&mut needs.targets, &mut needs.reacted, &mut needs.deleted] {
            named.retain(|(_, id)| !id.as_str().contains('\u{0}'));
        }
        needs.files.retain(|id| !id.as_str().contains('\u{0}'));
        needs
    }

    fn change(
        &mut self,
        locked: &Locked,
        by: &Found,
        message: &'a MessageId,
        action: &MessageAction,
    ) {
        let named = (locked.row, message);
        self.targets.insert(named);
        self.changed.insert(locked.row, locked.head_seq);
        match action {
            MessageAction::Edit { .. } => {}
            MessageAction::Delete => drop(self.deleted.insert(named)),
            MessageAction::React { .. } => {
                self.reacted.insert(named);
                self.people.insert(by.person);
            }
            MessageAction::Pin { .. } => drop(self.pinned.insert(locked.row)),
        }
    }

    fn is_empty(&self) -> bool {
        self.targets.is_empty()
            && self.changed.is_empty()
            && self.files.is_empty()
            && self.earlier.is_empty()
    }

    /// In the order in which [`read`] takes the answers; `None` where nothing is to be read.
    fn statements(&self) -> Vec<Option<Statement>> {
        let named = |of: &BTreeSet<(i64, &MessageId)>| -> Vec<Column> {
            let ids = of.iter().map(|(_, id)| id.as_str().to_owned());
            vec![
                Box::new(of.iter().map(|(row, _)| *row).collect::<Vec<i64>>()),
                Box::new(ids.collect::<Vec<String>>()),
            ]
        };
        let rows = |of: &mut dyn Iterator<Item = &i64>| -> Column {
            Box::new(of.copied().collect::<Vec<i64>>())
        };
        let mut reacted = named(&self.reacted);
        reacted.push(rows(&mut self.people.iter()));
        let mut named_in: Vec<i64> = self.targets.iter().map(|(row, _)| *row).collect();
        named_in.dedup();
        let when = |is_needed: bool, statement: Statement| is_needed.then_some(statement);
        vec![
            when(!self.targets.is_empty(), (&TARGETS, named(&self.targets))),
            when(!self.reacted.is_empty(), (&REACTIONS, reacted)),
            when(!self.deleted.is_empty(), (&EDITS, named(&self.deleted))),
            when(
                !self.changed.is_empty(),
                (&OTHERS, vec![rows(&mut self.changed.keys())]),
            ),
            when(
                !self.pinned.is_empty(),
                (&PINS, vec![rows(&mut self.pinned.iter())]),
            ),
            when(
                !self.earlier.is_empty(),
                (
                    &AT,
                    at(self.earlier.iter().map(|(row, seq)| (*row, *seq, 0))),
                ),
            ),
            when(
                !self.files.is_empty(),
                (
                    &FILES,
                    vec![Box::new(
                        self.files
                            .iter()
                            .map(|id| id.as_str().to_owned())
                            .collect::<Vec<String>>(),
                    )],
                ),
            ),
            when(
                !self.changed.is_empty(),
                (&GROUPS, vec![rows(&mut self.changed.keys())]),
            ),
            when(!named_in.is_empty(), (&NEWCOMERS, vec![Box::new(named_in)])),
        ]
    }
}

/// The parameters of [`AT`]: rows of conversations, `seq`s, and who sees them; 0 where that makes no
/// difference.
pub(super) fn at(places: impl Iterator<Item = (i64, i64, i64)>) -> Vec<Column> {
    let (mut rows, mut seqs, mut viewers) = (Vec::new(), Vec::new(), Vec::new());
    for (row, seq, viewer) in places {
        rows.push(row);
        seqs.push(seq);
        viewers.push(viewer);
    }
    vec![Box::new(rows), Box::new(seqs), Box::new(viewers)]
}

/// The write that made an earlier entry.
pub(super) enum Made {
    Write(Write),
    /// The digest of the write, of an entry that is blank.
    Digest(String),
    /// By a newer version.
    Unknown,
}

impl Made {
    /// Whether this write made it.
    pub(super) fn is_by(&self, write: &Write, digest_key: &str) -> bool {
        match self {
            Self::Write(made) => made == write,
            Self::Digest(digest) => *digest == write.digest(digest_key.as_bytes()),
            Self::Unknown => false,
        }
    }
}

/// The states that a batch begins from, and what made the earlier entries under its keys.
pub(super) type Read = (States, HashMap<(i64, u64), Made>);

/// Reads, under the locks of the conversations.
pub(super) async fn read(
    database: &Database,
    connection: &Connection,
    batch: &[Append],
    locked: &HashMap<ConversationId, Locked>,
    found: &[Option<Found>],
) -> Result<Read, Failure> {
    let needs = Needs::of(batch, locked, found);
    if needs.is_empty() {
        return Ok(Read::default());
    }
    let answers = pipeline(connection, &needs.statements()).await?;
    let [
        targets,
        reactions,
        edits,
        others,
        pins,
        earlier,
        files,
        groups,
        newcomers,
    ] = &answers[..]
    else {
        return Err(Failure::NoConnection("an answer is missing".into()));
    };
    // The conversation's id is in no answer of these.
    let of_no_matter = ConversationId::trusted("");
    let mut states = States {
        digest_key: Arc::clone(&database.digest_key),
        ..States::default()
    };
    let places: Vec<(i64, &MessageId)> = needs.targets.iter().copied().collect();
    for row in targets {
        let Some((conversation, id)) = place(&places, row)? else {
            continue;
        };
        if let Some(target) = target(row, &of_no_matter)? {
            states.targets.insert((conversation, id.clone()), target);
        }
    }
    let mut of = |named: &BTreeSet<(i64, &MessageId)>, rows: &[Row], add: Add| {
        let places: Vec<(i64, &MessageId)> = named.iter().copied().collect();
        for row in rows {
            let target = place(&places, row)?
                .and_then(|(conversation, id)| states.targets.get_mut(&(conversation, id.clone())));
            if let Some(target) = target {
                add(row, target)?;
            }
        }
        Ok::<(), Failure>(())
    };
    of(&needs.reacted, reactions, add_reactions)?;
    of(&needs.deleted, edits, add_edit)?;
    for (row, head_seq) in &needs.changed {
        let head = LogHead::at(*head_seq, None);
        let counts = Counts {
            head,
            ..Counts::default()
        };
        states.counts.insert(*row, counts);
    }
    for row in others {
        let nearest = LogHead {
            seq: from_db(row.try_get(1)?),
            message_count: from_db(row.try_get(2)?),
            last_message_seq: from_db(row.try_get(3)?),
        };
        if let Some(counts) = states.counts.get_mut(&row.try_get(0)?) {
            counts.head = LogHead::at(counts.head.seq, Some(nearest));
        }
    }
    for row in groups {
        states.groups.insert(row.try_get(0)?);
    }
    for row in newcomers {
        let user = UserId::trusted(row.try_get::<_, &str>(1)?);
        let of = states.newcomers.entry(row.try_get(0)?).or_default();
        of.push((user, from_db(row.try_get(2)?)));
    }
    for row in pins {
        if let Some(counts) = states.counts.get_mut(&row.try_get(0)?) {
            counts.pins = usize::try_from(row.try_get::<_, i64>(1)?).unwrap_or(usize::MAX);
        }
    }
    for row in files {
        let file = attachment(row, 2)?;
        let of = (row.try_get(0)?, row.try_get(1)?, file.clone());
        states.files.insert(file.id, of);
    }
    read_newest(connection, batch, locked, found, &mut states).await?;
    let places: Vec<(i64, i64)> = needs.earlier.iter().copied().collect();
    let mut made = HashMap::with_capacity(earlier.len());
    for row in earlier {
        if let Some((conversation, seq)) = place(&places, row)? {
            made.insert((conversation, from_db(seq)), made_by(row, &of_no_matter)?);
        }
    }
    Ok((states, made))
}

/// Fills in the members of locked conversations, from the cache where it has this version.
pub(super) async fn fill_members(
    database: &Database,
    connection: &Connection,
    conversations: &mut HashMap<ConversationId, Locked>,
) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for locked in conversations.values_mut() {
        match database.members.get(locked.row, locked.version) {
            Some(members) => locked.members = members,
            None => missing.push(locked.row),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut read = members_of(connection, &missing).await?;
    for locked in conversations.values_mut() {
        if let Some(members) = read.remove(&locked.row) {
            locked.members = members.clone();
            database.members.put(locked.row, locked.version, members);
        }
    }
    Ok(())
}

type Add = fn(&Row, &mut Target) -> Result<(), tokio_postgres::Error>;

/// The type of a row, by the number in its first column.
fn place<T: Copy>(places: &[T], row: &Row) -> Result<Option<T>, tokio_postgres::Error> {
    let number = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
    Ok(places.get(number.wrapping_sub(1)).copied())
}

/// Among the columns of [`TARGETS`].
const DEDUPE_KEY: usize = 5;

/// From a row of [`TARGETS`], `None` if it is no message.
fn target(
    row: &Row,
    conversation: &ConversationId,
) -> Result<Option<Target>, tokio_postgres::Error> {
    let Some(entry) = entry(row, 1, conversation)?.filter(|entry| entry.kind.is_message()) else {
        return Ok(None);
    };
    let sent = Write::of(&entry);
    let now = changed(row, 1 + ENTRY_COLUMNS, entry)?;
    let by = 1 + ENTRY_COLUMNS + CHANGE_COLUMNS;
    let seq = |at| Ok(row.try_get::<_, Option<i64>>(at)?.map(from_db));
    let mut target = Target::new(sent, &now);
    target.edited = seq(by)?.zip(now.edited_at);
    target.deleted = seq(by + 1)?.zip(now.deleted_at);
    target.pinned = seq(by + 2)?.zip(now.pinned_at);
    target.key = row.try_get(DEDUPE_KEY)?;
    Ok(Some(target))
}

/// From a row of [`REACTIONS`].
fn add_reactions(row: &Row, target: &mut Target) -> Result<(), tokio_postgres::Error> {
    let emoji = Emoji::trusted(row.try_get::<_, &str>(1)?);
    target.kinds.insert(emoji.clone(), from_db(row.try_get(2)?));
    let people = row.try_get::<_, Option<Vec<i64>>>(3)?.unwrap_or_default();
    let seqs = row.try_get::<_, Option<Vec<i64>>>(4)?.unwrap_or_default();
    for (person, seq) in people.into_iter().zip(seqs) {
        target.own.insert((person, emoji.clone()), from_db(seq));
    }
    Ok(())
}

/// From a row of [`EDITS`].
fn add_edit(row: &Row, target: &mut Target) -> Result<(), tokio_postgres::Error> {
    let content = content_from_db(row.try_get(2)?);
    if let EntryKind::Change(change) = record::read_change("edit", &content) {
        let write = Write::Change {
            message: change.message,
            action: change.action,
        };
        let (seq, key) = (from_db(row.try_get(1)?), row.try_get(3)?);
        target.edits.push((seq, write, key));
    }
    Ok(())
}

/// From a row of [`AT`].
fn made_by(row: &Row, conversation: &ConversationId) -> Result<Made, tokio_postgres::Error> {
    let digest = 1 + ENTRY_COLUMNS + CHANGE_COLUMNS + REACTION_COLUMNS;
    if let Some(digest) = row.try_get::<_, Option<String>>(digest)? {
        return Ok(Made::Digest(digest));
    }
    let entry = entry(row, 1, conversation)?;
    let write = entry.as_ref().and_then(Write::of);
    Ok(write.map_or(Made::Unknown, Made::Write))
}

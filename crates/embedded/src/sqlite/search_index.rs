//! Keeps the index of messages in step with the log.

use super::batch::Batch;
use super::codec::{from_db, to_db};
use super::connection::connect;
use super::error::OpenError;
use super::follower::commit_head;
use super::lock::resolve;
use lamplight_domain::entry::{EntryKind, MessageAction};
use lamplight_usecases::ports::{CommitPosition, IndexProgress, IndexStep};
use lamplight_usecases::record;
use lamplight_usecases::search_index::{index_text, tokens};
use rusqlite::config::DbConfig;
use rusqlite::{
    CachedStatement, Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params,
};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of entries that one step reads.
const MOST_BYTES: i64 = 256 * 1_024;
/// How long a step keeps the writer at a time, without the commit.
const HOLD: Duration = Duration::from_millis(4);

/// The current texts of the entries after a position, and their indexed terms. The text of an entry
/// that is not a message is its record.
const AFTER: &str = "SELECT e.id, e.conversation, e.seq, e.sender, o.kind,
         CASE WHEN o.kind IS NOT NULL THEN e.content WHEN c.deleted_seq IS NULL THEN ifnull(c.content, e.content) END, t.text
     FROM entries e
     LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
     LEFT JOIN message_changes c ON c.conversation = e.conversation AND c.seq = e.seq
     LEFT JOIN search_texts t ON t.entry = e.id
     WHERE e.id > ?1 ORDER BY e.id LIMIT ?2";

const NOW: &str = "SELECT e.id, e.sender, CASE WHEN c.deleted_seq IS NULL THEN ifnull(c.content, e.content) END, t.text
     FROM entries e
     LEFT JOIN message_changes c ON c.conversation = e.conversation AND c.seq = e.seq
     LEFT JOIN search_texts t ON t.entry = e.id
     WHERE e.conversation = ?1 AND e.seq = ?2";

/// How far the index is.
pub(crate) fn progress(conn: &Connection) -> rusqlite::Result<IndexProgress> {
    let position = CommitPosition(from_db(position(conn)?));
    let newest = commit_head(conn)?;
    Ok(IndexProgress {
        position,
        is_behind: position < newest,
        newest,
        step: IndexStep::Idle,
    })
}

fn position(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT position FROM search_position")?
        .query_row([], |row| row.get(0))
}

/// The next entries and what they change in the index: made by a reader, written by the writer.
pub(crate) struct Step {
    after: i64,
    /// In the order of entries.
    items: Vec<Item>,
    /// Further entries were left for the next step.
    is_full: bool,
}

struct Item {
    /// The entry.
    position: i64,
    /// The message that it is about, unless the index has it as it is.
    change: Option<Change>,
}

struct Change {
    message: i64,
    /// Tokens to remove.
    old: Option<String>,
    /// Text and tokens to add.
    new: Option<(String, String)>,
}

impl Step {
    /// Whether so many items are all.
    pub(crate) fn is_written(&self, written: usize) -> bool {
        written >= self.items.len()
    }

    /// How far the index is with so many items written.
    pub(crate) fn progress(&self, written: usize, newest: CommitPosition) -> IndexProgress {
        let last = written.checked_sub(1).and_then(|last| self.items.get(last));
        let position = CommitPosition(from_db(last.map_or(self.after, |item| item.position)));
        IndexProgress {
            position,
            is_behind: position < newest,
            newest: newest.max(position),
            step: match (self.items.is_empty(), self.is_full) {
                (true, _) => IndexStep::Idle,
                (false, false) if self.is_written(written) => IndexStep::Moved,
                (false, _) => IndexStep::Full,
            },
        }
    }
}

/// Reads at most `limit` further entries, in one snapshot.
pub(crate) fn read_step(conn: &Connection, limit: usize) -> rusqlite::Result<Step> {
    let mut step = Step {
        after: position(conn)?,
        items: Vec::new(),
        is_full: false,
    };
    let mut statement = conn.prepare_cached(AFTER)?;
    let mut found = statement.query(params![step.after, to_db(limit as u64)])?;
    let mut messages = HashSet::new();
    let mut bytes = 0;
    while let Some(row) = found.next()? {
        let conversation = row.get(1)?;
        let text = row.get_ref(5)?.as_str_or_null()?;
        bytes += to_db(text.map_or(0, str::len) as u64);
        let now = match row.get_ref(4)?.as_str_or_null()? {
            None => Some(Now {
                message: row.get(0)?,
                conversation,
                sender: row.get(3)?,
                text: text.map(index_text).unwrap_or_default(),
                indexed: row.get(6)?,
            }),
            Some(kind) => match record::read_change(kind, text.unwrap_or_default()) {
                EntryKind::Change(change)
                    if matches!(
                        change.action,
                        MessageAction::Edit { .. } | MessageAction::Delete
                    ) =>
                {
                    now(conn, conversation, to_db(change.message_seq))?
                }
                _ => None,
            },
        };
        step.items.push(Item {
            position: row.get(0)?,
            // Only the first entry about a message: the others would find what that one changes.
            change: now
                .filter(|now| messages.insert(now.message))
                .and_then(Now::change),
        });
        if bytes > MOST_BYTES {
            step.is_full = true;
            break;
        }
    }
    step.is_full |= step.items.len() == limit;
    Ok(step)
}

/// A message, and its terms in the index.
struct Now {
    message: i64,
    conversation: i64,
    sender: i64,
    text: String,
    indexed: Option<String>,
}

fn now(conn: &Connection, conversation: i64, seq: i64) -> rusqlite::Result<Option<Now>> {
    conn.prepare_cached(NOW)?
        .query_row(params![conversation, seq], |row| {
            let text = row.get_ref(2)?.as_str_or_null()?.map(index_text);
            Ok(Now {
                message: row.get(0)?,
                conversation,
                sender: row.get(1)?,
                text: text.unwrap_or_default(),
                indexed: row.get(3)?,
            })
        })
        .optional()
}

impl Now {
    fn change(self) -> Option<Change> {
        if self.indexed.as_deref().unwrap_or_default() == self.text {
            return None;
        }
        let tokens = |text: &str| tokens(text, self.conversation, self.sender);
        Some(Change {
            message: self.message,
            old: self.indexed.as_deref().map(tokens),
            new: (!self.text.is_empty()).then(|| {
                let tokens = tokens(&self.text);
                (self.text, tokens)
            }),
        })
    }
}

/// Writes the items of a step from the one at `from` on, for as long as it may keep the writer, and
/// moves the position behind them. Returns how many items of the step are written by then, and
/// nothing if the index is not where the step found it.
pub(crate) fn write_step(
    batch: &mut Batch<'_>,
    step: &Step,
    from: usize,
) -> rusqlite::Result<Option<usize>> {
    let conn = batch.conn;
    let expected = match from {
        0 => step.after,
        from => step.items[from - 1].position,
    };
    if position(conn)? != expected {
        return Ok(None);
    }
    let began = Instant::now();
    let mut has_removed = false;
    let mut written = from;
    let mut insert = Insert::prepare(conn)?;
    for item in &step.items[from..] {
        if let Some(change) = &item.change {
            if written > from && began.elapsed() >= HOLD {
                break;
            }
            has_removed |= change.old.is_some();
            change.write(conn, &mut insert)?;
        }
        written += 1;
    }
    if has_removed {
        // Older pages in the write-ahead log have the removed content.
        batch.erased();
    }
    if written > from {
        conn.prepare_cached("UPDATE search_position SET position = ?1")?
            .execute([step.items[written - 1].position])?;
    }
    Ok(Some(written))
}

/// The statements that add a message to the index, prepared once for a step.
struct Insert<'a> {
    tokens: CachedStatement<'a>,
    text: CachedStatement<'a>,
}

impl<'a> Insert<'a> {
    fn prepare(conn: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            tokens: conn
                .prepare_cached("INSERT INTO search_index (rowid, tokens) VALUES (?1, ?2)")?,
            text: conn.prepare_cached("INSERT INTO search_texts (entry, text) VALUES (?1, ?2)")?,
        })
    }
}

impl Change {
    fn write(&self, conn: &Connection, insert: &mut Insert<'_>) -> rusqlite::Result<()> {
        if let Some(tokens) = &self.old {
            conn.prepare_cached(
                "INSERT INTO search_index (search_index, rowid, tokens) VALUES ('delete', ?1, ?2)",
            )?
            .execute(params![self.message, tokens])?;
            conn.prepare_cached("DELETE FROM search_texts WHERE entry = ?1")?
                .execute([self.message])?;
        }
        if let Some((text, tokens)) = &self.new {
            insert.tokens.execute(params![self.message, tokens])?;
            insert.text.execute(params![self.message, text])?;
        }
        Ok(())
    }
}

pub(crate) fn reindex(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "INSERT INTO search_index (search_index) VALUES ('delete-all');
         DELETE FROM search_texts;
         UPDATE search_position SET position = 0;",
    )
}

/// Empties the index of the database at `path`, even while a server uses it: the server notices and
/// rebuilds the index.
///
/// # Errors
/// When the database cannot be used; nothing was changed.
pub fn reindex_file(path: &Path) -> Result<(), OpenError> {
    let path = resolve(path);
    if !path.is_file() {
        return Err(OpenError::Missing {
            what: "database",
            path,
        });
    }
    let failed = |source| OpenError::of(&path, source);
    let mut conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    // The next process that opens the database decides about its write-ahead log.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(failed)?;
    conn.pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))
        .map_err(failed)?;
    let empty = |conn: &mut Connection| {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        reindex(&transaction)?;
        transaction.commit()
    };
    empty(&mut conn).map_err(failed)
}

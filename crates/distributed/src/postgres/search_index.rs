//! Keeps the index of messages in step with the log. Whoever moves the position from where it was found
//! writes the index with the same statement, so that two nodes that try at once write it once.

use super::codec::{content_from_db, from_db, to_db};
use super::connection::Sql;
use super::database::{Database, Repeat};
use super::error::Failure;
use super::follower;
use super::search_windows::ranges;
use lamplight_domain::entry::{EntryKind, MessageAction};
use lamplight_usecases::ports::{CommitPosition, IndexProgress, IndexStep, StoreResult};
use lamplight_usecases::record;
use lamplight_usecases::search_index::{index_text, tokens};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Bytes of texts that one step reads: [`STEP`] says so too.
const MOST_BYTES: usize = 1_000_000;

pub(super) const PROGRESS: Sql = Sql {
    text: "SELECT position, coalesce((SELECT max(id) FROM entries), 0) FROM search_position",
    types: &[],
};

/// What entries behind a fence say now, as [`follower::READ`] has them. The text of an entry that is no
/// message is its record.
pub(super) const STEP: Sql = Sql {
    text: "SELECT id, conversation, sender, kind, text
           FROM (SELECT t.*, sum(octet_length(t.text)) OVER (ORDER BY t.id ROWS UNBOUNDED PRECEDING) - octet_length(t.text) AS bytes_before
               FROM (SELECT e.id, e.conversation, e.sender, o.kind, CASE
                       WHEN o.kind IS NOT NULL THEN e.content
                       WHEN k.deleted_seq IS NULL THEN coalesce(k.content, e.content) END AS text
                   FROM (SELECT * FROM entries WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) e
                   LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
                   LEFT JOIN message_changes k ON k.conversation = e.conversation AND k.seq = e.seq) t) t
           WHERE coalesce(bytes_before, 0) <= 1000000 AND pg_snapshot_xmin(pg_current_snapshot()) >= $4::text::xid8 ORDER BY id",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::TEXT],
};

/// What messages say now.
pub(super) const NOW: Sql = Sql {
    text: "SELECT e.id, e.conversation, e.sender, CASE WHEN k.deleted_seq IS NULL THEN coalesce(k.content, e.content) END
           FROM (SELECT * FROM unnest($1::int8[], $2::int8[]) AS a (conversation, seq) OFFSET 0) a
           JOIN entries e ON e.conversation = a.conversation AND e.seq = a.seq
           LEFT JOIN message_changes k ON k.conversation = e.conversation AND k.seq = e.seq",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};

/// Moves the position, unless another node did, and only then writes the index. A row whose tokens are
/// the same is left as it is.
pub(super) const WRITE: Sql = Sql {
    text: "WITH moved AS (UPDATE search_position SET position = $2 WHERE position = $1 RETURNING position),
           put AS (INSERT INTO search_index AS s (entry, tokens)
               SELECT a.entry, array_to_tsvector(string_to_array(a.tokens, ' ')) FROM moved, unnest($3::int8[], $4::text[]) AS a (entry, tokens)
               ON CONFLICT (entry) DO UPDATE SET tokens = excluded.tokens WHERE s.tokens <> excluded.tokens),
           dropped AS (DELETE FROM search_index WHERE entry = ANY ($5::int8[]) AND EXISTS (SELECT FROM moved))
           SELECT position FROM moved",
    types: &[
        Type::INT8,
        Type::INT8,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
    ],
};

const MOVE: Sql = Sql {
    text: "UPDATE search_position SET position = $1",
    types: &[Type::INT8],
};

const EMPTY: Sql = Sql {
    text: "TRUNCATE search_index",
    types: &[],
};

pub(crate) async fn progress(database: &Database) -> StoreResult<IndexProgress> {
    let Some(row) = database.row(&PROGRESS, &[]).await? else {
        return Ok(IndexProgress::default());
    };
    let number = |at| row.try_get(at).map(|id| CommitPosition(from_db(id)));
    let position = number(0).map_err(Failure::from)?;
    let newest = number(1).map_err(Failure::from)?;
    Ok(IndexProgress {
        position,
        is_behind: position < newest,
        newest,
        step: IndexStep::Idle,
    })
}

pub(crate) async fn advance(database: &Database, limit: usize) -> StoreResult<IndexProgress> {
    let before = progress(database).await?;
    if !before.is_behind {
        return Ok(before);
    }
    let rows = follower::behind_fence(database, &STEP, before.position, limit).await?;
    let Some(last) = rows.last() else {
        // A transaction is open that may still commit an entry before these.
        return Ok(before);
    };
    let last: i64 = last.try_get(0).map_err(Failure::from)?;
    let after = to_db(before.position.0);
    // Their snapshot has every change whose entry the position passes with them, and what comes later
    // has an entry of its own. Whoever moves the position meanwhile makes this step void.
    let mut texts = Texts::default();
    texts.add_step(&rows).map_err(Failure::from)?;
    if !texts.changed.is_empty() {
        let (conversations, seqs): (Vec<i64>, Vec<i64>) =
            std::mem::take(&mut texts.changed).into_iter().unzip();
        let now = database.rows(&NOW, &[&conversations, &seqs]).await?;
        texts.add_now(&now).map_err(Failure::from)?;
    }
    let is_full = rows.len() >= limit || texts.bytes > MOST_BYTES;
    let (mut entries, mut tokens, mut drop) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, text) in texts.tokens {
        if let Some(text) = text {
            entries.push(entry);
            tokens.push(text);
        } else {
            drop.push(entry);
        }
    }
    let (entries, tokens, drop) = (&entries, &tokens, &drop);
    let is_moved = database
        .transact(Repeat::Safe, |connection| async move {
            let moved = connection
                .query_opt(&WRITE, &[&after, &last, entries, tokens, drop])
                .await?;
            Ok(moved.is_some())
        })
        .await?;
    if !is_moved {
        return Ok(IndexProgress {
            step: IndexStep::Outrun,
            ..before
        });
    }
    let position = CommitPosition(from_db(last));
    Ok(IndexProgress {
        position,
        is_behind: position < before.newest,
        newest: before.newest.max(position),
        step: if is_full {
            IndexStep::Full
        } else {
            IndexStep::Moved
        },
    })
}

/// What the index is to have of messages.
#[derive(Default)]
struct Texts {
    /// The tokens of each, separated by spaces; `None` for one without any.
    tokens: BTreeMap<i64, Option<String>>,
    /// Messages that were changed by an entry of the step: by conversation and `seq`.
    changed: BTreeSet<(i64, i64)>,
    bytes: usize,
}

impl Texts {
    /// From rows of [`STEP`].
    fn add_step(&mut self, rows: &[Row]) -> Result<(), tokio_postgres::Error> {
        for row in rows {
            let text = row.try_get::<_, Option<&str>>(4)?;
            self.bytes += text.map_or(0, str::len);
            let Some(kind) = row.try_get::<_, Option<&str>>(3)? else {
                self.put(row, text)?;
                continue;
            };
            let record = content_from_db(text.unwrap_or_default());
            if let EntryKind::Change(change) = record::read_change(kind, &record)
                && matches!(
                    change.action,
                    MessageAction::Edit { .. } | MessageAction::Delete
                )
            {
                let message = (row.try_get(1)?, to_db(change.message_seq));
                self.changed.insert(message);
            }
        }
        Ok(())
    }

    /// From rows of [`NOW`], which are newer.
    fn add_now(&mut self, rows: &[Row]) -> Result<(), tokio_postgres::Error> {
        for row in rows {
            self.put(row, row.try_get(3)?)?;
        }
        Ok(())
    }

    fn put(&mut self, row: &Row, text: Option<&str>) -> Result<(), tokio_postgres::Error> {
        let (entry, conversation, sender) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let text = index_text(&content_from_db(text.unwrap_or_default()));
        let tokens = (!text.is_empty()).then(|| {
            let terms = tokens(&text, conversation, sender);
            format!("{terms} {}", ranges(entry))
        });
        self.tokens.insert(entry, tokens);
        Ok(())
    }
}

pub(crate) async fn reindex(database: &Database) -> StoreResult<()> {
    let start = &0_i64;
    database
        .transact(Repeat::Safe, |connection| async move {
            // The position first, as a step does.
            connection.execute(&MOVE, &[start]).await?;
            connection.execute(&EMPTY, &[]).await.map(drop)
        })
        .await
}

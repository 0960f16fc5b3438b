//! Keeps the index of messages in step with the log. Every node tries to; the lock of the position
//! lets one at a time.

use super::codec::{content_from_db, from_db, to_db};
use super::connection::Sql;
use super::database::{Database, Repeat};
use super::error::Failure;
use super::follower;
use lamplight_domain::entry::{EntryKind, MessageAction};
use lamplight_usecases::ports::{CommitPosition, CommittedEntry, IndexProgress, StoreResult};
use lamplight_usecases::search_index::{index_text, tokens};
use std::collections::BTreeSet;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

pub(super) const PROGRESS: Sql = Sql {
    text: "SELECT position, coalesce((SELECT max(id) FROM entries), 0) FROM search_position",
    types: &[],
};

const LOCK: Sql = Sql {
    text: "SELECT position FROM search_position FOR UPDATE SKIP LOCKED",
    types: &[],
};

/// What messages say now.
pub(super) const NOW: Sql = Sql {
    text: "SELECT e.id, e.conversation, e.sender, CASE WHEN k.deleted_seq IS NULL THEN coalesce(k.content, e.content) END
           FROM (SELECT c.id, a.seq FROM unnest($1::text[], $2::int8[]) AS a (conversation, seq)
               JOIN conversations c ON c.conversation_id = a.conversation OFFSET 0) a
           JOIN entries e ON e.conversation = a.id AND e.seq = a.seq
           LEFT JOIN message_changes k ON k.conversation = e.conversation AND k.seq = e.seq",
    types: &[Type::TEXT_ARRAY, Type::INT8_ARRAY],
};

/// A row whose tokens are the same is left as it is.
pub(super) const PUT: Sql = Sql {
    text: "INSERT INTO search_index AS s (entry, tokens)
           SELECT a.entry, array_to_tsvector(string_to_array(a.tokens, ' ')) FROM unnest($1::int8[], $2::text[]) AS a (entry, tokens)
           ON CONFLICT (entry) DO UPDATE SET tokens = excluded.tokens WHERE s.tokens <> excluded.tokens",
    types: &[Type::INT8_ARRAY, Type::TEXT_ARRAY],
};

pub(super) const DROP: Sql = Sql {
    text: "DELETE FROM search_index WHERE entry = ANY ($1::int8[])",
    types: &[Type::INT8_ARRAY],
};

const MOVE: Sql = Sql {
    text: "UPDATE search_position SET position = $1",
    types: &[Type::INT8],
};

const EMPTY: Sql = Sql {
    text: "TRUNCATE search_index",
    types: &[],
};

pub(crate) async fn advance(database: &Database, limit: usize) -> StoreResult<IndexProgress> {
    let row = database.row(&PROGRESS, &[]).await?;
    let (position, newest) = match &row {
        Some(row) => numbers(row).map_err(Failure::from)?,
        None => (0, 0),
    };
    let progress = |position, is_behind| IndexProgress {
        position: CommitPosition(from_db(position)),
        is_behind,
        newest: CommitPosition(from_db(newest)),
    };
    if newest <= position {
        return Ok(progress(position, false));
    }
    let after = CommitPosition(from_db(position));
    let entries = follower::read(database, after, limit).await?;
    let Some(last) = entries.last().map(|last| to_db(last.position.0)) else {
        // A transaction is open that may still commit an entry before these.
        return Ok(progress(position, true));
    };
    let (conversations, seqs): (Vec<String>, Vec<i64>) = messages(&entries).into_iter().unzip();
    let (conversations, seqs) = (&conversations, &seqs);
    let is_moved = database
        .transact(Repeat::Safe, |connection| async move {
            let locked = connection.query_opt(&LOCK, &[]).await?;
            let locked = locked.map(|row| row.try_get::<_, i64>(0)).transpose()?;
            if locked != Some(position) {
                return Ok(false);
            }
            // After the lock, so that this sees more than whoever had it before.
            let now = connection.query(&NOW, &[conversations, seqs]).await?;
            let Texts { put, drop } = texts(&now)?;
            let (entries, tokens): (Vec<i64>, Vec<String>) = put.into_iter().unzip();
            if !entries.is_empty() {
                connection.execute(&PUT, &[&entries, &tokens]).await?;
            }
            if !drop.is_empty() {
                connection.execute(&DROP, &[&drop]).await?;
            }
            connection.execute(&MOVE, &[&last]).await?;
            Ok(true)
        })
        .await?;
    Ok(if is_moved {
        progress(last, last < newest)
    } else {
        // Another node is at it.
        progress(position, false)
    })
}

fn numbers(row: &Row) -> Result<(i64, i64), tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The messages that entries are about.
fn messages(entries: &[CommittedEntry]) -> BTreeSet<(String, i64)> {
    let about = |CommittedEntry { entry, .. }: &CommittedEntry| {
        let seq = match &entry.kind {
            EntryKind::Message { .. } => entry.seq,
            EntryKind::Change(change) => match change.action {
                MessageAction::Edit { .. } | MessageAction::Delete => change.message_seq,
                MessageAction::React { .. } | MessageAction::Pin { .. } => return None,
            },
            EntryKind::Unknown => return None,
        };
        Some((entry.conversation.as_str().to_owned(), to_db(seq)))
    };
    entries.iter().filter_map(about).collect()
}

struct Texts {
    /// The tokens of each message, separated by spaces.
    put: Vec<(i64, String)>,
    /// Messages that have none.
    drop: Vec<i64>,
}

fn texts(rows: &[Row]) -> Result<Texts, tokio_postgres::Error> {
    let mut texts = Texts {
        put: Vec::new(),
        drop: Vec::new(),
    };
    for row in rows {
        let (entry, conversation, sender) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let content = row.try_get::<_, Option<&str>>(3)?.unwrap_or_default();
        let text = index_text(&content_from_db(content));
        if text.is_empty() {
            texts.drop.push(entry);
        } else {
            let tokens: Vec<String> = tokens(&text, conversation, sender).collect();
            texts.put.push((entry, tokens.join(" ")));
        }
    }
    Ok(texts)
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

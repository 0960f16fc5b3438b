//! Entries in the order of their commits, and how far each follower has handled them.

use super::codec::{from_db, to_db};
use super::entries::{entries, entry};
use lamplight_domain::identity::ConversationId;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{CommitPosition, CommittedEntry};
use lamplight_usecases::weight;
use rusqlite::{Connection, OptionalExtension as _, params};

pub(crate) fn follower_position(
    conn: &Connection,
    name: &str,
) -> rusqlite::Result<Option<CommitPosition>> {
    conn.prepare_cached("SELECT position FROM follower_positions WHERE name = ?1")?
        .query_row([name], |row| Ok(CommitPosition(from_db(row.get(0)?))))
        .optional()
}

pub(crate) fn commit_head(conn: &Connection) -> rusqlite::Result<CommitPosition> {
    conn.prepare_cached("SELECT ifnull(max(id), 0) FROM entries")?
        .query_row([], |row| Ok(CommitPosition(from_db(row.get(0)?))))
}

pub(crate) fn committed_after(
    conn: &Connection,
    after: CommitPosition,
    limit: usize,
) -> rusqlite::Result<Vec<CommittedEntry>> {
    let mut statement = conn.prepare_cached(entries!(
        "e.id, c.conversation_id",
        "JOIN conversations c ON c.id = e.conversation WHERE e.id > ?1 ORDER BY e.id LIMIT ?2"
    ))?;
    let found = statement.query_map(params![to_db(after.0), to_db(limit as u64)], |row| {
        let conversation = ConversationId::trusted(row.get_ref(10)?.as_str()?);
        Ok(CommittedEntry {
            position: CommitPosition(from_db(row.get(9)?)),
            entry: entry(row, &conversation)?,
        })
    })?;
    let mut budget = ByteBudget::default();
    let mut committed = Vec::new();
    for one in found {
        let one = one?;
        if !budget.takes(weight::entry(&one.entry)) {
            break;
        }
        committed.push(one);
    }
    Ok(committed)
}

pub(crate) fn confirm(
    conn: &Connection,
    name: &str,
    up_to: CommitPosition,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO follower_positions (name, position) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE excluded.position > position",
    )?
    .execute(params![name, to_db(up_to.0)])
    .map(drop)
}

//! Reads of entries as they were appended.

use super::codec::{from_db, to_db};
use lamplight_domain::entry::{Entry, EntryKind, Extras};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, client_message_id, excerpt};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::record;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// A query for entries, in the columns that [`entry`] reads; further columns begin at 9. "q" is the
/// message that an entry answers, "n" what became of that one.
macro_rules! entries {
    ($rest:literal) => {
        super::entries::entries!("NULL", $rest)
    };
    ($further_columns:literal, $rest:literal) => {
        concat!(
            "SELECT e.message_id, e.seq, p.user_id, e.content, e.dedupe_key, e.created_at, o.kind, x.record, ",
            "ifnull(n.content, q.content), ",
            $further_columns,
            " ",
            "FROM entries e JOIN people p ON p.id = e.sender ",
            "LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq ",
            "LEFT JOIN message_extras x ON x.conversation = e.conversation AND x.seq = e.seq ",
            "LEFT JOIN entries q ON q.conversation = x.conversation AND q.seq = x.record ->> '$.reply_to.seq' ",
            "LEFT JOIN message_changes n ON n.conversation = q.conversation AND n.seq = q.seq ",
            $rest
        )
    };
}
pub(crate) use entries;

pub(super) fn entry(row: &Row<'_>, conversation: &ConversationId) -> rusqlite::Result<Entry> {
    let content = row.get_ref(3)?.as_str()?;
    Ok(Entry {
        id: MessageId::trusted(row.get_ref(0)?.as_str()?),
        conversation: conversation.clone(),
        seq: from_db(row.get(1)?),
        sender: UserId::trusted(row.get_ref(2)?.as_str()?),
        kind: match row.get_ref(6)?.as_str_or_null()? {
            None => EntryKind::Message {
                content: Content::trusted(content),
                extras: extras(row)?,
            },
            Some(kind) => record::read_change(kind, content),
        },
        client_message_id: row
            .get_ref(4)?
            .as_str_or_null()?
            .and_then(client_message_id),
        created_at: Timestamp(row.get(5)?),
    })
}

/// The parts of a message besides its content.
fn extras(row: &Row<'_>) -> rusqlite::Result<Option<Box<Extras>>> {
    let Some(record) = row.get_ref(7)?.as_str_or_null()? else {
        return Ok(None);
    };
    let mut extras = record::read_extras(record);
    if let Some(quote) = &mut extras.reply_to {
        let quoted = row.get_ref(8)?.as_str_or_null()?.unwrap_or_default();
        quote.excerpt = excerpt(&Content::trusted(quoted));
    }
    Ok(extras.boxed())
}

pub(super) const AT: &str = entries!("WHERE e.conversation = ?1 AND e.seq = ?2");

/// The entry at a `seq` of a log.
pub(super) fn entry_at(
    conn: &Connection,
    row: i64,
    conversation: &ConversationId,
    seq: u64,
) -> rusqlite::Result<Option<Entry>> {
    conn.prepare_cached(AT)?
        .query_row(params![row, to_db(seq)], |row| entry(row, conversation))
        .optional()
}

//! The files of a conversation's messages. Needs one snapshot: a reader's.

use super::codec::{from_db, to_db};
use super::files::{ATTACHMENT_COLUMNS, attachment, attachment_columns};
use super::history::membership;
use lamplight_domain::file::FileKind;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::FileKey;
use lamplight_usecases::ports::{FoundFile, SentFile, SentFiles};
use rusqlite::{Connection, Row, params};

/// Files of one kind after a place in the list. The first condition on `seq` is where the search in
/// the index begins; the second one passes the files of one message.
pub(super) const SENT: &str = concat!(
    "SELECT ",
    attachment_columns!(),
    ", e.message_id, f.seq, o.user_id, e.created_at, f.position,
     ?7 AND EXISTS (SELECT 1 FROM blocks WHERE person = f.owner AND blocked = me.id)
     FROM files f INDEXED BY sent_files
     CROSS JOIN entries e ON e.conversation = f.conversation AND e.seq = f.seq
     CROSS JOIN people o ON o.id = f.owner CROSS JOIN people me ON me.user_id = ?8
     WHERE f.conversation = ?1
     AND (CASE substr(f.type, 1, 6) WHEN 'image/' THEN 1 WHEN 'video/' THEN 1 WHEN 'audio/' THEN 2 ELSE 3 END) = ?2
     AND f.seq IS NOT NULL AND f.state = 2 AND f.seq >= ?3
     AND f.seq <= ?4 AND (f.seq < ?4 OR (f.position, f.id) > (?5, ?6))
     ORDER BY f.seq DESC, f.position, f.id LIMIT ?9"
);

/// Whether a block withholds files in a conversation: in one of two people.
const IS_DIRECT: &str =
    "SELECT NOT EXISTS (SELECT 1 FROM conversation_groups WHERE conversation = ?1)
     AND (SELECT count(*) FROM (SELECT 1 FROM members WHERE conversation = ?1 LIMIT 3)) = 2";

pub(crate) fn sent_files(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
    kinds: &[FileKind],
    after: &FileKey,
    limit: usize,
) -> rusqlite::Result<Option<SentFiles>> {
    let Some(membership) = membership(conn, caller, conversation)? else {
        return Ok(None);
    };
    let is_direct: bool = conn
        .prepare_cached(IS_DIRECT)?
        .query_row([membership.row], |row| row.get(0))?;
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut statement = conn.prepare_cached(SENT)?;
    let mut found = Vec::new();
    for kind in kinds {
        let params = params![
            membership.row,
            kind.number(),
            to_db(membership.first_seq),
            after.seq,
            after.position,
            after.id,
            is_direct,
            caller.as_str(),
            wanted
        ];
        let rows = statement.query_map(params, found_file)?;
        for row in rows {
            found.push(row?);
        }
    }
    Ok(Some(SentFiles::part(found, limit, membership.head_seq)))
}

fn found_file(row: &Row<'_>) -> rusqlite::Result<FoundFile> {
    let at = ATTACHMENT_COLUMNS;
    Ok(FoundFile {
        file: SentFile {
            file: attachment(row)?,
            message: MessageId::trusted(row.get_ref(at)?.as_str()?),
            seq: from_db(row.get(at + 1)?),
            sender: UserId::trusted(row.get_ref(at + 2)?.as_str()?),
            sent_at: Timestamp(row.get(at + 3)?),
        },
        position: row.get(at + 4)?,
        is_withheld: row.get(at + 5)?,
    })
}

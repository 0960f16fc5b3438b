//! The files of a conversation's messages.

use super::codec::{from_db, role_from_db, to_db};
use super::connection::Sql;
use super::database::Database;
use super::error::Failure;
use super::files::{ATTACHMENT_COLUMNS, attachment, attachment_columns};
use super::queries::{members_at, profiles};
use lamplight_domain::file::FileKind;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::FileKey;
use lamplight_usecases::named;
use lamplight_usecases::ports::{FoundFile, SentFile, SentFiles, StoreResult};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Files of some kinds after a place in the list, from the index of each kind: no row for those who
/// are not members, one without a file where there is none. The first condition on `seq` is where the
/// search in the index begins; the second one passes the files of one message.
pub(super) const SENT: Sql = Sql {
    text: concat!(
        "SELECT h.*, m.role, c.head_seq, c.id, c.members_version
         FROM (SELECT c.id, c.head_seq, c.members_version, me.id AS person,
                 NOT EXISTS (SELECT 1 FROM conversation_groups g WHERE g.conversation = c.id)
                 AND (SELECT count(*) FROM (SELECT 1 FROM members WHERE conversation = c.id LIMIT 3) x) = 2 AS is_direct
             FROM conversations c, people me WHERE c.conversation_id = $1 AND me.user_id = $2 OFFSET 0) c
         JOIN members m ON m.conversation = c.id AND m.person = c.person
         LEFT JOIN LATERAL (SELECT ",
        attachment_columns!(),
        ", e.message_id, f.seq, o.user_id, e.created_at, f.position::int8,
             c.is_direct AND EXISTS (SELECT 1 FROM blocks WHERE person = f.owner AND blocked = c.person)
             FROM (SELECT f.* FROM unnest($3::int4[]) AS k (kind) CROSS JOIN LATERAL (
                     SELECT * FROM files f WHERE f.conversation = c.id
                     AND (CASE substr(f.type, 1, 6) WHEN 'image/' THEN 1 WHEN 'video/' THEN 1 WHEN 'audio/' THEN 2 ELSE 3 END) = k.kind
                     AND f.seq IS NOT NULL AND f.state = 2 AND f.seq >= m.first_seq
                     AND f.seq <= $4 AND (f.seq < $4 OR (f.position::int8, f.id) > ($5, $6))
                     ORDER BY f.seq DESC, f.position, f.id LIMIT $7) f
                 ORDER BY f.seq DESC, f.position, f.id LIMIT $7) f
             JOIN entries e ON e.conversation = f.conversation AND e.seq = f.seq
             JOIN people o ON o.id = f.owner) h ON true"
    ),
    types: &[
        Type::TEXT,
        Type::TEXT,
        Type::INT4_ARRAY,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
    ],
};

/// Where the columns about the conversation begin.
const OF_CONVERSATION: usize = ATTACHMENT_COLUMNS + 6;

pub(crate) async fn sent_files(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
    kinds: &[FileKind],
    after: &FileKey,
    limit: usize,
) -> StoreResult<Option<SentFiles>> {
    let (place, user, id) = (conversation.as_str(), caller.as_str(), after.id.as_str());
    let kinds: Vec<i32> = kinds.iter().map(|kind| kind.number()).collect();
    let wanted = to_db(limit as u64).saturating_add(1);
    let rows = database
        .rows(
            &SENT,
            &[
                &place,
                &user,
                &kinds,
                &after.seq,
                &after.position,
                &id,
                &wanted,
            ],
        )
        .await?;
    let Some(log) = log_of(&rows).map_err(Failure::from)? else {
        return Ok(None);
    };
    let found = rows.iter().filter_map(|row| found(row).transpose());
    let found: Result<Vec<FoundFile>, tokio_postgres::Error> = found.collect();
    let mut part = SentFiles::part(found.map_err(Failure::from)?, limit, log.head_seq);
    if !part.files.is_empty() {
        let members = members_at(database, log.version).await?;
        part.users = profiles(database, &named::in_files(&part.files, &members)).await?;
    }
    Ok(Some(part))
}

struct Log {
    head_seq: u64,
    /// The conversation's row, and the version of its members.
    version: (i64, i64),
}

/// What the rows say of the log; `None` for those who may not see it.
fn log_of(rows: &[Row]) -> Result<Option<Log>, tokio_postgres::Error> {
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let role: i16 = row.try_get(OF_CONVERSATION)?;
    if authorize(Some(role_from_db(role)), Action::View).is_err() {
        return Ok(None);
    }
    Ok(Some(Log {
        head_seq: from_db(row.try_get(OF_CONVERSATION + 1)?),
        version: (
            row.try_get(OF_CONVERSATION + 2)?,
            row.try_get(OF_CONVERSATION + 3)?,
        ),
    }))
}

fn found(row: &Row) -> Result<Option<FoundFile>, tokio_postgres::Error> {
    if row.try_get::<_, Option<&str>>(0)?.is_none() {
        return Ok(None);
    }
    let at = ATTACHMENT_COLUMNS;
    Ok(Some(FoundFile {
        file: SentFile {
            file: attachment(row, 0)?,
            message: MessageId::trusted(row.try_get::<_, &str>(at)?),
            seq: from_db(row.try_get(at + 1)?),
            sender: UserId::trusted(row.try_get::<_, &str>(at + 2)?),
            sent_at: Timestamp(row.try_get(at + 3)?),
        },
        position: row.try_get(at + 4)?,
        is_withheld: row.try_get(at + 5)?,
    }))
}

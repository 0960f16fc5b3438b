//! The records of pictures of accounts and groups.

use super::codec::to_db;
use lamplight_domain::identity::{ConversationId, FileId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::Avatar;
use rusqlite::{Connection, Row, params};

pub(super) const AVATARS: &str = "SELECT a.id, a.created_at,
         ifnull(p.avatar_url = '/api/avatars/' || a.id, 0) OR ifnull(g.avatar_url = '/api/avatars/' || a.id, 0)
     FROM avatars a LEFT JOIN people p ON p.id = a.person
     LEFT JOIN conversation_groups g ON g.conversation = a.conversation
     WHERE a.id > ?1 ORDER BY a.id LIMIT ?2";

pub(crate) fn add_avatar(
    conn: &Connection,
    id: &FileId,
    account: Option<&UserId>,
    group: Option<&ConversationId>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO avatars (id, person, conversation, created_at)
         VALUES (?1, (SELECT id FROM people WHERE user_id = ?2),
             (SELECT id FROM conversations WHERE conversation_id = ?3), ?4)",
    )?
    .execute(params![
        id.as_str(),
        account.map(UserId::as_str),
        group.map(ConversationId::as_str),
        at.0
    ])?;
    Ok(())
}

pub(crate) fn avatars(
    conn: &Connection,
    after: Option<&FileId>,
    limit: usize,
) -> rusqlite::Result<Vec<Avatar>> {
    let avatar = |row: &Row<'_>| {
        Ok(Avatar {
            id: FileId::trusted(row.get_ref(0)?.as_str()?),
            created_at: Timestamp(row.get(1)?),
            is_used: row.get(2)?,
        })
    };
    conn.prepare_cached(AVATARS)?
        .query_map(
            params![after.map_or("", FileId::as_str), to_db(limit as u64)],
            avatar,
        )?
        .collect()
}

pub(crate) fn forget_avatars(conn: &Connection, gone: &[FileId]) -> rusqlite::Result<()> {
    let mut delete = conn.prepare_cached("DELETE FROM avatars WHERE id = ?1")?;
    for id in gone {
        delete.execute([id.as_str()])?;
    }
    Ok(())
}

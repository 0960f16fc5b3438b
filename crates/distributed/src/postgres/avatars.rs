//! The records of pictures of accounts and groups.

use super::codec::to_db;
use super::connection::Sql;
use super::database::{Database, Repeat};
use super::error::Failure;
use lamplight_domain::identity::{ConversationId, FileId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Avatar, StoreResult};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const ADD: Sql = Sql {
    text: "INSERT INTO avatars (id, person, conversation, created_at)
           VALUES ($1, (SELECT id FROM people WHERE user_id = $2),
               (SELECT id FROM conversations WHERE conversation_id = $3), $4)
           ON CONFLICT (id) DO NOTHING",
    types: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8],
};

const AVATARS: Sql = Sql {
    text: "SELECT a.id, a.created_at, coalesce(p.avatar_url = '/api/avatars/' || a.id, false)
               OR coalesce(g.avatar_url = '/api/avatars/' || a.id, false)
           FROM avatars a LEFT JOIN people p ON p.id = a.person
           LEFT JOIN conversation_groups g ON g.conversation = a.conversation
           WHERE a.id > $1 ORDER BY a.id LIMIT $2",
    types: &[Type::TEXT, Type::INT8],
};

const FORGET: Sql = Sql {
    text: "DELETE FROM avatars WHERE id = ANY ($1)",
    types: &[Type::TEXT_ARRAY],
};

pub(crate) async fn add_avatar(
    database: &Database,
    id: &FileId,
    account: Option<&UserId>,
    group: Option<&ConversationId>,
    at: Timestamp,
) -> StoreResult<()> {
    let (id, at) = (id.as_str(), &at.0);
    let account = account.map(UserId::as_str);
    let group = group.map(ConversationId::as_str);
    let (id, account, group) = (&id, &account, &group);
    database
        .transact(Repeat::Safe, |connection| async move {
            connection
                .execute(&ADD, &[id, account, group, at])
                .await
                .map(drop)
        })
        .await
}

pub(crate) async fn avatars(
    database: &Database,
    after: Option<&FileId>,
    limit: usize,
) -> StoreResult<Vec<Avatar>> {
    let after = after.map_or("", FileId::as_str);
    let rows = database
        .rows(&AVATARS, &[&after, &to_db(limit as u64)])
        .await?;
    let avatar = |row: &Row| {
        Ok(Avatar {
            id: FileId::trusted(row.try_get::<_, &str>(0)?),
            created_at: Timestamp(row.try_get(1)?),
            is_used: row.try_get(2)?,
        })
    };
    let found: Result<Vec<Avatar>, tokio_postgres::Error> = rows.iter().map(avatar).collect();
    Ok(found.map_err(Failure::from)?)
}

pub(crate) async fn forget_avatars(database: &Database, gone: &[FileId]) -> StoreResult<()> {
    let gone: Vec<&str> = gone.iter().map(FileId::as_str).collect();
    let gone = &gone;
    database
        .transact(Repeat::Safe, |connection| async move {
            connection.execute(&FORGET, &[gone]).await.map(drop)
        })
        .await
}

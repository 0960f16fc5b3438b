//! Members' settings of conversations. Read and written under the lock of the conversation, which
//! every append takes.

use super::append::{Archived, Locked};
use super::connection::{Connection, Sql};
use super::database::{Database, Repeat};
use super::error::Failure;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::member_settings::{MemberSettings, SettingsChange};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::StoreResult;
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The members who have archived conversations.
pub(super) const ARCHIVED: Sql = Sql {
    text: "SELECT s.muted_until, s.archived, s.pinned, s.conversation, s.person, p.user_id
           FROM member_settings s JOIN people p ON p.id = s.person
           WHERE s.conversation = ANY($1) AND s.archived = 1 ORDER BY p.user_id",
    types: &[Type::INT8_ARRAY],
};

/// In the order in which a deletion of an account locks them.
pub(super) const BRING_BACK: Sql = Sql {
    text: "WITH locked AS MATERIALIZED (SELECT s.conversation, s.person FROM unnest($1::int8[], $2::int8[]) AS u (conversation, person)
               JOIN member_settings s ON s.conversation = u.conversation AND s.person = u.person
               ORDER BY s.conversation, s.person FOR NO KEY UPDATE OF s)
           UPDATE member_settings s SET archived = 0 FROM locked
           WHERE s.conversation = locked.conversation AND s.person = locked.person",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};

pub(super) const CLEAR: Sql = Sql {
    text: "UPDATE conversations SET has_archived = false WHERE id = ANY($1)",
    types: &[Type::INT8_ARRAY],
};

const LOCK: Sql = Sql {
    text: "SELECT id FROM conversations WHERE conversation_id = $1 FOR NO KEY UPDATE",
    types: &[Type::TEXT],
};

/// With a later snapshot than that of [`LOCK`].
pub(super) const SET: Sql = Sql {
    text: "SELECT s.muted_until, s.archived, s.pinned, m.person
           FROM (SELECT id FROM people WHERE user_id = $2 AND source <> 3 OFFSET 0) me
           JOIN members m ON m.conversation = $1 AND m.person = me.id
           LEFT JOIN member_settings s ON s.conversation = m.conversation AND s.person = m.person",
    types: &[Type::INT8, Type::TEXT],
};

pub(super) const PUT: Sql = Sql {
    text: "INSERT INTO member_settings (conversation, person, muted_until, archived, pinned) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (conversation, person) DO UPDATE
           SET muted_until = excluded.muted_until, archived = excluded.archived, pinned = excluded.pinned",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::INT2, Type::INT2],
};

pub(super) const DROP: Sql = Sql {
    text: "DELETE FROM member_settings WHERE conversation = $1 AND person = $2",
    types: &[Type::INT8, Type::INT8],
};

const NOTE: Sql = Sql {
    text: "UPDATE conversations SET has_archived = true WHERE id = $1 AND NOT has_archived",
    types: &[Type::INT8],
};

/// From three columns, the first of them at `at`. All are null where nothing is set.
pub(super) fn settings(row: &Row, at: usize) -> Result<MemberSettings, tokio_postgres::Error> {
    let flag = |at| {
        Ok(row
            .try_get::<_, Option<i16>>(at)?
            .is_some_and(|set| set != 0))
    };
    Ok(MemberSettings {
        muted_until: row.try_get::<_, Option<i64>>(at)?.map(Timestamp),
        archived: flag(at + 1)?,
        pinned: flag(at + 2)?,
    })
}

/// Reads which members have archived the locked conversations. Runs no statement if no conversation
/// has the flag.
pub(super) async fn fill_archived(
    connection: &Connection,
    conversations: &mut HashMap<ConversationId, Locked>,
) -> Result<(), Failure> {
    let may_have = conversations.values().filter(|one| one.has_archived);
    let asked: Vec<i64> = may_have.map(|one| one.row).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let mut found: HashMap<i64, Vec<Archived>> = HashMap::new();
    for row in connection.query(&ARCHIVED, &[&asked]).await? {
        let archived = Archived {
            person: row.try_get(4)?,
            user: UserId::trusted(row.try_get::<_, &str>(5)?),
            settings: settings(&row, 0)?,
        };
        found.entry(row.try_get(3)?).or_default().push(archived);
    }
    for one in conversations.values_mut() {
        one.archived = found.remove(&one.row).unwrap_or_default();
    }
    Ok(())
}

/// Changes a member's settings. `false` if there is no such conversation for the user.
pub(crate) async fn set_settings(
    database: &Database,
    user: &UserId,
    conversation: &ConversationId,
    change: SettingsChange,
) -> StoreResult<bool> {
    database
        .transact(Repeat::Safe, |connection| async move {
            let locked = connection
                .query_opt(&LOCK, &[&conversation.as_str()])
                .await?;
            let Some(locked) = locked else {
                return Ok(false);
            };
            let row: i64 = locked.try_get(0)?;
            let found = connection.query_opt(&SET, &[&row, &user.as_str()]).await?;
            let Some(found) = found else {
                return Ok(false);
            };
            let person: i64 = found.try_get(3)?;
            let before = settings(&found, 0)?;
            let after = before.with(change);
            if after == before {
                return Ok(true);
            }
            if after == MemberSettings::default() {
                connection.execute(&DROP, &[&row, &person]).await?;
                return Ok(true);
            }
            let muted_until = after.muted_until.map(|until| until.0);
            let (archived, pinned) = (i16::from(after.archived), i16::from(after.pinned));
            connection
                .execute(&PUT, &[&row, &person, &muted_until, &archived, &pinned])
                .await?;
            if after.archived {
                connection.execute(&NOTE, &[&row]).await?;
            }
            Ok(true)
        })
        .await
}

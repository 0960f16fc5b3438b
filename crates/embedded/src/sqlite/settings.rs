//! Members' settings of conversations.

use super::batch::{Batch, CachedConversation};
use super::deleted_accounts::has_deleted_account;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::member_settings::{MemberSettings, SettingsChange};
use lamplight_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// From three columns, the first of them at `at`. All are null where nothing is set.
pub(super) fn settings(row: &Row<'_>, at: usize) -> rusqlite::Result<MemberSettings> {
    Ok(MemberSettings {
        muted_until: row.get::<_, Option<i64>>(at)?.map(Timestamp),
        archived: row.get::<_, Option<bool>>(at + 1)?.unwrap_or(false),
        pinned: row.get::<_, Option<bool>>(at + 2)?.unwrap_or(false),
    })
}

/// Changes a member's settings. `false` if there is no such conversation for the user.
pub(crate) fn set_settings(
    batch: &mut Batch<'_>,
    user: &UserId,
    conversation: &ConversationId,
    change: SettingsChange,
) -> rusqlite::Result<bool> {
    let Some((conn, known)) = batch.known(conversation)? else {
        return Ok(false);
    };
    let Some(member) = known.member(user) else {
        return Ok(false);
    };
    if has_deleted_account(conn, user)? {
        return Ok(false);
    }
    let before = conn
        .prepare_cached(
            "SELECT muted_until, archived, pinned FROM member_settings WHERE conversation = ?1 AND person = ?2",
        )?
        .query_row(params![known.row, member.person], |row| settings(row, 0))
        .optional()?
        .unwrap_or_default();
    let after = before.with(change);
    if after != before {
        write(conn, known.row, member.person, after)?;
        known.has_archived |= after.archived;
    }
    Ok(true)
}

fn write(
    conn: &Connection,
    conversation: i64,
    person: i64,
    settings: MemberSettings,
) -> rusqlite::Result<()> {
    if settings == MemberSettings::default() {
        conn.prepare_cached("DELETE FROM member_settings WHERE conversation = ?1 AND person = ?2")?
            .execute(params![conversation, person])?;
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT OR REPLACE INTO member_settings (conversation, person, muted_until, archived, pinned) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        conversation,
        person,
        settings.muted_until.map(|until| until.0),
        settings.archived,
        settings.pinned
    ])?;
    Ok(())
}

/// Takes a conversation to which a message was added out of the archives of its members. Returns the
/// event for them, if there are any. To be called only where a member has archived it.
pub(super) fn bring_back(
    conn: &Connection,
    known: &mut CachedConversation,
    conversation: &ConversationId,
    at: Timestamp,
) -> rusqlite::Result<Option<Event>> {
    let archived = conn
        .prepare_cached(
            "SELECT s.muted_until, s.archived, s.pinned, s.person, p.user_id
             FROM member_settings s INDEXED BY archived_conversations JOIN people p ON p.id = s.person
             WHERE s.conversation = ?1 AND s.archived = 1 ORDER BY p.user_id",
        )?
        .query_map([known.row], |row| {
            let user = UserId::trusted(row.get_ref(4)?.as_str()?);
            Ok((settings(row, 0)?, row.get::<_, i64>(3)?, user))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let count = archived.len();
    let mut to = Vec::new();
    for (settings, person, user) in archived {
        if settings.is_brought_back(at) {
            let settings = MemberSettings {
                archived: false,
                ..settings
            };
            write(conn, known.row, person, settings)?;
            to.push(user);
        }
    }
    known.has_archived = to.len() < count;
    Ok((!to.is_empty()).then(|| Event::ConversationChanged {
        conversation: conversation.clone(),
        to: to.into(),
    }))
}

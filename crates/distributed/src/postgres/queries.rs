//! Reads of conversations, their members and the lists of them.

use super::codec::{from_db, role_from_db, to_db};
use super::connection::{Params, Sql};
use super::database::Database;
use super::entries::{
    CHANGE_COLUMNS, ENTRY_COLUMNS, change_columns, change_joins, changed, entry, entry_columns,
    entry_joins,
};
use super::error::Failure;
use super::members::{MEMBERS, members_in};
use super::settings::settings;
use lamplight_domain::conversation::{
    Conversation, ConversationDetails, ConversationSummary, GroupDetails, Members, SHOWN_MEMBERS,
};
use lamplight_domain::entry::LogHead;
use lamplight_domain::group::{Readers, is_group};
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::ConversationKey;
use lamplight_usecases::named;
use lamplight_usecases::pages::ByteBudget;
use lamplight_usecases::ports::{ListFilter, Page, StoreResult};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// More members than this are more than an answer has room for: each takes 47 bytes at least. A list
/// ends with the conversation that passes them, or with the second one, which says that the first
/// is not all.
const MEMBERS_AT_MOST: i64 = (ANSWER_BYTES / 47) as i64;

/// The caller's conversation with this id.
macro_rules! own {
    ($condition:literal) => {
        concat!(
            "SELECT c.id, c.conversation_id, c.head_seq, c.created_at, c.position, m.read_seq, m.role, m.first_seq, c.member_count,
                 s.muted_until, s.archived, s.pinned
             FROM (SELECT c.*, me.id AS person FROM conversations c, people me WHERE me.user_id = $1 AND ",
            $condition,
            " OFFSET 0) c JOIN members m ON m.conversation = c.id AND m.person = c.person
             LEFT JOIN member_settings s ON s.conversation = m.conversation AND s.person = m.person OFFSET 0"
        )
    };
}

/// The caller's conversations, newest entry first, without those that the client knows.
macro_rules! listed {
    () => {
        "SELECT * FROM (
             SELECT l.*, sum(least(l.member_count, 100)) OVER w - least(l.member_count, 100) AS members_before, row_number() OVER w AS place
             FROM (SELECT c.id, c.conversation_id, c.head_seq, c.created_at, c.position, m.read_seq, m.role, m.first_seq, c.member_count,
                     s.muted_until, s.archived, s.pinned
                 FROM people me JOIN members m ON m.person = me.id JOIN conversations c ON c.id = m.conversation
                 LEFT JOIN member_settings s ON s.conversation = m.conversation AND s.person = m.person
                 WHERE me.user_id = $1 AND (c.position, c.id) < ($2, $3) AND c.conversation_id <> ALL ($5)
                     AND ($7 IS NULL OR $7 = (coalesce(s.archived, 0) = 1))
                     AND ($8 IS NULL OR $8 = (coalesce(s.pinned, 0) = 1))
                 ORDER BY c.position DESC, c.id DESC LIMIT $4) l
             WINDOW w AS (ORDER BY l.position DESC, l.id DESC ROWS UNBOUNDED PRECEDING)
         ) l WHERE l.members_before <= $6 OR l.place = 2"
    };
}

const LIST_TYPES: &[Type] = &[
    Type::TEXT,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::TEXT_ARRAY,
    Type::INT8,
    Type::BOOL,
    Type::BOOL,
];

/// What a summary has, for conversations `l`. The counts follow from the nearest entries that are
/// not messages. Where one of those is the head, it names the last message that is not deleted.
macro_rules! summaries {
    ($($conversations:tt)*) => {
        concat!(
            "SELECT l.id, l.conversation_id, l.head_seq, l.created_at, l.position, l.read_seq,
                 h.seq, h.message_count, h.last_message_seq, r.seq, r.message_count, r.last_message_seq,
                 (SELECT count(*) FROM message_changes d
                     WHERE d.conversation = l.id AND d.seq > l.read_seq AND d.deleted_seq IS NOT NULL),
                 ", entry_columns!(), ", ", change_columns!(), ", l.muted_until, l.archived, l.pinned,
                 l.role, l.first_seq, l.member_count, g.conversation IS NOT NULL, g.name, g.avatar_url
             FROM (", $($conversations)*, ") l
             LEFT JOIN conversation_groups g ON g.conversation = l.id
             LEFT JOIN LATERAL (SELECT seq, message_count, last_message_seq FROM other_entries
                 WHERE conversation = l.id AND seq <= l.head_seq ORDER BY seq DESC LIMIT 1) h ON true
             LEFT JOIN LATERAL (SELECT seq, message_count, last_message_seq FROM other_entries
                 WHERE conversation = l.id AND seq <= l.read_seq ORDER BY seq DESC LIMIT 1) r ON true
             LEFT JOIN entries e ON e.conversation = l.id AND e.seq >= l.first_seq
                 AND e.seq = CASE WHEN h.seq = l.head_seq THEN h.last_message_seq ELSE l.head_seq END",
            entry_joins!(), change_joins!(),
            "ORDER BY l.position DESC, l.id DESC"
        )
    };
}

/// The profiles of the members of conversations `l`: so many of each as are shown.
macro_rules! profiles {
    ($($conversations:tt)*) => {
        concat!(
            "SELECT l.id, p.user_id, p.name, p.avatar_url FROM (", $($conversations)*, ") l
             CROSS JOIN LATERAL (", shown!("l.id"), ") p ORDER BY l.id, p.user_id"
        )
    };
}

/// The members of a conversation that are shown.
macro_rules! shown {
    ($row:literal) => {
        concat!(
            "SELECT p.user_id, p.name, p.avatar_url FROM members m JOIN people p ON p.id = m.person
             WHERE m.conversation = ",
            $row,
            " ORDER BY p.user_id LIMIT 100"
        )
    };
}

const _: () = assert!(SHOWN_MEMBERS == 100, "the statements say so too");

const OWN_TYPES: &[Type] = &[Type::TEXT, Type::TEXT];

pub(super) const SUMMARY: Sql = Sql {
    text: summaries!(own!("c.conversation_id = $2")),
    types: OWN_TYPES,
};

pub(super) const OWN_PROFILES: Sql = Sql {
    text: profiles!(own!("c.conversation_id = $2")),
    types: OWN_TYPES,
};

pub(super) const DIRECT_SUMMARY: Sql = Sql {
    text: summaries!(own!("c.direct_key = $2")),
    types: OWN_TYPES,
};

pub(super) const DIRECT_PROFILES: Sql = Sql {
    text: profiles!(own!("c.direct_key = $2")),
    types: OWN_TYPES,
};

pub(super) const LIST: Sql = Sql {
    text: summaries!(listed!()),
    types: LIST_TYPES,
};

pub(super) const LIST_PROFILES: Sql = Sql {
    text: profiles!(listed!()),
    types: LIST_TYPES,
};

/// The sum over the conversations that [`is_counted`] names, of what [`summary_of`] calculates for one.
///
/// [`is_counted`]: lamplight_domain::member_settings::MemberSettings::is_counted
pub(super) const TOTAL_UNREAD: Sql = Sql {
    text: "SELECT coalesce(sum(greatest(0,
                   l.head_seq - coalesce(h.seq - h.message_count, 0) - l.read_seq + coalesce(r.seq - r.message_count, 0) - d.count)), 0)::int8
           FROM (SELECT c.id, c.head_seq, m.read_seq
               FROM people me JOIN members m ON m.person = me.id JOIN conversations c ON c.id = m.conversation
               LEFT JOIN member_settings s ON s.conversation = m.conversation AND s.person = m.person
               WHERE me.user_id = $1 AND c.head_seq > m.read_seq AND coalesce(s.archived, 0) = 0
                   AND (s.muted_until IS NULL OR s.muted_until <= $2) OFFSET 0) l
           LEFT JOIN LATERAL (SELECT seq, message_count FROM other_entries
               WHERE conversation = l.id AND seq <= l.head_seq ORDER BY seq DESC LIMIT 1) h ON true
           LEFT JOIN LATERAL (SELECT seq, message_count FROM other_entries
               WHERE conversation = l.id AND seq <= l.read_seq ORDER BY seq DESC LIMIT 1) r ON true
           CROSS JOIN LATERAL (SELECT count(*) FROM message_changes
               WHERE conversation = l.id AND seq > l.read_seq AND deleted_seq IS NOT NULL) d",
    types: &[Type::TEXT, Type::INT8],
};

pub(super) const DETAILS: Sql = Sql {
    text: concat!(
        "SELECT p.user_id, p.name, p.avatar_url, c.member_count, g.conversation IS NOT NULL, g.name, g.avatar_url
         FROM (SELECT * FROM conversations WHERE conversation_id = $1 OFFSET 0) c
         LEFT JOIN conversation_groups g ON g.conversation = c.id LEFT JOIN LATERAL (", shown!("c.id"), ") p ON true ORDER BY p.user_id"
    ),
    types: &[Type::TEXT],
};

const READERS: Sql = Sql {
    text: "SELECT p.user_id, m.first_seq FROM conversations c
           LEFT JOIN members m ON m.conversation = c.id LEFT JOIN people p ON p.id = m.person
           WHERE c.conversation_id = $1 ORDER BY p.user_id",
    types: &[Type::TEXT],
};

const VERSION: Sql = Sql {
    text: "SELECT id, members_version FROM conversations WHERE conversation_id = $1",
    types: &[Type::TEXT],
};

pub(super) const PROFILES: Sql = Sql {
    text: "SELECT user_id, name, avatar_url FROM people WHERE user_id = ANY($1)",
    types: &[Type::TEXT_ARRAY],
};

pub(super) const SHARED: Sql = Sql {
    text: "SELECT c.id, c.members_version, c.conversation_id FROM people me
           JOIN members m ON m.person = me.id JOIN conversations c ON c.id = m.conversation
           WHERE me.user_id = $1 ORDER BY c.id",
    types: &[Type::TEXT],
};

/// Conversations whose members are read at a time.
const LISTS_AT_ONCE: usize = 1_000;

type RowResult<T> = Result<T, tokio_postgres::Error>;

/// Where the columns about the group begin among those of [`summaries`].
const OF_GROUP: usize = 13 + ENTRY_COLUMNS + CHANGE_COLUMNS + 3;

/// What a group has besides its log, from four columns, the first of them at `at`.
fn group_of(row: &Row, at: usize) -> RowResult<Option<GroupDetails>> {
    let count = usize::try_from(row.try_get::<_, i32>(at)?).unwrap_or(0);
    if !is_group(row.try_get(at + 1)?, count) {
        return Ok(None);
    }
    Ok(Some(GroupDetails {
        name: row.try_get::<_, Option<&str>>(at + 2)?.map(Into::into),
        avatar_url: row.try_get::<_, Option<&str>>(at + 3)?.map(Into::into),
        member_count: count as u64,
    }))
}

/// From the columns of [`summaries`].
fn summary_of(row: &Row) -> RowResult<ConversationSummary> {
    let id = ConversationId::trusted(row.try_get::<_, &str>(1)?);
    let (head_seq, read_seq) = (from_db(row.try_get(2)?), from_db(row.try_get(5)?));
    let nearest = |at: usize| -> RowResult<Option<LogHead>> {
        let Some(seq) = row.try_get::<_, Option<i64>>(at)? else {
            return Ok(None);
        };
        Ok(Some(LogHead {
            seq: from_db(seq),
            message_count: from_db(row.try_get(at + 1)?),
            last_message_seq: from_db(row.try_get(at + 2)?),
        }))
    };
    let head = LogHead::at(head_seq, nearest(6)?);
    let read = LogHead::at(read_seq, nearest(9)?);
    let deleted = from_db(row.try_get(12)?);
    let first_seq = from_db(row.try_get(OF_GROUP + 1)?);
    let last = entry(row, 13, &id)?.map(|entry| entry.seen_from(first_seq));
    let last = last.map(|entry| changed(row, 13 + ENTRY_COLUMNS, entry));
    Ok(ConversationSummary {
        role: role_from_db(row.try_get(OF_GROUP)?),
        last_message: last.transpose()?,
        unread: head.unread(read).saturating_sub(deleted),
        head_seq,
        read_seq,
        settings: settings(row, 13 + ENTRY_COLUMNS + CHANGE_COLUMNS)?,
        created_at: Timestamp(row.try_get(3)?),
        id,
    })
}

/// A profile from three columns, the first of them at `at`.
pub(super) fn profile_of(row: &Row, at: usize) -> RowResult<Profile> {
    Ok(Profile {
        id: UserId::trusted(row.try_get::<_, &str>(at)?),
        name: row.try_get::<_, &str>(at + 1)?.into(),
        avatar_url: row.try_get::<_, Option<&str>>(at + 2)?.map(Into::into),
    })
}

/// Conversations in the order of their summaries, each with its row and its cursor.
fn fill(summaries: &[Row], profiles: &[Row]) -> RowResult<Vec<(ConversationKey, Conversation)>> {
    let mut members: HashMap<i64, Vec<Profile>> = HashMap::with_capacity(summaries.len());
    for row in profiles {
        let list = members.entry(row.try_get(0)?).or_default();
        list.push(profile_of(row, 1)?);
    }
    let conversation = |row: &Row| {
        let key = ConversationKey {
            position: row.try_get(4)?,
            row: row.try_get(0)?,
        };
        let members = members.remove(&key.row).unwrap_or_default();
        let details = ConversationDetails {
            members: members.into(),
            group: group_of(row, OF_GROUP + 2)?,
        };
        Ok((key, summary_of(row)?.with_details(details)))
    };
    summaries.iter().map(conversation).collect()
}

async fn own(
    database: &Database,
    sql: [&Sql; 2],
    caller: &UserId,
    name: &str,
) -> StoreResult<Option<Conversation>> {
    let params: Params<'_> = &[&caller.as_str(), &name];
    let [summaries, profiles] = database
        .snapshot([(sql[0], params), (sql[1], params)])
        .await?;
    let mut found = fill(&summaries, &profiles).map_err(Failure::from)?;
    Ok(found.pop().map(|(_, conversation)| conversation))
}

pub(crate) async fn conversation(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
) -> StoreResult<Option<Conversation>> {
    let sql = [&SUMMARY, &OWN_PROFILES];
    own(database, sql, caller, conversation.as_str()).await
}

/// The conversation under a direct key, as one of the two sees it.
pub(crate) async fn direct(
    database: &Database,
    caller: &UserId,
    key: &str,
) -> StoreResult<Option<Conversation>> {
    own(database, [&DIRECT_SUMMARY, &DIRECT_PROFILES], caller, key).await
}

pub(crate) async fn summary(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
) -> StoreResult<Option<ConversationSummary>> {
    let params: Params<'_> = &[&caller.as_str(), &conversation.as_str()];
    let found = database.row(&SUMMARY, params).await?;
    let summary = found.as_ref().map(summary_of).transpose();
    Ok(summary.map_err(Failure::from)?)
}

pub(crate) async fn details(
    database: &Database,
    conversation: &ConversationId,
) -> StoreResult<Option<ConversationDetails>> {
    let rows = database.rows(&DETAILS, &[&conversation.as_str()]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut members = Vec::with_capacity(rows.len());
    for row in &rows {
        // A conversation without members is one row without a profile.
        let user: Option<&str> = row.try_get(0).map_err(Failure::from)?;
        if user.is_some() {
            members.push(profile_of(row, 0).map_err(Failure::from)?);
        }
    }
    Ok(Some(ConversationDetails {
        members: members.into(),
        group: group_of(first, 3).map_err(Failure::from)?,
    }))
}

/// Who is in a conversation, and where each one's log begins.
pub(crate) async fn readers(
    database: &Database,
    conversation: &ConversationId,
) -> StoreResult<Option<Readers>> {
    let rows = database.rows(&READERS, &[&conversation.as_str()]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let reader = |row: &Row| {
        let Some(user) = row.try_get::<_, Option<&str>>(0)? else {
            return Ok(None);
        };
        Ok(Some((UserId::trusted(user), from_db(row.try_get(1)?))))
    };
    let readers = rows.iter().filter_map(|row| reader(row).transpose());
    let readers = readers.collect::<RowResult<Vec<_>>>();
    Ok(Some(Readers::new(readers.map_err(Failure::from)?)))
}

/// Conversations after `after` that are not `known`, within the limits of an answer, and whether
/// there are more.
async fn list(
    database: &Database,
    caller: &UserId,
    filter: Option<ListFilter>,
    after: Option<ConversationKey>,
    known: &[&str],
    limit: usize,
) -> StoreResult<(Vec<(ConversationKey, Conversation)>, bool)> {
    let after = after.unwrap_or(ConversationKey {
        position: i64::MAX,
        row: 0,
    });
    let wanted = to_db(limit as u64).saturating_add(1);
    let caller = caller.as_str();
    let params: Params<'_> = &[
        &caller,
        &after.position,
        &after.row,
        &wanted,
        &known,
        &MEMBERS_AT_MOST,
        &filter.and_then(ListFilter::archived),
        &filter.and_then(ListFilter::pinned),
    ];
    let [summaries, profiles] = database
        .snapshot([(&LIST, params), (&LIST_PROFILES, params)])
        .await?;
    let found = fill(&summaries, &profiles).map_err(Failure::from)?;
    let mut budget = ByteBudget::default();
    let mut items = Vec::with_capacity(found.len());
    for item in found {
        if items.len() == limit || !budget.takes(weight::conversation(&item.1)) {
            return Ok((items, true));
        }
        items.push(item);
    }
    Ok((items, false))
}

pub(crate) async fn conversations(
    database: &Database,
    caller: &UserId,
    filter: Option<ListFilter>,
    after: Option<ConversationKey>,
    limit: usize,
) -> StoreResult<Page<Conversation>> {
    let (items, has_more) = list(database, caller, filter, after, &[], limit).await?;
    let last = items.last().filter(|_| has_more);
    Ok(Page {
        next: last.map(|(key, _)| key.write()),
        items: items.into_iter().map(|(_, one)| one).collect(),
    })
}

pub(crate) async fn total_unread(
    database: &Database,
    caller: &UserId,
    at: Timestamp,
) -> StoreResult<u64> {
    let params: Params<'_> = &[&caller.as_str(), &at.0];
    let row = database.row(&TOTAL_UNREAD, params).await?;
    let total = row.map(|row| row.try_get::<_, i64>(0)).transpose();
    Ok(from_db(total.map_err(Failure::from)?.unwrap_or(0)))
}

pub(crate) async fn others(
    database: &Database,
    caller: &UserId,
    known: &[ConversationId],
    limit: usize,
) -> StoreResult<Vec<Conversation>> {
    let known: Vec<&str> = known.iter().map(ConversationId::as_str).collect();
    let (items, _) = list(database, caller, None, None, &known, limit).await?;
    Ok(items.into_iter().map(|(_, one)| one).collect())
}

pub(crate) async fn members(
    database: &Database,
    conversation: &ConversationId,
) -> StoreResult<Option<Members>> {
    let Some(row) = database.row(&VERSION, &[&conversation.as_str()]).await? else {
        return Ok(None);
    };
    let version = |row: &Row| Ok::<(i64, i64), Failure>((row.try_get(0)?, row.try_get(1)?));
    members_at(database, version(&row)?).await.map(Some)
}

/// The members of a conversation's row at a version or later.
pub(super) async fn members_at(database: &Database, version: (i64, i64)) -> StoreResult<Members> {
    let found = lists(database, &[version]).await?;
    Ok(found.into_iter().next().unwrap_or_else(|| [].into()))
}

/// The profiles of users whom a page names, as far as they fit beside it. Reads nothing where there
/// are none.
pub(super) async fn profiles(database: &Database, users: &[UserId]) -> StoreResult<Vec<Profile>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = users.iter().map(UserId::as_str).collect();
    let rows = database.rows(&PROFILES, &[&ids]).await?;
    let found = rows.iter().map(|row| profile_of(row, 0));
    let found = found.collect::<RowResult<Vec<_>>>();
    Ok(named::fitting(users, found.map_err(Failure::from)?))
}

pub(crate) async fn shared_with(
    database: &Database,
    user: &UserId,
) -> StoreResult<Vec<(ConversationId, Members)>> {
    let rows = database.rows(&SHARED, &[&user.as_str()]).await?;
    let mut shared = Vec::with_capacity(rows.len());
    for rows in rows.chunks(LISTS_AT_ONCE) {
        let (mut ids, mut versions) = (Vec::new(), Vec::new());
        for row in rows {
            let id: &str = row.try_get(2).map_err(Failure::from)?;
            ids.push(ConversationId::trusted(id));
            let version = (row.try_get(0), row.try_get(1));
            versions.push((
                version.0.map_err(Failure::from)?,
                version.1.map_err(Failure::from)?,
            ));
        }
        shared.extend(ids.into_iter().zip(lists(database, &versions).await?));
    }
    Ok(shared)
}

/// The members of these conversations' rows at these versions or later, from the cache where it has
/// them.
async fn lists(database: &Database, versions: &[(i64, i64)]) -> StoreResult<Vec<Members>> {
    let held: Vec<Option<Members>> = versions
        .iter()
        .map(|(row, version)| database.members.get(*row, *version))
        .collect();
    let missing: Vec<i64> = versions
        .iter()
        .zip(&held)
        .filter_map(|((row, _), held)| held.is_none().then_some(*row))
        .collect();
    let mut read = HashMap::new();
    if !missing.is_empty() {
        let rows = database.rows(&MEMBERS, &[&missing]).await?;
        read = members_in(&rows).map_err(Failure::from)?;
    }
    let list = |((row, version), held): (&(i64, i64), Option<Members>)| {
        held.unwrap_or_else(|| {
            let members = read.remove(row).unwrap_or_else(|| [].into());
            database.members.put(*row, *version, members.clone());
            members
        })
    };
    Ok(versions.iter().zip(held).map(list).collect())
}

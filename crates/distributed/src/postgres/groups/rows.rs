//! Writes the rows of a change: its entry, and the changed members and details.

use super::super::append::{DRAW, INSERT};
use super::super::blocks::BETWEEN;
use super::super::changes::sql::{ADD_OTHERS, OTHERS};
use super::super::codec::{from_db, to_db};
use super::super::connection::Connection;
use super::super::conversations::{CHANGED, REMOVE, texts, version};
use super::super::error::Failure;
use super::sql::{ADD_MEMBERS, MOVE, RECORD, SET_DETAILS, SET_ROLES};
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::{DetailsChange, Entry, EntryKind, LogHead, MembersChange};
use lamplight_domain::event::Event;
use lamplight_domain::group::{GroupState, History, is_group};
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::StoreError;
use lamplight_usecases::record::{role_to_number, with_digest, write_other};
use std::sync::Arc;

pub(super) fn history_to_db(history: History) -> i16 {
    match history {
        History::Joined => 0,
        History::All => 1,
    }
}

pub(super) fn internal(why: &str) -> Failure {
    StoreError::Internal(why.into()).into()
}

pub(super) fn events(
    entry: &Arc<Entry>,
    to: Members,
    except: Option<&ConnectionId>,
    changed: Members,
) -> Vec<Event> {
    let mut events = vec![Event::Appended {
        entry: Arc::clone(entry),
        to,
        newcomers: [].into(),
        except: except.cloned(),
    }];
    if !changed.is_empty() {
        events.push(Event::ConversationChanged {
            conversation: entry.conversation.clone(),
            to: changed,
        });
    }
    events
}

/// An entry to append.
pub(super) struct New<'a> {
    pub(super) id: &'a str,
    pub(super) sender: i64,
    pub(super) kind: &'a EntryKind,
    pub(super) key: Option<&'a str>,
    /// The digest of the action that makes it, if the action can be repeated.
    pub(super) digest: Option<String>,
    pub(super) at: Timestamp,
}

/// Appends an entry after the head of a locked conversation. Returns its `seq` and its id.
pub(super) async fn append(
    connection: &Connection,
    row: i64,
    head_seq: u64,
    new: &New<'_>,
) -> Result<(u64, i64), Failure> {
    let (name, mut record) = write_other(new.kind).unwrap_or_default();
    if let Some(digest) = &new.digest {
        record = with_digest(&record, digest);
    }
    let nearest = match connection.query_opt(&OTHERS, &[&vec![row]]).await? {
        Some(found) => Some(LogHead {
            seq: from_db(found.try_get(1)?),
            message_count: from_db(found.try_get(2)?),
            last_message_seq: from_db(found.try_get(3)?),
        }),
        None => None,
    };
    let head = LogHead::at(head_seq, nearest).next(false);
    let drawn = connection.query_opt(&DRAW, &[&1_i64]).await?;
    let drawn = drawn.ok_or_else(|| internal("no id was drawn"))?;
    let (position, seq): (i64, i64) = (drawn.try_get(0)?, to_db(head.seq));
    connection
        .execute(
            &INSERT,
            &[
                &vec![position],
                &vec![row],
                &vec![seq],
                &vec![new.id],
                &vec![new.sender],
                &vec![record],
                &vec![new.key],
                &vec![new.at.0],
            ],
        )
        .await?;
    connection
        .execute(
            &ADD_OTHERS,
            &[
                &vec![row],
                &vec![seq],
                &vec![name],
                &vec![to_db(head.message_count)],
                &vec![to_db(head.last_message_seq)],
            ],
        )
        .await?;
    let moved = new.kind.moves_list().then_some(position);
    connection
        .execute(&MOVE, &[&row, &seq, &new.at.0, &moved])
        .await?;
    Ok((head.seq, position))
}

/// Applies the change of members in the entry at `seq`. Returns the members after it.
pub(super) async fn apply_members(
    connection: &Connection,
    row: i64,
    state: &GroupState,
    change: &MembersChange,
    seq: u64,
) -> Result<Members, Failure> {
    let after = state.after(change);
    if !change.removed.is_empty() {
        connection
            .execute(&REMOVE, &[&row, &texts(&change.removed)])
            .await?;
    }
    if !change.added.is_empty() {
        let joined = to_db(seq);
        let first = if state.history == History::Joined {
            joined
        } else {
            0
        };
        let added = texts(&change.added);
        connection
            .execute(&ADD_MEMBERS, &[&row, &added, &joined, &first])
            .await?;
    }
    set_roles(connection, row, change, seq).await?;
    let count = i32::try_from(after.len()).unwrap_or(i32::MAX);
    connection
        .execute(&CHANGED, &[&row, &version()?, &count])
        .await?;
    if !state.is_recorded && is_group(false, after.len()) {
        record(connection, row).await?;
    }
    Ok(after)
}

pub(super) async fn set_roles(
    connection: &Connection,
    row: i64,
    change: &MembersChange,
    seq: u64,
) -> Result<(), Failure> {
    if change.roles.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = change.roles.iter().map(|(user, _)| user.as_str()).collect();
    let roles = change.roles.iter();
    let roles: Vec<i16> = roles
        .map(|(_, role)| i16::try_from(role_to_number(*role)).unwrap_or(0))
        .collect();
    connection
        .execute(&SET_ROLES, &[&row, &users, &roles, &to_db(seq)])
        .await
        .map(drop)
}

/// Records that a conversation of the host application is a group.
pub(crate) async fn record(connection: &Connection, row: i64) -> Result<(), Failure> {
    connection
        .execute(&RECORD, &[&row, &history_to_db(History::All)])
        .await
        .map(drop)
}

pub(super) async fn apply_details(
    connection: &Connection,
    row: i64,
    change: &DetailsChange,
    seq: u64,
) -> Result<(), Failure> {
    // A group created by an earlier version has no row yet.
    record(connection, row).await?;
    let value = |field: &Option<Option<Arc<str>>>| {
        let value = field.as_ref().and_then(|value| value.as_deref());
        (field.is_some(), value.map(str::to_owned))
    };
    let (has_name, name) = value(&change.name);
    let (has_url, url) = value(&change.avatar_url);
    connection
        .execute(
            &SET_DETAILS,
            &[&row, &has_name, &name, &has_url, &url, &to_db(seq)],
        )
        .await
        .map(drop)
}

/// One of `others` who has blocked the user or whom the user has blocked. Their rows are locked, so
/// a new block waits for this transaction.
pub(super) async fn first_blocked(
    connection: &Connection,
    user: &UserId,
    others: &[UserId],
) -> Result<Option<UserId>, Failure> {
    let between = connection
        .query(&BETWEEN, &[&user.as_str(), &texts(others)])
        .await?;
    let first = between.first().map(|row| row.try_get::<_, &str>(0));
    Ok(first.transpose()?.map(UserId::trusted))
}

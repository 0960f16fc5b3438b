//! Changes the members of a conversation and the details of a group, and appends the entry that records
//! the change. `conversations.rs` describes the order of locks: people first, then the
//! conversation, then its memberships in the order in which marks lock them.

mod create;
mod member_page;
mod rows;
mod sql;

use super::changes::sql::AT;
use super::codec::{content_from_db, from_db, role_from_db, to_db};
use super::connection::Connection;
use super::conversations::ensure_people;
use super::database::{Database, Repeat};
use super::entries::{ENTRY_COLUMNS, entry};
use super::error::Failure;
use super::people_lock::lock_people;
use lamplight_domain::conversation::{Members, SHOWN_MEMBERS};
use lamplight_domain::entry::{Entry, EntryKind, MembersChange};
use lamplight_domain::event::Event;
use lamplight_domain::group::{
    GroupAction, GroupMember, GroupState, GroupVerdict, GroupWrite, History,
};
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::message::{Content, SendKey, dedupe_key};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{GroupChanged, GroupError};
use lamplight_usecases::record::read_digest;
use parking_lot::Mutex;
use rows::{New, append, apply_details, apply_members, events, first_blocked, internal};
use sql::{ADMITTED, EARLIER, LOCK, LOCK_STATE, PERSON, STATE, WITNESS};
use std::borrow::Cow;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

pub(crate) use create::make;
pub(crate) use member_page::member_page;
pub(super) use rows::record;

/// The result of a change.
#[derive(Clone)]
pub(crate) struct Done {
    pub(crate) changed: GroupChanged,
    /// To be published, in this order.
    pub(crate) events: Vec<Event>,
    /// The id of the entry, if one was added.
    pub(crate) position: Option<i64>,
}

type Outcome = Result<Done, GroupError>;

/// Changes a conversation.
pub(crate) async fn change(
    database: &Database,
    write: &GroupWrite,
    except: Option<&ConnectionId>,
) -> Outcome {
    let mut people = vec![write.sender.clone()];
    if let GroupAction::Add(users) | GroupAction::Replace(users) = &write.action {
        people.extend(users.iter().cloned());
    }
    people.sort();
    people.dedup();
    // The result of an earlier run whose commit is uncertain.
    let (people, earlier) = (&people, &Mutex::new(None));
    // Insert no people for a change that is refused or changes nothing.
    let adds = |outcome: &Outcome| matches!(outcome, Ok(done) if done.position.is_some());
    let outcome = database
        .transact_if(Repeat::Safe, adds, |connection| async move {
            // If an earlier run may have committed, it may have removed the sender.
            let is_repeated = earlier.lock().is_some();
            if !is_repeated && !is_admitted(&connection, write).await? {
                return Ok(Err(GroupError::NotFound));
            }
            ensure_people(&connection, people, write.created_at).await?;
            let adds = matches!(write.action, GroupAction::Add(_) | GroupAction::Replace(_));
            // Serializes with account deletions of these people.
            let deleted = match adds {
                true => lock_people(&connection, people).await?,
                false => Vec::new(),
            };
            if is_repeated && is_committed(&connection, write).await? {
                return earlier
                    .lock()
                    .take()
                    .ok_or_else(|| internal("a change is missing"));
            }
            let outcome =
                change_locked(&connection, write, &deleted, except, &database.digest_key).await?;
            *earlier.lock() = Some(outcome.clone());
            Ok(outcome)
        })
        .await?;
    if let Ok(Done {
        position: Some(position),
        ..
    }) = &outcome
    {
        database.committed(*position);
    }
    outcome
}

/// Whether the sender is a member or the host application: checked before people are inserted, and
/// again under the lock.
async fn is_admitted(connection: &Connection, write: &GroupWrite) -> Result<bool, Failure> {
    let (place, sender) = (write.conversation.as_str(), write.sender.as_str());
    let params: [&(dyn ToSql + Sync); 3] = [&place, &sender, &write.sender.is_host()];
    Ok(connection.query_opt(&ADMITTED, &params).await?.is_some())
}

/// Runs under the lock of the conversation, so that any earlier run has ended.
async fn is_committed(connection: &Connection, write: &GroupWrite) -> Result<bool, Failure> {
    let place = write.conversation.as_str();
    let Some(locked) = connection.query_opt(&LOCK, &[&place]).await? else {
        return Ok(false);
    };
    let row: i64 = locked.try_get(0)?;
    let found = connection
        .query_opt(&WITNESS, &[&row, &write.id.as_str()])
        .await?;
    Ok(found.is_some())
}

struct Locked {
    row: i64,
    head_seq: u64,
    last_at: Timestamp,
    state: GroupState,
    /// Where the sender's log begins.
    first_seq: u64,
}

async fn lock(connection: &Connection, write: &GroupWrite) -> Result<Option<Locked>, Failure> {
    let place = write.conversation.as_str();
    let Some(found) = connection.query_opt(&LOCK, &[&place]).await? else {
        return Ok(None);
    };
    let row: i64 = found.try_get(0)?;
    let mut state = GroupState {
        history: History::All,
        ..GroupState::default()
    };
    if let Some(group) = connection.query_opt(&STATE, &[&row]).await? {
        state.is_recorded = true;
        state.name = group.try_get::<_, Option<&str>>(0)?.map(Into::into);
        state.avatar_url = group.try_get::<_, Option<&str>>(1)?.map(Into::into);
        if group.try_get::<_, i16>(2)? == 0 {
            state.history = History::Joined;
        }
        state.details_seq = from_db(group.try_get(3)?);
    }
    let mut first_seq = 0;
    for member in connection.query(&LOCK_STATE, &[&row]).await? {
        let user = UserId::trusted(member.try_get::<_, &str>(0)?);
        if user == write.sender {
            first_seq = from_db(member.try_get(4)?);
        }
        state.members.push(GroupMember {
            user,
            role: role_from_db(member.try_get(1)?),
            joined_seq: from_db(member.try_get(2)?),
            role_seq: from_db(member.try_get(3)?),
        });
    }
    state
        .members
        .sort_by(|one, other| one.user.cmp(&other.user));
    Ok(Some(Locked {
        row,
        head_seq: from_db(found.try_get(1)?),
        last_at: Timestamp(found.try_get(2)?),
        state,
        first_seq,
    }))
}

async fn change_locked(
    connection: &Connection,
    write: &GroupWrite,
    deleted: &[UserId],
    except: Option<&ConnectionId>,
    digest_key: &str,
) -> Result<Outcome, Failure> {
    let Some(locked) = lock(connection, write).await? else {
        return Ok(Err(GroupError::NotFound));
    };
    if !locked.state.admits(&write.sender) {
        return Ok(Err(GroupError::NotFound));
    }
    let sender = connection
        .query_opt(&PERSON, &[&write.sender.as_str()])
        .await?
        .ok_or_else(|| internal("a sender is not there"))?;
    let person: i64 = sender.try_get(0)?;
    let key = write.key.as_ref();
    let key = key.map(|key| dedupe_key(key, &Content::trusted("")));
    if let Some(key) = &key
        && let Some(earlier) = connection
            .query_opt(&EARLIER, &[&locked.row, &person, key])
            .await?
        && let Some((there, digest)) =
            recorded_at(connection, write, locked.row, earlier.try_get(0)?).await?
    {
        let digest = digest.as_deref();
        if !write
            .action
            .is_repeated(&there, digest, digest_key.as_bytes())
        {
            return Ok(Err(GroupError::Conflict));
        }
        return Ok(Ok(unchanged(Some(there))));
    }
    if let GroupAction::Add(users) = &write.action
        && !write.sender.is_host()
        && let Some(blocked) = first_blocked(connection, &write.sender, users).await?
    {
        return Ok(Err(GroupError::Blocked(blocked)));
    }
    if let GroupAction::Add(users) = &write.action
        && let Some(deleted) = users.iter().find(|user| deleted.contains(user))
    {
        return Ok(Err(GroupError::Deleted(deleted.clone())));
    }
    let write = &without_deleted(write, &locked.state, deleted);
    let kind = match locked.state.judge(write) {
        Err(refused) => return Ok(Err(GroupError::Refused(refused))),
        Ok(GroupVerdict::Unchanged(seq)) => {
            let there = if seq >= locked.first_seq && seq > 0 {
                recorded_at(connection, write, locked.row, to_db(seq)).await?
            } else {
                None
            };
            return Ok(Ok(unchanged(there.map(|(there, _)| there))));
        }
        Ok(GroupVerdict::Members(change)) => EntryKind::Members(Box::new(change)),
        Ok(GroupVerdict::Details(change)) => EntryKind::Details(change),
    };
    let new = New {
        id: write.id.as_str(),
        sender: person,
        kind: &kind,
        digest: key
            .is_some()
            .then(|| write.action.digest(digest_key.as_bytes())),
        key: key.as_deref(),
        at: write.created_at.max(locked.last_at),
    };
    let (seq, position) = append(connection, locked.row, locked.head_seq, &new).await?;
    let state = &locked.state;
    let (to, changed): (Members, Members) = match &kind {
        EntryKind::Members(change) => {
            let after = apply_members(connection, locked.row, state, change, seq).await?;
            let changed = if after.len() <= SHOWN_MEMBERS {
                after
            } else {
                change.added.clone().into()
            };
            (state.before_and_after(change), changed)
        }
        EntryKind::Details(change) => {
            apply_details(connection, locked.row, change, seq).await?;
            let members = state.after(&MembersChange::default());
            let few = members.len() <= SHOWN_MEMBERS;
            (members.clone(), if few { members } else { [].into() })
        }
        _ => return Err(internal("a change of a group is of another kind")),
    };
    let entry = Arc::new(Entry {
        id: write.id.clone(),
        conversation: write.conversation.clone(),
        seq,
        sender: write.sender.clone(),
        client_message_id: match &write.key {
            Some(SendKey::ClientMessageId(id)) => Some(Arc::clone(id)),
            _ => None,
        },
        created_at: new.at,
        kind,
    });
    Ok(Ok(Done {
        events: events(&entry, to, except, changed),
        changed: GroupChanged {
            entry: Some(entry),
            duplicate: false,
        },
        position: Some(position),
    }))
}

/// Removes deleted accounts that are not members from a change of all members.
fn without_deleted<'a>(
    write: &'a GroupWrite,
    state: &GroupState,
    deleted: &[UserId],
) -> Cow<'a, GroupWrite> {
    let GroupAction::Replace(members) = &write.action else {
        return Cow::Borrowed(write);
    };
    let is_there = |user: &UserId| state.members.iter().any(|member| member.user == *user);
    let stays = |user: &&UserId| !deleted.contains(*user) || is_there(user);
    let left: Vec<UserId> = members.iter().filter(stays).cloned().collect();
    if left.len() == members.len() {
        return Cow::Borrowed(write);
    }
    Cow::Owned(GroupWrite {
        action: GroupAction::Replace(left),
        ..write.clone()
    })
}

fn unchanged(entry: Option<Entry>) -> Done {
    Done {
        changed: GroupChanged {
            entry: entry.map(Arc::new),
            duplicate: true,
        },
        events: Vec::new(),
        position: None,
    }
}

/// The entry at a `seq` and, if it is a change of the group, the digest of the action that made it.
async fn recorded_at(
    connection: &Connection,
    write: &GroupWrite,
    row: i64,
    seq: i64,
) -> Result<Option<(Entry, Option<String>)>, Failure> {
    const _: () = assert!(ENTRY_COLUMNS == 9, "the entry begins at the second column");
    /// Among the columns of [`AT`].
    const CONTENT: usize = 4;
    let Some(found) = connection
        .query_opt(&AT, &[&vec![row], &vec![seq], &vec![0_i64]])
        .await?
    else {
        return Ok(None);
    };
    let Some(entry) = entry(&found, 1, &write.conversation)? else {
        return Ok(None);
    };
    let digest = match &entry.kind {
        EntryKind::Members(_) | EntryKind::Details(_) => {
            read_digest(&content_from_db(found.try_get(CONTENT)?))
        }
        _ => None,
    };
    Ok(Some((entry, digest)))
}

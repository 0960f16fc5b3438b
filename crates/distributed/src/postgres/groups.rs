//! Makes groups, and changes who is in a conversation and what a group looks like, each with the
//! entry that tells of it. People are made before a conversation is locked, as in
//! `conversations.rs`; memberships are locked after it, in the order in which marks lock them.

mod sql;

use super::append::{DRAW, INSERT};
use super::blocks::BETWEEN;
use super::changes::sql::{ADD_OTHERS, AT, OTHERS};
use super::codec::{content_from_db, from_db, role_from_db, to_db};
use super::connection::Connection;
use super::conversations::{self, CHANGED, REMOVE, ensure_people, texts, version};
use super::database::{Database, Repeat};
use super::entries::{ENTRY_COLUMNS, entry};
use super::error::Failure;
use super::people_lock::lock_people;
use super::queries::{self, profile_of};
use lamplight_domain::conversation::{Conversation, Member, Members, SHOWN_MEMBERS};
use lamplight_domain::entry::{DetailsChange, Entry, EntryKind, LogHead, MembersChange};
use lamplight_domain::event::Event;
use lamplight_domain::group::{
    GroupAction, GroupMember, GroupState, GroupVerdict, GroupWrite, History, NewGroup, is_group,
};
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_domain::message::{Content, SendKey, dedupe_key};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::MemberKey;
use lamplight_usecases::pages;
use lamplight_usecases::ports::{GroupChanged, GroupError, Page, StoreError, StoreResult};
use lamplight_usecases::record::{read_digest, role_to_number, with_digest, write_other};
use parking_lot::Mutex;
use sql::{
    ADD_MEMBERS, ADMITTED, BY_CLIENT_ID, EARLIER, LOCK, LOCK_STATE, MAKE_GROUP, MEMBER_PAGE, MOVE,
    PERSON, RECORD, SET_DETAILS, SET_ROLES, STATE, WITNESS,
};
use std::borrow::Cow;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// What a change leads to.
#[derive(Clone)]
pub(crate) struct Done {
    pub(crate) changed: GroupChanged,
    /// To be published, in this order.
    pub(crate) events: Vec<Event>,
    /// The id of the entry, if one was added.
    pub(crate) position: Option<i64>,
}

type Outcome = Result<Done, GroupError>;

fn history_to_db(history: History) -> i16 {
    match history {
        History::Joined => 0,
        History::All => 1,
    }
}

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
    // What an earlier run did whose outcome was unknown.
    let (people, earlier) = (&people, &Mutex::new(None));
    // Nobody is made for a change that is refused or changes nothing.
    let adds = |outcome: &Outcome| matches!(outcome, Ok(done) if done.position.is_some());
    let outcome = database
        .transact_if(Repeat::Safe, adds, |connection| async move {
            // Of a run that may have committed, the sender may have left by it.
            let is_repeated = earlier.lock().is_some();
            if !is_repeated && !is_admitted(&connection, write).await? {
                return Ok(Err(GroupError::NotFound));
            }
            ensure_people(&connection, people, write.created_at).await?;
            let adds = matches!(write.action, GroupAction::Add(_) | GroupAction::Replace(_));
            // Whoever deletes their account meanwhile waits for this, or this for them.
            let deleted = match adds {
                true => lock_people(&connection, people).await?,
                false => Vec::new(),
            };
            if is_repeated && is_committed(&connection, write).await? {
                return earlier
                    .lock()
                    .take()
                    .ok_or_else(|| internal("a change is gone"));
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

fn internal(why: &str) -> Failure {
    StoreError::Internal(why.into()).into()
}

/// Whether the sender is a member, or the host application: asked before people are made, and again
/// under the lock.
async fn is_admitted(connection: &Connection, write: &GroupWrite) -> Result<bool, Failure> {
    let (place, sender) = (write.conversation.as_str(), write.sender.as_str());
    let params: [&(dyn ToSql + Sync); 3] = [&place, &sender, &write.sender.is_host()];
    Ok(connection.query_opt(&ADMITTED, &params).await?.is_some())
}

/// Under the lock of the conversation, so that no earlier run is under way any more.
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

/// A change of all members leaves out deleted accounts that are not there.
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

fn events(
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

/// The entry at a `seq`, and of the entry of a change the digest of the action that made it.
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

/// An entry that is to be added.
struct New<'a> {
    id: &'a str,
    sender: i64,
    kind: &'a EntryKind,
    key: Option<&'a str>,
    /// Of the action that makes it, if that can be repeated.
    digest: Option<String>,
    at: Timestamp,
}

/// Appends an entry after the head of a locked conversation. Returns its `seq` and its id.
async fn append(
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

/// Writes a change of members that the entry at `seq` tells. Returns the members after it.
async fn apply_members(
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

async fn set_roles(
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
pub(super) async fn record(connection: &Connection, row: i64) -> Result<(), Failure> {
    connection
        .execute(&RECORD, &[&row, &history_to_db(History::All)])
        .await
        .map(drop)
}

async fn apply_details(
    connection: &Connection,
    row: i64,
    change: &DetailsChange,
    seq: u64,
) -> Result<(), Failure> {
    // One that an earlier version made has no row yet.
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

/// One of `others` whom a block stands between a user and. Their rows are locked: whoever blocks
/// waits for this transaction.
async fn first_blocked(
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

/// What making a group led to.
enum Made {
    /// Its events, and the id of its entry.
    New(Vec<Event>, i64),
    There(ConversationId),
    Refused(GroupError),
}

/// Makes a group, or finds the one that its maker has made under the same id. With the events to
/// publish.
pub(crate) async fn make(
    database: &Database,
    new: &NewGroup,
) -> Result<Option<(Conversation, bool, Vec<Event>)>, GroupError> {
    let earlier = &Mutex::new(None);
    let is_new = |made: &Made| matches!(made, Made::New(..));
    let made = database
        .transact_if(Repeat::Safe, is_new, |connection| async move {
            ensure_people(&connection, &new.members, new.created_at).await?;
            let owner = new.owner.as_str();
            let deleted = lock_people(&connection, &new.members).await?;
            let maker = connection.query_opt(&PERSON, &[&owner]).await?;
            let maker: i64 = maker
                .ok_or_else(|| internal("a maker is not there"))?
                .try_get(0)?;
            if let Some(client_id) = &new.client_id {
                let params = &[&maker as _, &&**client_id as _];
                if let Some(there) = connection.query_opt(&BY_CLIENT_ID, params).await? {
                    let there = ConversationId::trusted(there.try_get::<_, &str>(0)?);
                    if there != new.conversation {
                        return Ok(Made::There(there));
                    }
                }
            }
            if let Some(blocked) = first_blocked(&connection, &new.owner, &new.members).await?
                && earlier.lock().is_none()
            {
                return Ok(Made::Refused(GroupError::Blocked(blocked)));
            }
            if let Some(deleted) = deleted.first()
                && earlier.lock().is_none()
            {
                return Ok(Made::Refused(GroupError::Deleted(deleted.clone())));
            }
            let place = &new.conversation;
            let row = conversations::insert(&connection, place, None, 0, new.created_at).await?;
            let Some(row) = row else {
                // By an earlier run, whose outcome was unknown: nobody else has this id.
                let (events, position) = earlier
                    .lock()
                    .take()
                    .ok_or_else(|| internal("the id of a new group is taken"))?;
                return Ok(Made::New(events, position));
            };
            let (events, position) = fill(&connection, row, maker, new).await?;
            *earlier.lock() = Some((events.clone(), position));
            Ok(Made::New(events, position))
        })
        .await?;
    let (place, events) = match made {
        Made::New(events, position) => {
            database.committed(position);
            (new.conversation.clone(), Some(events))
        }
        Made::There(place) => (place, None),
        Made::Refused(why) => return Err(why),
    };
    let found = queries::conversation(database, &new.owner, &place).await?;
    let is_new = events.is_some();
    Ok(found.map(|found| (found, is_new, events.unwrap_or_default())))
}

/// Gives a new conversation its group, its members and its first entry.
async fn fill(
    connection: &Connection,
    row: i64,
    maker: i64,
    new: &NewGroup,
) -> Result<(Vec<Event>, i64), Failure> {
    let change = new.first_entry();
    connection
        .execute(
            &MAKE_GROUP,
            &[
                &row,
                &new.name.as_deref(),
                &new.avatar_url.as_deref(),
                &history_to_db(new.history),
                &maker,
                &new.client_id.as_deref(),
            ],
        )
        .await?;
    let first = i64::from(new.history == History::Joined);
    let members = texts(&new.members);
    connection
        .execute(&ADD_MEMBERS, &[&row, &members, &1_i64, &first])
        .await?;
    set_roles(connection, row, &change, 1).await?;
    let count = i32::try_from(new.members.len()).unwrap_or(i32::MAX);
    connection
        .execute(&CHANGED, &[&row, &version()?, &count])
        .await?;
    let kind = EntryKind::Members(Box::new(change));
    let entry = New {
        id: new.entry.as_str(),
        sender: maker,
        kind: &kind,
        key: None,
        digest: None,
        at: new.created_at,
    };
    let (seq, position) = append(connection, row, 0, &entry).await?;
    let entry = Arc::new(Entry {
        id: new.entry.clone(),
        conversation: new.conversation.clone(),
        seq,
        sender: new.owner.clone(),
        client_message_id: None,
        kind,
        created_at: new.created_at,
    });
    let to: Members = new.members.clone().into();
    Ok((events(&entry, to.clone(), None, to), position))
}

/// A page of the members of a conversation.
pub(crate) async fn member_page(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
    after: Option<MemberKey>,
    limit: usize,
) -> StoreResult<Option<Page<Member>>> {
    let after = after.map_or_else(String::new, |key| key.user);
    let wanted = to_db(limit as u64).saturating_add(1);
    let (place, user) = (conversation.as_str(), caller.as_str());
    let rows = database
        .rows(&MEMBER_PAGE, &[&place, &user, &after, &wanted])
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        // A page without members is one row without a profile.
        let user: Option<&str> = row.try_get(0).map_err(Failure::from)?;
        if user.is_some() {
            let role = row.try_get(3).map_err(Failure::from)?;
            items.push(Member {
                profile: profile_of(row, 0).map_err(Failure::from)?,
                role: role_from_db(role),
            });
        }
    }
    Ok(Some(pages::members(items, limit)))
}

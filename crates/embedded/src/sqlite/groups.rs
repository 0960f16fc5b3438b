//! Creates groups, and changes the members of conversations and the name and picture of groups,
//! each with the entry that records it.

use super::batch::{Batch, CachedConversation, ensure_person};
use super::blocks::blocks_between;
use super::codec::{from_db, role_from_db, to_db};
use super::conversations::{self, Membership, membership};
use super::deleted_accounts::first_deleted;
use super::entries::entry_at;
use super::history;
use super::insert::{EntryRow, Inserted, insert};
use super::queries::{self, profile};
use super::repeats::{BY_KEY, digest_key};
use lamplight_domain::conversation::{Conversation, Member, Members, SHOWN_MEMBERS};
use lamplight_domain::entry::{DetailsChange, Entry, EntryKind, MembersChange};
use lamplight_domain::event::Event;
use lamplight_domain::group::{
    GroupAction, GroupMember, GroupState, GroupVerdict, GroupWrite, History, NewGroup, is_group,
};
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_domain::message::{Content, SendKey, dedupe_key};
use lamplight_domain::permission::Role;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::MemberKey;
use lamplight_usecases::pages;
use lamplight_usecases::ports::{GroupChanged, GroupError, Page};
use lamplight_usecases::record::{read_digest, role_to_number, with_digest, write_other};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::sync::Arc;

fn history_to_db(history: History) -> i64 {
    match history {
        History::Joined => 0,
        History::All => 1,
    }
}

/// Makes a group, or finds the one that its maker has made under the same id.
pub(crate) fn make(
    batch: &mut Batch<'_>,
    new: &NewGroup,
) -> rusqlite::Result<Result<Option<(Conversation, bool)>, GroupError>> {
    let conn = batch.conn;
    let maker = ensure_person(conn, &new.owner, new.created_at)?;
    if let Some(client_id) = &new.client_id {
        let there = conn
            .prepare_cached(
                "SELECT c.conversation_id FROM conversation_groups g JOIN conversations c ON c.id = g.conversation
                 WHERE g.maker = ?1 AND g.client_id = ?2",
            )?
            .query_row(params![maker, &**client_id], |row| {
                Ok(ConversationId::trusted(row.get_ref(0)?.as_str()?))
            })
            .optional()?;
        if let Some(there) = there {
            let found = queries::conversation(conn, &new.owner, &there)?;
            return Ok(Ok(found.map(|found| (found, false))));
        }
    }
    if let Some(blocked) = blocks_between(conn, &new.owner, &new.members)?.pop() {
        return Ok(Err(GroupError::Blocked(blocked)));
    }
    if let Some(deleted) = first_deleted(conn, &new.members)? {
        return Ok(Err(GroupError::Deleted(deleted)));
    }
    let row = conversations::insert(conn, &new.conversation, None, new.created_at)?;
    conn.prepare_cached(
        "INSERT INTO conversation_groups (conversation, name, avatar_url, history, maker, client_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        row,
        new.name.as_deref(),
        new.avatar_url.as_deref(),
        history_to_db(new.history),
        maker,
        new.client_id.as_deref()
    ])?;
    let change = new.first_entry();
    for user in &new.members {
        let added = Membership {
            seq: 1,
            first_seq: u64::from(new.history == History::Joined),
            joined_seq: 1,
            role: role_in(&change, user),
        };
        membership(conn, row, user, added, new.created_at)?;
    }
    let Some((_, known)) = batch.known(&new.conversation)? else {
        return Ok(Ok(None));
    };
    let to = known.members.clone();
    let kind = EntryKind::Members(Box::new(change));
    let inserted = append(
        conn,
        known,
        new.entry.as_str(),
        maker,
        &kind,
        None,
        new.created_at,
    )?;
    let entry = Entry {
        id: new.entry.clone(),
        conversation: new.conversation.clone(),
        seq: inserted.seq,
        sender: new.owner.clone(),
        client_message_id: None,
        kind,
        created_at: inserted.created_at,
    };
    batch.appended(inserted.position);
    publish(batch, &Arc::new(entry), to.clone(), None, to);
    let made = queries::conversation(batch.conn, &new.owner, &new.conversation)?;
    Ok(Ok(made.map(|made| (made, true))))
}

fn role_in(change: &MembersChange, user: &UserId) -> Role {
    let of_user = |(one, role): &(UserId, Role)| (one == user).then_some(*role);
    change.roles.iter().find_map(of_user).unwrap_or_default()
}

/// Changes a conversation in the running transaction. The outer error is SQLite's and fails the
/// transaction; the inner one is an answer to the caller.
pub(crate) fn change(
    batch: &mut Batch<'_>,
    write: &GroupWrite,
    except: Option<&ConnectionId>,
) -> rusqlite::Result<Result<GroupChanged, GroupError>> {
    let Some((conn, known)) = batch.known(&write.conversation)? else {
        return Ok(Err(GroupError::NotFound));
    };
    let state = state(conn, known)?;
    if !state.admits(&write.sender) {
        return Ok(Err(GroupError::NotFound));
    }
    let row = known.row;
    let first_seq = known.member(&write.sender).map_or(0, |one| one.first_seq);
    let person = ensure_person(conn, &write.sender, write.created_at)?;
    let key = write.key.as_ref();
    let key = key.map(|key| dedupe_key(key, &Content::trusted("")));
    let earlier = match &key {
        Some(key) => conn
            .prepare_cached(BY_KEY)?
            .query_row(params![row, person, key], |row| row.get(0).map(from_db))
            .optional()?,
        None => None,
    };
    let at = |seq| entry_at(conn, row, &write.conversation, seq);
    if let Some(there) = earlier.map_or(Ok(None), at)? {
        let digest = digest_at(conn, row, &there)?;
        let key = digest_key(conn)?;
        if !write
            .action
            .is_repeated(&there, digest.as_deref(), key.as_bytes())
        {
            return Ok(Err(GroupError::Conflict));
        }
        return Ok(Ok(unchanged(Some(there))));
    }
    if let GroupAction::Add(users) = &write.action
        && !write.sender.is_host()
        && let Some(blocked) = blocks_between(conn, &write.sender, users)?.pop()
    {
        return Ok(Err(GroupError::Blocked(blocked)));
    }
    if let GroupAction::Add(users) = &write.action
        && let Some(deleted) = first_deleted(conn, users)?
    {
        return Ok(Err(GroupError::Deleted(deleted)));
    }
    let kind = match state.judge(write) {
        Err(refused) => return Ok(Err(GroupError::Refused(refused))),
        Ok(GroupVerdict::Unchanged(seq)) => {
            let there = if seq >= first_seq { at(seq)? } else { None };
            return Ok(Ok(unchanged(there)));
        }
        Ok(GroupVerdict::Members(change)) => EntryKind::Members(Box::new(change)),
        Ok(GroupVerdict::Details(change)) => EntryKind::Details(change),
    };
    let digest = match &key {
        Some(_) => Some(write.action.digest(digest_key(conn)?.as_bytes())),
        None => None,
    };
    let key = key.as_deref().zip(digest.as_deref());
    let id = write.id.as_str();
    let inserted = append(conn, known, id, person, &kind, key, write.created_at)?;
    let (to, changed) = match &kind {
        EntryKind::Members(change) => {
            let after = apply_members(conn, row, &state, change, inserted.seq, write)?;
            batch.membership_changed(&write.conversation, after.clone());
            let changed = if after.len() <= SHOWN_MEMBERS {
                after
            } else {
                change.added.clone().into()
            };
            (state.before_and_after(change), changed)
        }
        EntryKind::Details(change) => {
            apply_details(conn, row, change, inserted.seq)?;
            let members = known.members.clone();
            let few = members.len() <= SHOWN_MEMBERS;
            (members.clone(), if few { members } else { [].into() })
        }
        _ => ([].into(), [].into()),
    };
    let entry = Arc::new(Entry {
        id: write.id.clone(),
        conversation: write.conversation.clone(),
        seq: inserted.seq,
        sender: write.sender.clone(),
        client_message_id: match &write.key {
            Some(SendKey::ClientMessageId(id)) => Some(Arc::clone(id)),
            _ => None,
        },
        kind,
        created_at: inserted.created_at,
    });
    batch.appended(inserted.position);
    publish(batch, &entry, to, except, changed);
    Ok(Ok(GroupChanged {
        entry: Some(entry),
        duplicate: false,
    }))
}

fn unchanged(entry: Option<Entry>) -> GroupChanged {
    GroupChanged {
        entry: entry.map(Arc::new),
        duplicate: true,
    }
}

fn publish(
    batch: &mut Batch<'_>,
    entry: &Arc<Entry>,
    to: Members,
    except: Option<&ConnectionId>,
    changed: Members,
) {
    batch.publish(Event::Appended {
        entry: Arc::clone(entry),
        to,
        newcomers: [].into(),
        except: except.cloned(),
    });
    if !changed.is_empty() {
        batch.publish(Event::ConversationChanged {
            conversation: entry.conversation.clone(),
            to: changed,
        });
    }
}

/// The digest of the action that made the entry of a change.
fn digest_at(conn: &Connection, row: i64, there: &Entry) -> rusqlite::Result<Option<String>> {
    if !matches!(there.kind, EntryKind::Members(_) | EntryKind::Details(_)) {
        return Ok(None);
    }
    conn.prepare_cached("SELECT content FROM entries WHERE conversation = ?1 AND seq = ?2")?
        .query_row(params![row, to_db(there.seq)], |row| {
            Ok(read_digest(row.get_ref(0)?.as_str()?))
        })
}

/// Inserts the entry of a change: under a key with the digest of its action, if it can be repeated.
fn append(
    conn: &Connection,
    known: &mut CachedConversation,
    id: &str,
    person: i64,
    kind: &EntryKind,
    key: Option<(&str, &str)>,
    at: Timestamp,
) -> rusqlite::Result<Inserted> {
    let (name, mut record) = write_other(kind).unwrap_or_default();
    if let Some((_, digest)) = key {
        record = with_digest(&record, digest);
    }
    let row = EntryRow {
        id,
        sender: person,
        other_kind: Some(name),
        moves_list: kind.moves_list(),
        content: &record,
        dedupe_key: key.map(|(key, _)| key),
        created_at: at,
        last_before: None,
    };
    insert(conn, known, &row)
}

/// A conversation as the rules need it.
pub(super) fn state(conn: &Connection, known: &CachedConversation) -> rusqlite::Result<GroupState> {
    let mut state = conn
        .prepare_cached(
            "SELECT name, avatar_url, history, details_seq FROM conversation_groups WHERE conversation = ?1",
        )?
        .query_row([known.row], |row| {
            let text = |at| row.get::<_, Option<String>>(at);
            Ok(GroupState {
                members: Vec::new(),
                is_recorded: true,
                name: text(0)?.map(Into::into),
                avatar_url: text(1)?.map(Into::into),
                history: if row.get::<_, i64>(2)? == 0 {
                    History::Joined
                } else {
                    History::All
                },
                details_seq: from_db(row.get(3)?),
            })
        })
        .optional()?
        .unwrap_or_else(|| GroupState {
            history: History::All,
            ..GroupState::default()
        });
    let mut statement = conn.prepare_cached(
        "SELECT p.user_id, m.role, m.joined_seq, m.role_seq FROM members m JOIN people p ON p.id = m.person
         WHERE m.conversation = ?1 ORDER BY p.user_id",
    )?;
    let found = statement.query_map([known.row], |row| {
        Ok(GroupMember {
            user: UserId::trusted(row.get_ref(0)?.as_str()?),
            role: role_from_db(row.get(1)?),
            joined_seq: from_db(row.get(2)?),
            role_seq: from_db(row.get(3)?),
        })
    })?;
    state.members = found.collect::<rusqlite::Result<_>>()?;
    Ok(state)
}

/// Writes the change of members in the entry at `seq`. Returns the members after it.
fn apply_members(
    conn: &Connection,
    row: i64,
    state: &GroupState,
    change: &MembersChange,
    seq: u64,
    write: &GroupWrite,
) -> rusqlite::Result<Members> {
    for user in &change.removed {
        conn.prepare_cached(
            "DELETE FROM members WHERE conversation = ?1 AND person = (SELECT id FROM people WHERE user_id = ?2)",
        )?
        .execute(params![row, user.as_str()])?;
    }
    for user in &change.added {
        let added = Membership {
            seq,
            first_seq: if state.history == History::Joined {
                seq
            } else {
                0
            },
            joined_seq: seq,
            role: role_in(change, user),
        };
        membership(conn, row, user, added, write.created_at)?;
    }
    for (user, role) in &change.roles {
        conn.prepare_cached(
            "UPDATE members SET role = ?3, role_seq = ?4
             WHERE conversation = ?1 AND person = (SELECT id FROM people WHERE user_id = ?2)",
        )?
        .execute(params![
            row,
            user.as_str(),
            role_to_number(*role),
            to_db(seq)
        ])?;
    }
    // It is no longer the conversation of those two. If it kept the key, opening a conversation
    // with one of them would lead to one with others in it.
    conn.prepare_cached(
        "UPDATE conversations SET direct_key = NULL WHERE id = ?1 AND direct_key IS NOT NULL",
    )?
    .execute([row])?;
    let after = state.after(change);
    if !state.is_recorded && is_group(false, after.len()) {
        record_group(conn, row)?;
    }
    Ok(after)
}

/// Records that a conversation of the host application is a group.
pub(super) fn record_group(conn: &Connection, row: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO conversation_groups (conversation, history) VALUES (?1, ?2)")?
        .execute(params![row, history_to_db(History::All)])
        .map(drop)
}

fn apply_details(
    conn: &Connection,
    row: i64,
    change: &DetailsChange,
    seq: u64,
) -> rusqlite::Result<()> {
    // A group created by an earlier version has no row yet.
    conn.prepare_cached(
        "INSERT OR IGNORE INTO conversation_groups (conversation, history) VALUES (?1, ?2)",
    )?
    .execute(params![row, history_to_db(History::All)])?;
    conn.prepare_cached(
        "UPDATE conversation_groups SET name = iif(?2, ?3, name), avatar_url = iif(?4, ?5, avatar_url), details_seq = ?6
         WHERE conversation = ?1",
    )?
    .execute(params![
        row,
        change.name.is_some(),
        change.name.as_ref().and_then(|name| name.as_deref()),
        change.avatar_url.is_some(),
        change.avatar_url.as_ref().and_then(|url| url.as_deref()),
        to_db(seq)
    ])?;
    Ok(())
}

/// A page of the members of a conversation.
pub(crate) fn member_page(
    conn: &Connection,
    caller: &UserId,
    conversation: &ConversationId,
    after: Option<MemberKey>,
    limit: usize,
) -> rusqlite::Result<Option<Page<Member>>> {
    let row = if caller.is_host() {
        conn.prepare_cached("SELECT id FROM conversations WHERE conversation_id = ?1")?
            .query_row([conversation.as_str()], |row| row.get(0))
            .optional()?
    } else {
        history::membership(conn, caller, conversation)?.map(|found| found.row)
    };
    let Some(row) = row else { return Ok(None) };
    let after = after.map_or_else(String::new, |key| key.user);
    let wanted = to_db(limit as u64).saturating_add(1);
    let items = conn
        .prepare_cached(
            "SELECT p.user_id, p.name, p.avatar_url, m.role FROM members m JOIN people p ON p.id = m.person
             WHERE m.conversation = ?1 AND p.user_id > ?2 ORDER BY p.user_id LIMIT ?3",
        )?
        .query_map(params![row, after, wanted], |row| {
            Ok(Member {
                profile: profile(row, 0)?,
                role: role_from_db(row.get(3)?),
            })
        })?
        .collect::<rusqlite::Result<Vec<Member>>>()?;
    Ok(Some(pages::members(items, limit)))
}

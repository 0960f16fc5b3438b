//! Creates a group, or finds the one that its creator has created under the same id.

use super::super::connection::Connection;
use super::super::conversations::{self, CHANGED, ensure_people, texts, version};
use super::super::database::{Database, Repeat};
use super::super::error::Failure;
use super::super::people_lock::lock_people;
use super::super::queries;
use super::rows::{New, append, events, first_blocked, history_to_db, internal, set_roles};
use super::sql::{ADD_MEMBERS, BY_CLIENT_ID, MAKE_GROUP, PERSON};
use lamplight_domain::conversation::{Conversation, Members};
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::group::{History, NewGroup};
use lamplight_domain::identity::ConversationId;
use lamplight_usecases::ports::GroupError;
use parking_lot::Mutex;
use std::sync::Arc;

/// The result of creating a group.
enum Made {
    /// Its events, and the id of its entry.
    New(Vec<Event>, i64),
    There(ConversationId),
    Refused(GroupError),
}

/// Creates a group, or finds the one that its creator has created under the same id. Returns
/// whether it is new, and the events to publish.
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
                // An earlier run with an uncertain commit inserted it: no other group has this id.
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

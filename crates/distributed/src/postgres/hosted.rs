//! Conversations that the host application makes or changes.

use super::conversations::{ensure_people, make, version};
use super::database::{Database, Repeat};
use super::groups::{self, Done};
use super::people_lock::lock_people;
use lamplight_domain::conversation::{Members, direct_key};
use lamplight_domain::event::Event;
use lamplight_domain::group::{GroupAction, GroupWrite, entry_id, is_group};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{GroupError, StoreError, StoreResult};
use parking_lot::Mutex;

/// How often [`put`] looks for a conversation that others make at the same time.
const LOOKS: u32 = 5;

/// The result of [`put`]: all current and former members, whether anything changed, and the events
/// to publish.
type Put = (Members, bool, Vec<Event>);

/// Makes a conversation under the host's id, or changes its members, which are in order.
pub(crate) async fn put(
    database: &Database,
    conversation: &ConversationId,
    members: &Members,
    at: Timestamp,
) -> StoreResult<Put> {
    let record: Vec<&str> = members.iter().map(UserId::as_str).collect();
    let random = version().map_err(StoreError::from)?.cast_unsigned();
    let write = GroupWrite {
        id: entry_id(conversation, random, at, &record.join("\n")),
        conversation: conversation.clone(),
        sender: UserId::host(),
        action: GroupAction::Replace(members.to_vec()),
        key: None,
        created_at: at,
        limit: usize::MAX,
    };
    for _ in 0..LOOKS {
        match groups::change(database, &write, None).await {
            Ok(done) => return Ok(changed(members, done)),
            Err(GroupError::Store(error)) => return Err(error),
            // It is not there: the host application is refused nothing else.
            Err(_) => {}
        }
        if made(database, conversation, members, at).await? {
            let changed = Event::ConversationChanged {
                conversation: conversation.clone(),
                to: members.clone(),
            };
            return Ok((members.clone(), true, vec![changed]));
        }
    }
    Err(StoreError::Unavailable(
        "a conversation changes all the time".into(),
    ))
}

fn changed(members: &Members, done: Done) -> Put {
    match done.events.first() {
        Some(Event::Appended { to, .. }) => (to.clone(), true, done.events),
        _ => (members.clone(), false, done.events),
    }
}

/// Makes the conversation; `false` if others made it meanwhile.
async fn made(
    database: &Database,
    conversation: &ConversationId,
    members: &Members,
    at: Timestamp,
) -> StoreResult<bool> {
    // Whether an earlier run made it whose outcome was unknown.
    let earlier = &Mutex::new(false);
    database
        .transact(Repeat::Safe, |connection| async move {
            ensure_people(&connection, members, at).await?;
            let deleted = lock_people(&connection, members).await?;
            let is_left = |member: &&UserId| !deleted.contains(*member);
            let members: &Members = &members.iter().filter(is_left).cloned().collect();
            let key = match &**members {
                [one, other] => direct_key(one, other),
                _ => None,
            };
            let mut row = make(&connection, conversation, key.as_deref(), members, at).await?;
            if row.is_none() && key.is_some() && !*earlier.lock() {
                // The two may have a conversation under another id.
                row = make(&connection, conversation, None, members, at).await?;
            }
            let Some(row) = row else {
                return Ok(*earlier.lock());
            };
            if is_group(false, members.len()) {
                groups::record(&connection, row).await?;
            }
            *earlier.lock() = true;
            Ok(true)
        })
        .await
}

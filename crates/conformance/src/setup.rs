//! Conversations and messages that several suites set up.

use crate::{at, conversation, message, user};
use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::{MessageId, UserId};
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::Messages;

pub(crate) fn users(ids: &[&str]) -> Vec<UserId> {
    ids.iter().map(|id| user(id)).collect()
}

/// Creates a conversation with these members, or sets its members.
pub(crate) async fn put<S: Messages>(store: &S, id: &str, members: &[&str]) {
    store
        .put_conversation(&conversation(id), &users(members), at(0))
        .await
        .expect("a conversation");
}

/// Appends a message, and returns its id.
pub(crate) async fn send<S: Messages>(
    store: &S,
    place: &str,
    sender: &str,
    content: &str,
) -> MessageId {
    let sent = store.append(message(place, sender, content), None).await;
    sent.expect("a message").entry.id.clone()
}

/// A change of a message, to append.
pub(crate) fn act(place: &str, sender: &str, on: &MessageId, action: MessageAction) -> NewEntry {
    NewEntry {
        write: Write::Change {
            message: on.clone(),
            action,
        },
        ..message(place, sender, "")
    }
}

//! Actions on messages: edits, deletions, reactions, pins, replies and mentions.

mod editing;
mod reacting;
mod reading_now;

pub use editing::*;
pub use reacting::*;
pub use reading_now::*;

use super::fresh;
use crate::setup::{act, send};
use crate::{conversation, user};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Entry, MessageAction};
use lamplight_domain::fold::{self, Message};
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::Content;
use lamplight_domain::message_rules::WriteRefused;
use lamplight_usecases::ports::{AppendError, Appended, MessagePage, Messages, Range};

fn edit(content: &str) -> MessageAction {
    MessageAction::Edit {
        content: Content::trusted(content),
        mentions: Vec::new(),
    }
}

fn react(emoji: &str, added: bool) -> MessageAction {
    MessageAction::React {
        emoji: Emoji::trusted(emoji),
        added,
    }
}

fn pin(pinned: bool) -> MessageAction {
    MessageAction::Pin { pinned }
}

async fn done<S: Messages>(
    store: &S,
    place: &str,
    sender: &str,
    on: &MessageId,
    action: MessageAction,
) -> u64 {
    fresh(store.append(act(place, sender, on, action), None).await)
}

fn refused(outcome: Result<Appended, AppendError>) -> WriteRefused {
    match outcome {
        Err(AppendError::Refused(refused)) => refused,
        other => panic!("refused by a rule, not {other:?}"),
    }
}

/// The `seq` of the entry that made the state which was asked for.
fn unchanged(outcome: Result<Appended, AppendError>) -> u64 {
    let appended = outcome.expect("an answer");
    assert!(appended.duplicate, "nothing was appended");
    appended.entry.seq
}

async fn page<S: Messages>(
    store: &S,
    viewer: &str,
    place: &str,
    range: Range,
    limit: usize,
) -> MessagePage {
    let (viewer, place) = (user(viewer), conversation(place));
    let page = store.messages(&viewer, &place, range, limit).await;
    page.expect("an answer").expect("a member")
}

async fn log<S: Messages>(store: &S, viewer: &str, place: &str) -> Vec<Entry> {
    let (viewer, place) = (user(viewer), conversation(place));
    let log = store.history(&viewer, &place, Range::After(0), 1_000).await;
    log.expect("an answer").expect("a member").entries
}

/// All messages as they are now, which is what the log folds to, by `sync` too.
async fn now<S: Messages>(store: &S, viewer: &str, place: &str) -> Vec<Message> {
    let log = log(store, viewer, place).await;
    let page = page(store, viewer, place, Range::Newest, 1_000).await;
    assert_eq!(page.messages, fold::fold(&log, &user(viewer)));
    let synced = store
        .sync(&user(viewer), &[(conversation(place), 0).into()], 1_000)
        .await
        .expect("an answer")
        .remove(0)
        .expect("a member");
    assert_eq!(synced.entries, log);
    page.messages
}

fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(Message::content).collect()
}

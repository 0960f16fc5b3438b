//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use lamplight_conformance::{Recorder, Subject};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use std::path::Path;
use std::sync::Arc;

/// An empty store in a directory of its own.
pub(crate) async fn fresh() -> Subject<SqliteStore> {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, events) = open(directory.path());
    Subject {
        store,
        events,
        keep: Box::new(directory),
    }
}

pub(crate) fn open(directory: &Path) -> (Arc<SqliteStore>, Arc<Recorder>) {
    open_with(SqliteOptions::new(directory.join("lamplight.db")))
}

pub(crate) fn open_with(options: SqliteOptions) -> (Arc<SqliteStore>, Arc<Recorder>) {
    let events = Arc::new(Recorder::default());
    let store = SqliteStore::open(options, events.clone()).expect("a store");
    (store, events)
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

pub(crate) fn conversation(id: &str) -> ConversationId {
    ConversationId::trusted(id)
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + millis)
}

/// A message under a client message id, which is its own id too.
pub(crate) fn message(place: &str, sender: &str, content: &str, id: &str) -> NewEntry {
    NewEntry {
        id: MessageId::trusted(id),
        conversation: conversation(place),
        sender: user(sender),
        write: Content::trusted(content).into(),
        key: Some(SendKey::ClientMessageId(id.into())),
        created_at: at(0),
        editable_since: None,
    }
}

/// What a crash would leave: all files as they are now, in another directory, with the rights and
/// times of copies.
pub(crate) fn crash(directory: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().expect("a directory");
    for file in std::fs::read_dir(directory).expect("a directory") {
        let file = file.expect("a file");
        if file.file_name() != "lamplight.db-shm" {
            std::fs::copy(file.path(), left.path().join(file.file_name())).expect("a copy");
        }
    }
    left
}

//! The suite for `Files`, on a store that is `Messages` and `Groups` too.

use crate::deletions::{account, delete};
use crate::setup::put;
use crate::{Subject, at, client_id, conversation, message, temp_id, user};
use lamplight_domain::entry::{EntryKind, MessageAction};
use lamplight_domain::file::{Attachment, Dimensions, FileState};
use lamplight_domain::fold::fold;
use lamplight_domain::group::{GroupAction, GroupWrite, History, NewGroup};
use lamplight_domain::identity::{FileId, MessageId, Profile};
use lamplight_domain::message::Content;
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{
    Accounts, Advance, AppendError, Appended, Blocks, Claim, Claimed, Directory, Examined,
    FileQuota, Files, Groups, LEAST_COUNTED_BYTES, Messages, NewFile, NewFileError, ProfileSource,
    Range,
};
use lamplight_usecases::transfer::{TABLES, Transfer, Value};
use std::sync::Arc;
use std::time::Duration;

mod lists;
mod scans;
mod uploads;

pub use lists::*;
pub use scans::*;
pub use uploads::*;

/// Joins the suite: `files_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! files_suite {
    ($factory:path) => {
        $crate::suite!(
            files,
            $factory,
            [
                only_members_register_files_and_within_a_quota,
                m15_a_file_is_found_by_members_of_its_conversation,
                m15_a_later_member_has_no_earlier_files,
                m15_a_block_withholds_the_files_of_the_blocker,
                m15_a_deleted_account_has_no_files,
                m3_an_upload_moves_only_from_where_it_is,
                m3_a_process_that_lost_an_upload_notes_nothing,
                m3_of_processes_that_claim_an_upload_at_once_one_gets_it,
                a_message_takes_files_that_are_ready_and_its_senders_own,
                m1_a_repeated_send_with_files_is_a_duplicate,
                messages_with_files_are_the_fold_of_the_log,
                a_deletion_deletes_the_files_of_its_message,
                files_of_a_conversation_are_listed_by_kind_the_newest_first,
                m15_a_list_of_files_has_the_files_that_the_member_may_see,
                m15_a_list_of_files_omits_files_withheld_by_a_block,
                a_deleted_file_loses_its_name_and_metadata,
                files_that_are_not_sent_are_discarded_after_a_while,
                two_messages_at_once_do_not_both_take_a_file,
                a_file_waits_for_the_scanner_and_is_one_nodes_at_a_time,
                the_bytes_of_refused_files_are_deleted,
                avatars_are_used_while_their_owner_has_the_address,
                upload_events_reach_other_members_unless_blocked,
                an_abandoned_upload_is_found_once,
            ]
        );
    };
}

fn id(id: &str) -> FileId {
    FileId::trusted(id)
}

fn new(file: &str, owner: &str, place: &str, size: u64, millis: i64) -> NewFile {
    NewFile {
        id: id(file),
        owner: user(owner),
        conversation: conversation(place),
        name: "a \u{1}name\".png".into(),
        media_type: "image/png".into(),
        size,
        created_at: at(millis),
    }
}

async fn create<S: Files>(store: &S, file: &str, owner: &str, place: &str) {
    let created = store.create(new(file, owner, place, 10, 0), None).await;
    created.expect("a file");
}

/// A step of an upload that was not claimed.
async fn advance<S: Files>(store: &S, file: &str, from: u64, to: u64, millis: i64) -> bool {
    noted(store, file, (0, from, to, ""), millis).await
}

/// A step of a generation, from and to a byte, and where the bytes are.
async fn noted<S: Files>(
    store: &S,
    file: &str,
    (generation, from, to, place): (u64, u64, u64, &str),
    millis: i64,
) -> bool {
    let step = Advance {
        generation,
        from,
        to,
        place: place.into(),
    };
    let noted = store.advance(&id(file), &step, at(millis)).await;
    noted.expect("an answer")
}

async fn claim<S: Files>(store: &S, file: &str, run: &str, is_forced: bool) -> Claim {
    let claimed = store.claim(&id(file), run, is_forced).await;
    claimed.expect("an answer")
}

fn claim_of(generation: u64, received: u64, place: &str) -> Claim {
    Claim::Claimed(Claimed {
        generation,
        received,
        place: place.into(),
    })
}

/// A file whose bytes are all there, and that was found to be a picture.
async fn ready<S: Files>(store: &S, file: &str, owner: &str, place: &str) {
    create(store, file, owner, place).await;
    assert!(advance(store, file, 0, 10, 1).await);
    let examined = store.examined(&id(file), picture(), at(2)).await;
    assert!(examined.expect("examined"));
}

async fn deleted<S: Files>(store: &S) -> Vec<FileId> {
    let deleted = store.deleted(10).await.expect("a list");
    let mut ids: Vec<FileId> = deleted.into_iter().map(|file| file.id).collect();
    ids.sort();
    ids
}

fn picture() -> Examined {
    Examined {
        media_type: "image/webp".into(),
        dimensions: Some(Dimensions {
            width: 30,
            height: 20,
        }),
        has_thumbnail: true,
        blur_hash: Some("LEHV6nWB2yk8pyo0adR*.7kCMdnj".into()),
        duration_ms: Some(u64::from(u32::MAX) + 1),
        state: FileState::Ready,
    }
}

fn sending(place: &str, sender: &str, files: &[&str]) -> NewEntry {
    NewEntry {
        write: Write::Message {
            content: Content::trusted(""),
            reply_to: None,
            mentions: Vec::new(),
            attachments: files.iter().map(|file| id(file)).collect(),
        },
        ..message(place, sender, "")
    }
}

async fn send<S: Messages>(
    store: &S,
    place: &str,
    sender: &str,
    files: &[&str],
) -> Result<Appended, AppendError> {
    store.append(sending(place, sender, files), None).await
}

async fn act<S: Messages>(store: &S, place: &str, by: &str, on: &MessageId, action: MessageAction) {
    let write = Write::Change {
        message: on.clone(),
        action,
    };
    let entry = NewEntry {
        write,
        ..message(place, by, "")
    };
    store.append(entry, None).await.expect("an append");
}

fn files_of(kind: &EntryKind) -> Vec<Attachment> {
    match kind {
        EntryKind::Message {
            extras: Some(extras),
            ..
        } => extras.attachments.clone(),
        _ => Vec::new(),
    }
}

pub async fn only_members_register_files_and_within_a_quota<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for (owner, place) in [("c", "c"), ("a", "other")] {
        let refused = store.create(new("x", owner, place, 1, 0), None).await;
        assert!(
            matches!(refused, Err(NewFileError::NotFound)),
            "{refused:?}"
        );
    }
    let large = 10 * LEAST_COUNTED_BYTES;
    let quota = |since| {
        Some(FileQuota {
            bytes: 2 * large,
            since: at(since),
        })
    };
    for (name, size) in [("f1", large), ("f2", large)] {
        let created = store.create(new(name, "a", "c", size, 10), quota(0)).await;
        created.expect("within the quota");
    }
    // Every file counts something.
    let refused = store.create(new("f3", "a", "c", 0, 10), quota(0)).await;
    assert!(matches!(refused, Err(NewFileError::OverQuota)));
    // Others have a quota of their own, and it is of the time since.
    let created = store.create(new("f4", "b", "c", large, 10), quota(0)).await;
    created.expect("another's");
    let created = store
        .create(new("f5", "a", "c", large, 30), quota(20))
        .await;
    created.expect("later");
    // A discarded upload counts its received bytes.
    assert!(advance(&*store, "f5", 0, large, 31).await);
    assert!(store.discard(&id("f5"), at(32)).await.expect("discarded"));
    assert!(store.discard(&id("f2"), at(32)).await.expect("discarded"));
    let refused = store.create(new("f6", "a", "c", large, 33), quota(0)).await;
    assert!(matches!(refused, Err(NewFileError::OverQuota)));
    let created = store
        .create(new("f6", "a", "c", large, 33), quota(20))
        .await;
    created.expect("within the quota");
}

pub async fn m15_a_file_is_found_by_members_of_its_conversation<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b", "d"]).await;
    put(&*store, "other", &["a", "e"]).await;
    create(&*store, "f", "a", "c").await;
    let found = store.file(&user("b"), &id("f")).await.expect("an answer");
    let found = found.expect("a member's");
    assert_eq!(found.owner, user("a"));
    assert_eq!(found.conversation, conversation("c"));
    assert_eq!(&*found.file.name, "a \u{1}name\".png");
    assert_eq!((found.file.size, found.received), (10, 0));
    assert_eq!(found.state, FileState::Uploading);
    assert!(!found.is_for(&user("b")) && !found.is_for(&user("a")));
    for (who, file) in [("e", "f"), ("nobody", "f"), ("a", "g"), ("a", "g\u{0}")] {
        let found = store.file(&user(who), &id(file)).await.expect("an answer");
        assert!(found.is_none(), "{who} {file}");
    }
    put(&*store, "c", &["a", "d"]).await;
    let found = store.file(&user("b"), &id("f")).await.expect("an answer");
    assert!(found.is_none(), "was removed");
    put(&*store, "c", &["b", "d"]).await;
    let found = store.file(&user("a"), &id("f")).await.expect("an answer");
    assert!(found.is_none(), "the owner was removed");
}

pub async fn m15_a_later_member_has_no_earlier_files<S: Messages + Files + Groups>(
    Subject { store, .. }: Subject<S>,
) {
    let made = NewGroup {
        conversation: conversation("g"),
        entry: MessageId::trusted("made"),
        owner: user("a"),
        members: vec![user("a"), user("b")],
        name: None,
        avatar_url: None,
        history: History::Joined,
        client_id: None,
        created_at: at(0),
    };
    let made = store.make_group(made).await.expect("an answer");
    assert!(made.is_some());
    for file in ["before", "later"] {
        ready(&*store, file, "a", "g").await;
    }
    send(&*store, "g", "a", &["before"]).await.expect("sent");
    let added = GroupWrite {
        id: MessageId::trusted("added"),
        conversation: conversation("g"),
        sender: user("a"),
        action: GroupAction::Add(vec![user("c")]),
        key: None,
        created_at: at(1),
        limit: 1_000,
    };
    store.change_group(added, None).await.expect("a change");
    send(&*store, "g", "a", &["later"]).await.expect("sent");
    for (who, file, has) in [
        ("b", "before", true),
        ("b", "later", true),
        ("c", "before", false),
        ("c", "later", true),
    ] {
        let found = store.file(&user(who), &id(file)).await.expect("an answer");
        assert_eq!(found.is_some(), has, "{file} for {who}");
    }
}

/// An address that was signed for it outlives its sessions, and it stays a member of conversations of two.
pub async fn m15_a_deleted_account_has_no_files<S: Accounts + Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    let store = &*store;
    account(store, "1", "ada").await;
    account(store, "2", "lin").await;
    put(store, "c", &["1", "2"]).await;
    for (file, owner) in [("own", "1"), ("theirs", "2")] {
        ready(store, file, owner, "c").await;
    }
    let has = async |who: &str, file: &str| {
        let found = store.file(&user(who), &id(file)).await;
        found.expect("an answer").is_some()
    };
    for file in ["own", "theirs"] {
        assert!(has("1", file).await && has("2", file).await, "{file}");
    }
    delete(store, "1").await;
    for file in ["own", "theirs"] {
        assert!(!has("1", file).await, "{file}");
        assert!(has("2", file).await, "{file}");
    }
}

pub async fn m15_a_block_withholds_the_files_of_the_blocker<S: Messages + Files + Blocks>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    put(&*store, "group", &["a", "b", "d"]).await;
    for (file, owner, place) in [
        ("as", "a", "c"),
        ("bs", "b", "c"),
        ("as in group", "a", "group"),
    ] {
        ready(&*store, file, owner, place).await;
        send(&*store, place, owner, &[file]).await.expect("sent");
    }
    let withheld = async |who: &str, file: &str| {
        let found = store.file(&user(who), &id(file)).await.expect("an answer");
        found.expect("a member's").is_withheld
    };
    let may_create = async |who: &str, place: &str, file: &str| {
        let made = store.create(new(file, who, place, 1, 0), None).await;
        match made {
            Ok(()) => true,
            Err(NewFileError::Forbidden) => false,
            Err(error) => panic!("{error}"),
        }
    };
    for who in ["a", "b"] {
        for file in ["as", "bs", "as in group"] {
            assert!(!withheld(who, file).await, "{file} before");
        }
    }
    let blocked = store.block(&user("a"), &user("b"), 10, at(1)).await;
    blocked.expect("a block");
    assert!(withheld("b", "as").await, "b was blocked by its owner");
    assert!(!withheld("b", "bs").await, "one's own");
    assert!(!withheld("a", "as").await && !withheld("a", "bs").await);
    assert!(!withheld("b", "as in group").await, "in a group");
    for who in ["a", "b"] {
        let file = format!("new of {who}");
        assert!(!may_create(who, "c", &file).await, "{file}");
        let file = format!("new of {who} in group");
        assert!(may_create(who, "group", &file).await, "{file}");
    }
    store.unblock(&user("a"), &user("b")).await.expect("none");
    assert!(!withheld("b", "as").await, "no block any more");
    assert!(may_create("b", "c", "new after").await);
}

pub async fn a_message_takes_files_that_are_ready_and_its_senders_own<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    put(&*store, "other", &["a", "b"]).await;
    for file in ["f1", "f2", "f3"] {
        ready(&*store, file, "a", "c").await;
    }
    ready(&*store, "bs", "b", "c").await;
    ready(&*store, "elsewhere", "a", "other").await;
    create(&*store, "unfinished", "a", "c").await;
    for files in [
        &["bs"][..],
        &["elsewhere"],
        &["unfinished"],
        &["nowhere"],
        &["no\u{0}where"],
        &["f1", "unfinished"],
    ] {
        let refused = send(&*store, "c", "a", files).await;
        assert!(
            matches!(
                refused,
                Err(AppendError::Refused(WriteRefused::UnknownFile))
            ),
            "{files:?}: {refused:?}"
        );
    }
    let sent = send(&*store, "c", "a", &["f2", "f1"]).await.expect("sent");
    let names: Vec<_> = files_of(&sent.entry.kind)
        .into_iter()
        .map(|file| file.id)
        .collect();
    assert_eq!(names, [id("f2"), id("f1")], "in the sender's order");
    let found = store.file(&user("b"), &id("f1")).await.expect("an answer");
    let found = found.expect("a file");
    assert_eq!(found.message_seq, Some(sent.entry.seq));
    assert!(found.is_for(&user("b")));
    for again in [&["f1"][..], &["f3", "f2"]] {
        let refused = send(&*store, "c", "a", again).await;
        assert!(
            matches!(
                refused,
                Err(AppendError::Refused(WriteRefused::UnknownFile))
            ),
            "sent already"
        );
    }
    assert!(!store.discard(&id("f1"), at(9)).await.expect("an answer"));
    send(&*store, "c", "a", &["f3"])
        .await
        .expect("not taken by what was refused");
}

pub async fn m1_a_repeated_send_with_files_is_a_duplicate<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for file in ["f1", "f2", "f3", "f4"] {
        ready(&*store, file, "a", "c").await;
    }
    for (key, one, other) in [
        (client_id("k"), "f1", "f2"),
        (temp_id("temp-1"), "f3", "f4"),
    ] {
        let is_client = matches!(
            key,
            Some(lamplight_domain::message::SendKey::ClientMessageId(_))
        );
        let with = |file: &str| NewEntry {
            key: key.clone(),
            ..sending("c", "a", &[file])
        };
        let first = store.append(with(one), None).await.expect("sent");
        let again = store.append(with(one), None).await.expect("sent");
        assert!(again.duplicate);
        assert_eq!(again.entry, first.entry);
        act(&*store, "c", "a", &first.entry.id, MessageAction::Delete).await;
        let again = store.append(with(one), None).await.expect("sent");
        assert!(again.duplicate);
        assert_eq!(again.entry.id, first.entry.id);
        assert!(files_of(&again.entry.kind).is_empty());
        let another = store.append(with(other), None).await;
        if is_client {
            assert!(matches!(another, Err(AppendError::Conflict)), "{another:?}");
        } else {
            assert!(!another.expect("another message").duplicate);
        }
    }
}

pub async fn messages_with_files_are_the_fold_of_the_log<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for file in ["f1", "f2"] {
        ready(&*store, file, "a", "c").await;
    }
    let first = send(&*store, "c", "a", &["f1"]).await.expect("sent");
    let edit = MessageAction::Edit {
        content: Content::trusted("with a text"),
        mentions: Vec::new(),
    };
    act(&*store, "c", "a", &first.entry.id, edit).await;
    let second = send(&*store, "c", "a", &["f2"]).await.expect("sent");
    let check = async || {
        let place = conversation("c");
        let log = store.history(&user("b"), &place, Range::Newest, 50).await;
        let log = log.expect("an answer").expect("a log").entries;
        let now = store.messages(&user("b"), &place, Range::Newest, 50).await;
        let now = now.expect("an answer").expect("a page").messages;
        assert_eq!(now, fold(&log, &user("b")));
        now
    };
    let now = check().await;
    assert_eq!(now[0].content(), "with a text");
    assert_eq!(files_of(&now[0].entry.kind).len(), 1, "an edit keeps files");
    let list = store
        .conversations(&user("b"), None, None, 10)
        .await
        .expect("a list");
    let last = list.items[0].last_message.as_ref().expect("a message");
    assert_eq!(files_of(&last.entry.kind).len(), 1);
    act(&*store, "c", "a", &second.entry.id, MessageAction::Delete).await;
    act(&*store, "c", "a", &first.entry.id, MessageAction::Delete).await;
    let now = check().await;
    assert!(
        now.iter()
            .all(|message| files_of(&message.entry.kind).is_empty())
    );
}

pub async fn a_deletion_deletes_the_files_of_its_message<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for file in ["f1", "f2", "f3"] {
        ready(&*store, file, "a", "c").await;
    }
    let gone = send(&*store, "c", "a", &["f1", "f2"]).await.expect("sent");
    let kept = send(&*store, "c", "a", &["f3"]).await.expect("sent");
    act(&*store, "c", "a", &gone.entry.id, MessageAction::Delete).await;
    for file in ["f1", "f2"] {
        let found = store.file(&user("a"), &id(file)).await.expect("an answer");
        assert!(found.is_none(), "{file}");
    }
    let found = store.file(&user("b"), &id("f3")).await.expect("an answer");
    assert_eq!(
        found.and_then(|file| file.message_seq),
        Some(kept.entry.seq)
    );
    assert_eq!(deleted(&*store).await, [id("f1"), id("f2")]);
    assert_eq!(store.deleted(1).await.expect("a list").len(), 1);
    store.forget(&[id("f1")], at(0)).await.expect("forgotten");
    assert_eq!(deleted(&*store).await, [id("f2")]);
    store
        .forget(&[id("f2"), id("f3")], at(1_000))
        .await
        .expect("forgotten");
    assert!(store.deleted(10).await.expect("a list").is_empty());
    let found = store.file(&user("b"), &id("f3")).await.expect("an answer");
    assert!(found.is_some(), "one that is not deleted is not forgotten");
}

/// The blur hash must be erased too, because it is a small picture. For each way to delete a file:
/// with its message, by its owner, and by the sweep of unsent files.
pub async fn a_deleted_file_loses_its_name_and_metadata<S: Messages + Files + Transfer>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for file in ["ended", "sent", "swept", "there"] {
        ready(&*store, file, "a", "c").await;
    }
    let sent = send(&*store, "c", "a", &["sent"]).await.expect("sent");
    send(&*store, "c", "a", &["there"]).await.expect("sent");
    let deletion = NewEntry {
        write: Write::Change {
            message: sent.entry.id.clone(),
            action: MessageAction::Delete,
        },
        created_at: at(900_000),
        ..message("c", "a", "")
    };
    store.append(deletion, None).await.expect("a deletion");
    let ended = store.discard(&id("ended"), at(900_000)).await;
    assert!(ended.expect("an answer"));
    let swept = store.discard_unsent(at(50), at(900_000), 10).await;
    assert_eq!(swept.expect("a step"), 1);
    let table = TABLES.iter().find(|table| table.name == "files");
    let table = table.expect("the table of files");
    let rows = store.rows(table, None, 10).await.expect("rows");
    let of = |row: &[Value], name: &str| {
        let place = table.columns.iter().position(|column| column.name == name);
        row[place.expect("a column")].clone()
    };
    let shown = ["width", "height", "blur_hash", "duration"];
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let Value::Text(file) = of(row, "id") else {
            panic!("{row:?} has an id");
        };
        let is_blank = shown.map(|name| of(row, name) == Value::Null);
        assert_eq!(is_blank, [file != "there"; 4], "{row:?}");
        let millis = if file == "there" { 2 } else { 900_000 };
        assert_eq!(
            of(row, "changed_at"),
            Value::Number(at(millis).0),
            "{row:?}"
        );
    }
}

pub async fn files_that_are_not_sent_are_discarded_after_a_while<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for file in ["sent", "ready"] {
        ready(&*store, file, "a", "c").await;
    }
    send(&*store, "c", "a", &["sent"]).await.expect("sent");
    create(&*store, "begun", "a", "c").await;
    create(&*store, "going on", "a", "c").await;
    assert!(advance(&*store, "going on", 0, 5, 100).await);
    assert_eq!(
        store
            .discard_unsent(at(50), at(200), 1)
            .await
            .expect("a step"),
        1
    );
    assert_eq!(
        store
            .discard_unsent(at(50), at(200), 10)
            .await
            .expect("a step"),
        1
    );
    assert_eq!(
        store
            .discard_unsent(at(50), at(200), 10)
            .await
            .expect("a step"),
        0
    );
    assert_eq!(deleted(&*store).await, [id("begun"), id("ready")]);
    let refused = send(&*store, "c", "a", &["ready"]).await;
    assert!(matches!(
        refused,
        Err(AppendError::Refused(WriteRefused::UnknownFile))
    ));
    let found = store
        .file(&user("a"), &id("going on"))
        .await
        .expect("an answer");
    assert_eq!(found.map(|file| file.received), Some(5));
}

pub async fn two_messages_at_once_do_not_both_take_a_file<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for round in 0..10 {
        let file = format!("f{round}");
        ready(&*store, &file, "a", "c").await;
        let sends = (0..4).map(|_| {
            let (store, file) = (Arc::clone(&store), file.clone());
            tokio::spawn(async move { send(&*store, "c", "a", &[&file]).await })
        });
        let mut taken = 0;
        for sent in sends.collect::<Vec<_>>() {
            match sent.await.expect("no panic") {
                Ok(_) => taken += 1,
                Err(AppendError::Refused(WriteRefused::UnknownFile)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(taken, 1);
    }
}

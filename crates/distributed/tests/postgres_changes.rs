//! Writes on messages in PostgreSQL: from several nodes at once, many in one batch, and over a crash.

mod support;

use futures_util::future::join_all;
use lamplight_conformance::run;
use lamplight_conformance::servers::{PostgresConfig, PostgresServer};
use lamplight_distributed::postgres::PostgresStore;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Entry, MessageAction};
use lamplight_domain::fold::{Message, fold};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{AppendError, Appended, Messages as _, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::{database_of, open, text};
use tokio::time::sleep;

const EMOJI: [&str; 4] = ["👍", "❤️", "🎉", "👀"];

fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

fn write(sender: &str, write: impl Into<Write>) -> NewEntry {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    NewEntry {
        id: MessageId::trusted(format!("m{number}")),
        conversation: ConversationId::trusted("c"),
        sender: user(sender),
        write: write.into(),
        key: None,
        created_at: Timestamp(0),
        editable_since: None,
    }
}

fn message(sender: &str, content: &str) -> NewEntry {
    write(sender, Content::trusted(content))
}

fn act(sender: &str, on: &MessageId, action: MessageAction) -> NewEntry {
    let message = on.clone();
    write(sender, Write::Change { message, action })
}

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

fn reply(sender: &str, content: &str, to: &MessageId, mentions: &[&str]) -> NewEntry {
    write(
        sender,
        Write::Message {
            content: Content::trusted(content),
            reply_to: Some(to.clone()),
            mentions: mentions.iter().map(|id| user(id)).collect(),
            attachments: Vec::new(),
        },
    )
}

async fn put(store: &PostgresStore, members: &[&str]) {
    let members: Vec<UserId> = members.iter().map(|member| user(member)).collect();
    let place = ConversationId::trusted("c");
    let put = store.put_conversation(&place, &members, Timestamp(0));
    put.await.expect("a conversation");
}

async fn log(store: &PostgresStore) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = Range::After(entries.len() as u64);
        let page = store
            .history(&user("a"), &ConversationId::trusted("c"), after, 500)
            .await
            .expect("an answer")
            .expect("a log");
        entries.extend(page.entries);
        if !page.has_more {
            let seqs = entries.iter().map(|entry| entry.seq);
            assert!(seqs.eq(1..=entries.len() as u64), "no gap");
            return entries;
        }
    }
}

/// The messages of the log as they are now: its fold. What is unread and last agrees with them.
async fn now(store: &PostgresStore) -> Vec<Message> {
    let log = log(store).await;
    let (viewer, place) = (user("a"), ConversationId::trusted("c"));
    let page = store.messages(&viewer, &place, Range::Newest, 10_000);
    let messages = page.await.expect("an answer").expect("a member").messages;
    assert_eq!(messages, fold(&log, &viewer));
    let summary = store.summary(&viewer, &place).await.expect("an answer");
    let summary = summary.expect("a conversation");
    let there = || {
        messages
            .iter()
            .filter(|message| message.deleted_at.is_none())
    };
    let last = there().next_back().map(|last| Message {
        reactions: Vec::new(),
        ..last.clone()
    });
    assert_eq!(summary.last_message, last);
    let unread = there().filter(|message| message.entry.seq > summary.read_seq);
    assert_eq!(summary.unread, unread.count() as u64);
    messages
}

/// The `seq` of a new entry, or why there is none.
fn outcome(answer: &Result<Appended, AppendError>) -> Result<(u64, bool), WriteRefused> {
    match answer {
        Ok(done) => Ok((done.entry.seq, done.duplicate)),
        Err(AppendError::Refused(refused)) => Err(*refused),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn m1_changes_of_two_nodes_at_once_have_one_outcome_and_one_order() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let (one, events) = open(&url).await.expect("a node");
        let (two, _) = open(&url).await.expect("a node");
        put(&one, &["a", "b"]).await;
        for round in 0..30 {
            let sent = one.append(message("a", "hi"), None).await;
            let id = sent.expect("a message").entry.id.clone();
            let mut writes = Vec::new();
            for (number, node) in [&one, &two, &one, &two].into_iter().enumerate() {
                for write in [
                    act("b", &id, react("👍", true)),
                    act("a", &id, edit(&format!("{round} {number}"))),
                    act("b", &id, MessageAction::Pin { pinned: true }),
                ] {
                    writes.push(tokio::spawn(node.append(write, None)));
                }
            }
            let answers: Vec<_> = join_all(writes)
                .await
                .into_iter()
                .map(|answer| outcome(&answer.expect("a task")).expect("allowed"))
                .collect();
            for kind in [0, 2] {
                let same: Vec<_> = answers.iter().skip(kind).step_by(3).collect();
                let fresh = same.iter().filter(|(_, is_duplicate)| !is_duplicate);
                assert_eq!(fresh.count(), 1);
                assert!(same.iter().all(|(seq, _)| *seq == same[0].0), "{same:?}");
            }
        }
        let messages = now(&one).await;
        assert_eq!(messages, now(&two).await);
        let log = log(&one).await;
        assert_eq!(log.len(), 30 * (1 + 1 + 4 + 1));
        for message in &messages {
            let of_it = |entry: &&Entry| {
                entry.change().is_some_and(|change| {
                    change.message == message.entry.id
                        && matches!(change.action, MessageAction::Edit { .. })
                })
            };
            let last = log.iter().rfind(of_it).and_then(Entry::change);
            assert_eq!(
                last.map(|change| &change.action),
                Some(&edit(message.content()))
            );
        }
        // Its own, each once and in order.
        let published = events.appended();
        assert!(
            published
                .windows(2)
                .all(|pair| pair[0].0.seq < pair[1].0.seq)
        );
    });
}

/// All of them are called at once, so that they are in one batch or two.
#[test]
fn m14_refused_writes_in_a_mixed_batch_fail_alone() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let (store, events) = open(&url).await.expect("a store");
        put(&store, &["a", "b"]).await;
        let first = message("a", "first");
        let id = first.id.clone();
        let answer = reply("b", "answer", &id, &["a"]);
        let answer_id = answer.id.clone();
        let writes = vec![
            first,
            message("b", "plain"),
            answer,
            act("b", &id, edit("not the author's")),
            act("a", &id, edit("second")),
            act("b", &id, react("👍", true)),
            act("b", &id, react("👍", true)),
            act("b", &id, react("👍", false)),
            act("a", &id, react("👍", true)),
            act("b", &id, MessageAction::Pin { pinned: true }),
            reply("b", "to nobody", &id, &["stranger"]),
            act("a", &MessageId::trusted("a\u{0}b"), edit("x")),
            act("a", &id, MessageAction::Delete),
            act("a", &id, MessageAction::Delete),
            act("b", &id, react("👍", true)),
            reply("b", "too late", &id, &[]),
            act("b", &answer_id, edit("better")),
            message("stranger", "not a member"),
            message("a", "last"),
        ];
        let calls: Vec<_> = writes
            .into_iter()
            .map(|write| store.append(write, None))
            .collect();
        let mut answers = join_all(calls).await;
        let stranger = answers.remove(17);
        assert!(matches!(stranger, Err(AppendError::NotFound)));
        let outcomes: Vec<_> = answers.iter().map(outcome).collect();
        assert_eq!(
            outcomes,
            [
                Ok((1, false)),
                Ok((2, false)),
                Ok((3, false)),
                Err(WriteRefused::NotTheAuthor),
                Ok((4, false)),
                Ok((5, false)),
                Ok((5, true)),
                Ok((6, false)),
                Ok((7, false)),
                Ok((8, false)),
                Err(WriteRefused::UnknownMention),
                Err(WriteRefused::NoMessage),
                Ok((9, false)),
                Ok((9, true)),
                Err(WriteRefused::NoMessage),
                Err(WriteRefused::UnknownReply),
                Ok((10, false)),
                Ok((11, false)),
            ]
        );
        let messages = now(&store).await;
        let contents: Vec<_> = messages.iter().map(Message::content).collect();
        assert_eq!(contents, ["", "plain", "better", "last"]);
        let written = format!("{:?}", log(&store).await);
        assert!(!written.contains("first") && !written.contains("second"));
        events.exactly(11).await;
    });
}

/// Random writes on messages, many of them on messages that are sent in the same batch, end where the
/// log says.
#[test]
fn m4_random_writes_in_batches_end_in_the_fold_of_the_log() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        put(&store, &["a", "b", "d"]).await;
        // Its own generator, so that a failure is reproducible.
        let mut state = 7_u64;
        let mut below = |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).expect("64 bits") % bound
        };
        let mut ids: Vec<(MessageId, &str)> = Vec::new();
        for round in 0..12 {
            let mut calls = Vec::new();
            for number in 0..60 {
                let sender = ["a", "b", "d"][below(3)];
                let text = format!("{round} {number}");
                let recent = ids.len().min(20);
                let on = (recent > 0).then(|| ids[ids.len() - 1 - below(recent)].clone());
                let write = match (on, below(8)) {
                    (None, _) | (_, 0 | 1) => message(sender, &text),
                    (Some((on, _)), 2) => reply(sender, &text, &on, &["a"]),
                    (Some((on, author)), 3) => act(author, &on, edit(&text)),
                    (Some((on, author)), 4) => act(author, &on, MessageAction::Delete),
                    (Some((on, _)), _) => act(sender, &on, react(EMOJI[below(4)], below(3) > 0)),
                };
                if matches!(write.write, Write::Message { .. }) {
                    ids.push((write.id.clone(), sender));
                }
                calls.push(store.append(write, None));
            }
            let done = join_all(calls).await;
            let is_expected = |answer: &Result<Appended, AppendError>| {
                matches!(answer, Ok(_) | Err(AppendError::Refused(_)))
            };
            assert!(done.iter().all(is_expected), "{done:?}");
            now(&store).await;
        }
        let messages = now(&store).await;
        let deleted = messages.iter().filter(|one| one.deleted_at.is_some());
        assert!(deleted.count() > 5 && messages.len() > 100);
    });
}

/// The original pages send temporary ids, whose keys have a digest of the content.
#[test]
fn m2_a_deletion_leaves_no_digest_of_the_text() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let sql = text(server, database_of(&url));
        let (store, _) = open(&url).await.expect("a store");
        put(&store, &["a", "b"]).await;
        let temporary = |entry: NewEntry, id: &str| NewEntry {
            key: Some(SendKey::TempId(id.into())),
            ..entry
        };
        let first = message("a", "hello");
        let id = first.id.clone();
        let writes = [
            temporary(first, "temp-1"),
            temporary(act("a", &id, edit("hello!")), "temp-2"),
            message("a", "last"),
        ];
        for write in writes {
            store.append(write, None).await.expect("an entry");
        }
        let keys = || sql("SELECT dedupe_key FROM entries WHERE seq < 3 ORDER BY seq");
        let before = keys();
        assert!(before.contains("ttemp-1:") && before.contains("ttemp-2:"));
        let deletion = act("a", &id, MessageAction::Delete);
        store.append(deletion, None).await.expect("a deletion");
        let after = keys();
        assert!(after.contains("ttemp-1:") && after.contains("ttemp-2:"));
        for digest in before.split_whitespace() {
            assert!(!after.contains(digest), "{after}");
        }
        assert_eq!(
            sql("SELECT seq FROM entries WHERE content LIKE '%hello%'").trim(),
            ""
        );
        // Repetitions are recognised, and other contents are other writes.
        for (write, expected) in [
            (temporary(message("a", "hello"), "temp-1"), Ok((1, true))),
            (
                temporary(act("a", &id, edit("hello!")), "temp-2"),
                Ok((2, true)),
            ),
            (
                temporary(act("a", &id, edit("other")), "temp-2"),
                Err(WriteRefused::NoMessage),
            ),
            (temporary(message("a", "other"), "temp-1"), Ok((5, false))),
            (temporary(message("b", "hello"), "temp-1"), Ok((6, false))),
        ] {
            let done = store.append(write, None).await;
            assert_eq!(outcome(&done), expected);
        }
    });
}

/// Without a key a client cannot repeat a change: the store finds out by itself what became of it.
#[test]
fn m1_changes_over_a_crash_are_made_once() {
    run(async {
        let server = PostgresServer::start(&PostgresConfig::default());
        let (store, events) = open(&server.fresh_database()).await.expect("a store");
        put(&store, &["a", "b"]).await;
        let sent = store.append(message("a", "hi"), None).await;
        let id = sent.expect("a message").entry.id.clone();
        let mut changes = Vec::new();
        for round in 0..60_usize {
            for change in [
                act("a", &id, edit(&format!("edit {round}"))),
                act("b", &id, react(EMOJI[round / 2 % 4], round % 2 == 0)),
            ] {
                changes.push(tokio::spawn(store.append(change, None)));
            }
            sleep(Duration::from_millis(5)).await;
            if round == 20 || round == 40 {
                tokio::task::block_in_place(|| server.restart());
            }
        }
        let count = changes.len();
        for change in changes {
            let done = change.await.expect("a task");
            let done = done.expect("a crash is shorter than the deadline");
            assert!(!done.duplicate);
        }
        let messages = now(&store).await;
        assert_eq!(messages[0].content(), "edit 59");
        assert_eq!(messages[0].reactions, []);
        assert_eq!(log(&store).await.len(), 1 + count);
        store.close().await;
        assert_eq!(events.appended().len(), 1 + count, "each is published once");
    });
}

//! The log as seen by members who join a group later, leave it, or return.

use super::{add, done, log, make, members_of, remove, seen, send, users};
use crate::{Subject, at, conversation, message, setup, user};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{EntryKind, MessageAction};
use lamplight_domain::event::Event;
use lamplight_domain::fold;
use lamplight_domain::group::History;
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::Content;
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::search_terms::query_terms;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{
    AppendError, Groups, MessageSearch, Messages, Range, Search, SyncPage,
};

pub(super) fn act(sender: &str, on: &MessageId, action: MessageAction) -> NewEntry {
    setup::act("g", sender, on, action)
}

fn react(emoji: &str) -> MessageAction {
    MessageAction::React {
        emoji: Emoji::trusted(emoji),
        added: true,
    }
}

fn edit(content: &str) -> MessageAction {
    MessageAction::Edit {
        content: Content::trusted(content),
        mentions: Vec::new(),
    }
}

pub(super) fn reply(sender: &str, content: &str, to: &MessageId) -> NewEntry {
    NewEntry {
        write: Write::Message {
            content: Content::trusted(content),
            reply_to: Some(to.clone()),
            mentions: Vec::new(),
            attachments: Vec::new(),
        },
        ..message("g", sender, "")
    }
}

pub(super) async fn append<S: Messages>(store: &S, entry: NewEntry) -> MessageId {
    let appended = store.append(entry, None).await.expect("an append");
    assert!(!appended.duplicate);
    appended.entry.id.clone()
}

async fn synced<S: Messages>(store: &S, viewer: &str, seq: u64) -> Option<SyncPage> {
    let have = [(conversation("g"), seq).into()];
    let synced = store.sync(&user(viewer), &have, 1_000).await;
    synced.expect("an answer").remove(0)
}

async fn page_seqs<S: Messages>(store: &S, viewer: &str, range: Range, limit: usize) -> Vec<u64> {
    let (viewer, place) = (user(viewer), conversation("g"));
    let page = store.messages(&viewer, &place, range, limit).await;
    let page = page.expect("an answer").expect("a member");
    let log = store.history(&viewer, &place, range, limit).await;
    let log = log.expect("an answer").expect("a member");
    assert!(log.entries.iter().all(|entry| entry.seq >= page.from_seq));
    page.messages.iter().map(|one| one.entry.seq).collect()
}

/// By every way there is: events, history, messages, sync, the list, marks.
pub async fn m15_the_entry_that_removes_a_member_is_their_last<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b", "x"], History::All).await;
    let sent = send(store, "g", "x", "before").await;
    done(store, "g", "a", remove("x")).await;
    append(store, reply("a", "after", &sent)).await;
    append(store, act("b", &sent, react("👍"))).await;
    let x = user("x");
    let to_x: Vec<u64> = subject
        .events
        .exactly(5)
        .await
        .into_iter()
        .filter(|(_, to, _)| to.contains(&x))
        .map(|(entry, ..)| entry.seq)
        .collect();
    assert_eq!(to_x, [1, 2, 3]);
    assert!(log(store, "x", "g").await.is_none());
    assert!(seen(store, "x", "g").await.is_none());
    assert!(synced(store, "x", 2).await.is_none());
    let place = conversation("g");
    let page = store.messages(&x, &place, Range::Newest, 10).await;
    assert!(page.expect("an answer").is_none());
    let listed = store.conversations(&x, None, None, 10).await;
    assert!(listed.expect("a page").items.is_empty());
    let marked = store.mark_read(&x, &place, 3, crate::at(0)).await;
    assert!(marked.expect("an answer").is_none());
    for entry in [message("g", "x", "still here"), act("x", &sent, edit("e"))] {
        let outcome = store.append(entry, None).await;
        assert!(matches!(outcome, Err(AppendError::NotFound)), "{outcome:?}");
    }
}

/// Pages of all kinds, sync, the last message and what is unread begin there.
pub async fn m15_a_joined_log_begins_with_the_entry_that_adds_its_member<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    for content in ["one", "two", "three"] {
        send(store, "g", "a", content).await;
    }
    assert_eq!(done(store, "g", "a", add(&["n"])).await.seq, 5);
    let fresh = seen(store, "n", "g").await.expect("a member");
    assert_eq!((fresh.last_message, fresh.unread), (None, 0));
    assert_eq!((fresh.head_seq, fresh.read_seq), (5, 5));
    for content in ["four", "five"] {
        send(store, "g", "a", content).await;
    }
    let now = seen(store, "n", "g").await.expect("a member");
    assert_eq!(now.unread, 2);
    let last = now.last_message.map(|last| last.entry.seq);
    assert_eq!(last, Some(7));
    let entries = log(store, "n", "g").await.expect("a member");
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [5, 6, 7]);
    assert_eq!(members_of(&entries[0]).added, users(&["n"]));
    for (range, expected) in [
        (Range::Newest, vec![6, 7]),
        (Range::Before(7), vec![6]),
        (Range::Before(5), vec![]),
        (Range::After(0), vec![6, 7]),
        (Range::After(2), vec![6, 7]),
        (Range::Around(2), vec![6, 7]),
        (Range::Around(7), vec![6, 7]),
    ] {
        assert_eq!(
            page_seqs(store, "n", range, 10).await,
            expected,
            "{range:?}"
        );
    }
    let page = store
        .messages(&user("n"), &conversation("g"), Range::Newest, 10)
        .await;
    let page = page.expect("an answer").expect("a member");
    assert_eq!((page.from_seq, page.to_seq, page.has_more), (5, 7, false));
    let page = synced(store, "n", 0).await.expect("a member");
    assert_eq!((page.first_seq, page.head_seq, page.reset), (5, 7, false));
    assert_eq!(page.entries, entries);
    // Earlier members see all of it, and so do all members of a group with a full history.
    assert_eq!(log(store, "b", "g").await.map(|log| log.len()), Some(7));
    make(store, "all", &["a", "b"], History::All).await;
    send(store, "all", "a", "one").await;
    done(store, "all", "a", add(&["n"])).await;
    assert_eq!(log(store, "n", "all").await.map(|log| log.len()), Some(3));
    let whole = seen(store, "n", "all").await.expect("a member");
    assert_eq!((whole.unread, whole.last_message.is_some()), (0, true));
}

/// Changes of earlier messages are hidden, answers to them say nothing of them, and a newcomer can
/// do nothing to them.
pub async fn m15_later_entries_reveal_nothing_before_the_log<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let secret = send(store, "g", "a", "secret").await;
    done(store, "g", "a", add(&["n"])).await;
    append(store, act("a", &secret, edit("secret again"))).await;
    append(store, act("b", &secret, react("👍"))).await;
    let answer = append(store, reply("b", "an answer", &secret)).await;
    append(store, act("a", &answer, react("❤️"))).await;
    append(
        store,
        act("a", &secret, MessageAction::Pin { pinned: true }),
    )
    .await;
    let entries = log(store, "n", "g").await.expect("a member");
    let hidden: Vec<u64> = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Hidden)
        .map(|entry| entry.seq)
        .collect();
    assert_eq!(hidden, [4, 5, 8]);
    let page = store
        .messages(&user("n"), &conversation("g"), Range::Newest, 10)
        .await;
    let page = page.expect("an answer").expect("a member");
    let now = seen(store, "n", "g").await.expect("a member");
    let all = format!("{entries:?}{page:?}{now:?}");
    assert!(!all.contains("secret"), "{all}");
    let extras = page.messages[0].entry.extras().expect("it is an answer");
    let quote = extras.reply_to.as_ref().expect("a quote");
    assert_eq!((&quote.id, &*quote.excerpt), (&secret, ""));
    assert!(format!("{:?}", log(store, "b", "g").await).contains("secret again"));
    for (entry, expected) in [
        (act("n", &secret, react("👎")), WriteRefused::NoMessage),
        (reply("n", "what?", &secret), WriteRefused::UnknownReply),
    ] {
        let outcome = store.append(entry, None).await;
        assert!(
            matches!(&outcome, Err(AppendError::Refused(refused)) if *refused == expected),
            "{outcome:?}"
        );
    }
    append(store, reply("n", "hello", &answer)).await;
    // A deletion of the last message shows no earlier one.
    append(store, act("b", &answer, MessageAction::Delete)).await;
    let page = store
        .messages(&user("n"), &conversation("g"), Range::Newest, 10)
        .await;
    let page = page.expect("an answer").expect("a member");
    let own = page.messages[1].entry.id.clone();
    append(store, act("n", &own, MessageAction::Delete)).await;
    let now = seen(store, "n", "g").await.expect("a member");
    assert_eq!((now.last_message, now.unread), (None, 0));
    let last = seen(store, "b", "g").await.expect("a member").last_message;
    assert_eq!(last.map(|last| last.entry.id), Some(secret));
}

/// So that every node can deliver them in the right form.
pub async fn m15_events_list_newcomers_whose_log_lacks_the_message<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let old = send(store, "g", "a", "old").await;
    done(store, "g", "a", add(&["n", "c"])).await;
    let new = send(store, "g", "a", "new").await;
    append(store, act("a", &old, react("👍"))).await;
    append(store, act("a", &new, react("👍"))).await;
    append(store, reply("a", "to the old", &old)).await;
    append(store, reply("a", "to the new", &new)).await;
    subject.events.exactly(8).await;
    let newcomers: Vec<(u64, Vec<_>)> = subject
        .events
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Appended {
                entry, newcomers, ..
            } => Some((entry.seq, newcomers.to_vec())),
            _ => None,
        })
        .filter(|(_, newcomers)| !newcomers.is_empty())
        .collect();
    let late = users(&["c", "n"]);
    assert_eq!(newcomers, [(5, late.clone()), (7, late)]);
}

/// No entries from before or between.
pub async fn m15_the_log_of_a_member_added_again_starts_there<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "n", "b"], History::Joined).await;
    let own = NewEntry {
        key: crate::client_id("k"),
        ..message("g", "n", "mine")
    };
    append(store, own.clone()).await;
    send(store, "g", "a", "first").await;
    done(store, "g", "a", remove("n")).await;
    send(store, "g", "a", "between").await;
    assert_eq!(done(store, "g", "a", add(&["n"])).await.seq, 6);
    send(store, "g", "a", "now").await;
    let entries = log(store, "n", "g").await.expect("a member");
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [6, 7]);
    // Entries that the client has from before are not part of the log that begins here.
    let page = synced(store, "n", 4).await.expect("a member");
    assert!(page.reset);
    assert_eq!((page.first_seq, &page.entries), (6, &entries));
    let page = synced(store, "n", 6).await.expect("a member");
    assert_eq!((page.reset, page.entries.len()), (false, 1));
    let now = seen(store, "n", "g").await.expect("a member");
    assert_eq!((now.unread, now.read_seq), (1, 6));
    // A repetition is recognised, and reveals no later changes of the message.
    let again = store.append(own, None).await.expect("an answer");
    assert!(again.duplicate);
    assert!(again.message.is_none());
}

/// Also where a member was away and is back.
pub async fn m15_a_search_finds_nothing_before_the_log<S: Messages + Groups + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let old = send(store, "g", "a", "lantern one").await;
    done(store, "g", "a", add(&["n"])).await;
    append(store, reply("a", "lantern two", &old)).await;
    while store.advance(100).await.expect("a step").is_behind {}
    let found = async |viewer: &str, only: Option<&str>| {
        let search = Search {
            terms: query_terms("lantern"),
            conversation: only.map(conversation),
            ..Search::default()
        };
        let page = store.search(&user(viewer), &search, None, 10).await;
        page.expect("an answer").map(|page| page.items)
    };
    for only in [None, Some("g")] {
        let mine = found("n", only).await.expect("a member");
        assert_eq!(mine.len(), 1);
        assert_eq!(mine[0].entry.seq, 4);
        let extras = mine[0].entry.extras().expect("an answer");
        assert_eq!(&*extras.reply_to.as_ref().expect("a quote").excerpt, "");
        assert_eq!(found("b", only).await.map(|found| found.len()), Some(2));
    }
    done(store, "g", "a", remove("n")).await;
    assert!(found("n", Some("g")).await.is_none());
    assert_eq!(found("n", None).await.map(|found| found.len()), Some(0));
}

/// Entries that a node reads because the bus lost them.
pub async fn m15_entries_read_for_delivery_reach_only_permitted_members<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b", "x"], History::Joined).await;
    let old = send(store, "g", "a", "old").await;
    done(store, "g", "a", add(&["n"])).await;
    append(store, act("a", &old, react("👍"))).await;
    done(store, "g", "a", remove("x")).await;
    send(store, "g", "a", "last").await;
    let place = conversation("g");
    let readers = store.readers(&place).await.expect("an answer");
    let readers = readers.expect("a conversation");
    let entries = store.entries_after(&place, 1, 4).await.expect("entries");
    let to: Vec<_> = entries
        .iter()
        .map(|entry| {
            let receivers = readers.receivers(entry);
            (
                entry.seq,
                receivers.to.to_vec(),
                receivers.newcomers.to_vec(),
            )
        })
        .collect();
    let none = Vec::new;
    assert_eq!(
        to,
        [
            (2, users(&["a", "b"]), none()),
            (3, users(&["a", "b", "n"]), none()),
            (4, users(&["a", "b", "n"]), users(&["n"])),
            (5, users(&["a", "b", "n", "x"]), none()),
        ]
    );
    let nowhere = store.readers(&conversation("nowhere")).await;
    assert!(nowhere.expect("an answer").is_none());
}

/// For every member, with any changes before and after they joined.
pub async fn m7_a_newcomers_view_equals_the_fold_of_their_log<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let mut sent: Vec<(MessageId, &str)> = Vec::new();
    let newcomers = ["n", "o", "p"];
    for round in 0..36_usize {
        let sender = if round % 2 == 0 { "a" } else { "b" };
        match round % 6 {
            0 | 3 => {
                let id = send(store, "g", sender, &format!("message {round}")).await;
                sent.push((id, sender));
            }
            1 => {
                let (on, _) = &sent[round * 7 % sent.len()];
                let id = append(store, reply(sender, &format!("answer {round}"), on)).await;
                sent.push((id, sender));
            }
            2 => {
                let (on, author) = &sent[round * 5 % sent.len()];
                let entry = act(author, on, edit(&format!("edited {round}")));
                drop(store.append(entry, None).await);
            }
            4 => {
                let (on, _) = &sent[round * 3 % sent.len()];
                drop(store.append(act(sender, on, react("👍")), None).await);
            }
            _ => {
                let (on, author) = &sent[round % sent.len()];
                drop(
                    store
                        .append(act(author, on, MessageAction::Delete), None)
                        .await,
                );
            }
        }
        if round % 10 == 9 {
            done(store, "g", "a", add(&[newcomers[round / 10]])).await;
        }
    }
    for viewer in ["a", "b", "n", "o", "p"] {
        let entries = log(store, viewer, "g").await.expect("a member");
        let page = store
            .messages(&user(viewer), &conversation("g"), Range::Newest, 1_000)
            .await;
        let page = page.expect("an answer").expect("a member");
        assert_eq!(
            page.messages,
            fold::fold(&entries, &user(viewer)),
            "{viewer}"
        );
        let page = synced(store, viewer, 0).await.expect("a member");
        assert_eq!(page.entries, entries, "{viewer}");
    }
}

/// Pinned messages and the place of a time begin where the log of the member begins.
pub async fn m15_pins_and_times_before_the_log_are_hidden_from_a_newcomer<S: Groups + Messages>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let early = send(store, "g", "a", "before").await;
    append(store, act("a", &early, MessageAction::Pin { pinned: true })).await;
    let first = done(store, "g", "a", add(&["x"])).await.seq;
    let late = send(store, "g", "b", "after").await;
    append(store, act("a", &late, MessageAction::Pin { pinned: true })).await;
    // Pinning it again does not reveal a message before the log.
    append(
        store,
        act("a", &early, MessageAction::Pin { pinned: false }),
    )
    .await;
    append(store, act("a", &early, MessageAction::Pin { pinned: true })).await;
    let pins = async |who: &str| {
        let page = store
            .pinned(&user(who), &conversation("g"), u64::MAX, 10)
            .await;
        let page = page.expect("an answer").expect("a member");
        page.messages
            .iter()
            .map(|message| message.entry.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(pins("b").await, [early, late.clone()]);
    assert_eq!(pins("x").await, [late]);
    let begin = async |who: &str| {
        let seq = store.seq_at(&user(who), &conversation("g"), at(0)).await;
        seq.expect("an answer")
    };
    assert_eq!((begin("b").await, begin("x").await), (Some(1), Some(first)));
    done(store, "g", "a", remove("x")).await;
    let page = store
        .pinned(&user("x"), &conversation("g"), u64::MAX, 10)
        .await;
    assert!(page.expect("an answer").is_none());
    assert_eq!(begin("x").await, None);
}

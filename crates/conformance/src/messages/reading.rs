//! History, `sync` and the list of conversations.

use super::{fresh, put};
use crate::{Subject, at, conversation, message, named, user};
use futures_util::future::join_all;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{
    Directory, History, Messages, MoreAround, ProfileSource, Range, StoreError, SyncPosition,
};

async fn filled<S: Messages>(store: &S, id: &str, entries: u64) {
    put(store, id, &["a", "b"]).await;
    let sends =
        (1..=entries).map(|number| store.append(message(id, "a", &number.to_string()), None));
    for sent in join_all(sends).await {
        fresh(sent);
    }
}

fn seqs(history: &History) -> (Vec<u64>, bool) {
    (
        history.entries.iter().map(|entry| entry.seq).collect(),
        history.has_more,
    )
}

/// The first entry that is not older, else the newest one.
pub async fn a_time_has_a_place_in_the_log<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    put(&**store, "empty", &["a", "b"]).await;
    for time in [10, 20, 20, 30, 50, 50, 50, 90] {
        let entry = NewEntry {
            created_at: at(time),
            ..message("c", "a", "hello")
        };
        fresh(store.append(entry, None).await);
    }
    let place = async |who: &str, id: &str, time| {
        let seq = store.seq_at(&user(who), &conversation(id), at(time)).await;
        seq.expect("an answer")
    };
    for (time, seq) in [
        (0, 1),
        (10, 1),
        (11, 2),
        (20, 2),
        (21, 4),
        (31, 5),
        (50, 5),
        (51, 8),
        (90, 8),
        (1_000, 8),
    ] {
        assert_eq!(place("b", "c", time).await, Some(seq), "{time}");
    }
    assert_eq!(place("a", "empty", 5).await, Some(0));
    assert_eq!(place("x", "c", 5).await, None);
    assert_eq!(place("a", "nowhere", 5).await, None);
}

/// Pages are oldest first in both directions, and `has_more` refers to the direction asked for.
pub async fn history_pages_in_both_directions<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    filled(&**store, "c", 10).await;
    put(&**store, "empty", &["a", "b"]).await;
    let expected: [(Range, usize, Vec<u64>, bool); 13] = [
        (Range::Newest, 3, vec![8, 9, 10], true),
        (Range::Newest, 10, (1..=10).collect(), false),
        (Range::Newest, 200, (1..=10).collect(), false),
        (Range::Before(8), 3, vec![5, 6, 7], true),
        (Range::Before(4), 3, vec![1, 2, 3], false),
        (Range::Before(1), 3, vec![], false),
        (Range::Before(0), 3, vec![], false),
        (Range::Before(u64::MAX), 2, vec![9, 10], true),
        (Range::After(0), 3, vec![1, 2, 3], true),
        (Range::After(7), 3, vec![8, 9, 10], false),
        (Range::After(10), 3, vec![], false),
        (Range::After(99), 3, vec![], false),
        (Range::After(u64::MAX), 3, vec![], false),
    ];
    for (range, limit, entries, has_more) in expected {
        let history = store
            .history(&user("b"), &conversation("c"), range, limit)
            .await
            .expect("a log")
            .expect("a member");
        assert_eq!(seqs(&history), (entries, has_more), "{range:?}, {limit}");
    }
    // Around a `seq`: the same number on both sides, and a short side leaves its share to the
    // other.
    let around = [
        (5, 4, vec![3, 4, 5, 6], (true, true)),
        (5, 5, vec![3, 4, 5, 6, 7], (true, true)),
        (5, 1, vec![5], (true, true)),
        (1, 4, vec![1, 2, 3, 4], (false, true)),
        (2, 4, vec![1, 2, 3, 4], (false, true)),
        (10, 4, vec![7, 8, 9, 10], (true, false)),
        (9, 4, vec![7, 8, 9, 10], (true, false)),
        (5, 10, (1..=10).collect(), (false, false)),
        (0, 3, vec![1, 2, 3], (false, true)),
        (11, 3, vec![8, 9, 10], (true, false)),
        (u64::MAX, 200, (1..=10).collect(), (false, false)),
    ];
    for (seq, limit, entries, (before, after)) in around {
        let history = store
            .history(&user("b"), &conversation("c"), Range::Around(seq), limit)
            .await
            .expect("a log")
            .expect("a member");
        assert_eq!(
            seqs(&history),
            (entries, before || after),
            "around {seq}, {limit}"
        );
        assert_eq!(
            history.around,
            Some(MoreAround { before, after }),
            "around {seq}, {limit}"
        );
    }
    let nothing = store
        .history(&user("b"), &conversation("empty"), Range::Around(1), 3)
        .await
        .expect("a log")
        .expect("a member");
    assert_eq!(
        (seqs(&nothing), nothing.around),
        (
            (vec![], false),
            Some(MoreAround {
                before: false,
                after: false
            })
        )
    );
    let empty = store
        .history(&user("b"), &conversation("empty"), Range::Newest, 3)
        .await
        .expect("a log")
        .expect("a member");
    assert_eq!(seqs(&empty), (vec![], false));
}

/// A conversation of others reads like one that does not exist.
pub async fn history_is_private<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    filled(&**store, "c", 1).await;
    put(&**store, "d", &["x", "y"]).await;
    for (caller, place) in [("x", "c"), ("nobody", "c"), ("a", "nowhere")] {
        let (caller, place) = (user(caller), conversation(place));
        assert!(
            store
                .history(&caller, &place, Range::Newest, 10)
                .await
                .expect("an answer")
                .is_none()
        );
        assert!(
            store
                .conversation(&caller, &place)
                .await
                .expect("an answer")
                .is_none()
        );
        assert!(
            store
                .mark_read(&caller, &place, 1, at(0))
                .await
                .expect("an answer")
                .is_none()
        );
        assert!(
            store
                .sync(&caller, &[(place.clone(), 0).into()], 10)
                .await
                .expect("an answer")[0]
                .is_none()
        );
        assert!(
            store
                .mark_delivered(vec![(place, caller, 1)], at(0))
                .await
                .expect("an answer")
                .is_empty()
        );
    }
}

/// One answer has everything: entries, marks, and the start of the log.
pub async fn m7_sync_returns_missed_entries_and_where_the_log_begins<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    filled(&**store, "c", 10).await;
    put(&**store, "empty", &["a", "b"]).await;
    store
        .mark_read(&user("b"), &conversation("c"), 4, at(0))
        .await
        .expect("a mark");
    let have = [("c", 7), ("c", 2), ("c", 10), ("empty", 0)]
        .map(|(id, seq)| (conversation(id), seq).into());
    let pages = store.sync(&user("b"), &have, 5).await.expect("pages");
    let pages: Vec<_> = pages
        .into_iter()
        .map(|page| page.expect("a member"))
        .collect();
    let entries: Vec<Vec<u64>> = pages
        .iter()
        .map(|page| page.entries.iter().map(|entry| entry.seq).collect())
        .collect();
    assert_eq!(
        entries,
        [vec![8, 9, 10], vec![3, 4, 5, 6, 7], vec![], vec![]]
    );
    assert_eq!(
        pages.iter().map(|page| page.has_more).collect::<Vec<_>>(),
        [false, true, false, false]
    );
    assert_eq!(
        pages.iter().map(|page| page.first_seq).collect::<Vec<_>>(),
        [1, 1, 1, 1]
    );
    assert_eq!(
        pages
            .iter()
            .map(|page| (page.head_seq, page.read_seq))
            .collect::<Vec<_>>(),
        [(10, 4), (10, 4), (10, 4), (0, 0)]
    );
    let marks: Vec<_> = pages[0]
        .receipts
        .iter()
        .map(|mark| (mark.user.as_str(), mark.delivered_seq, mark.read_seq))
        .collect();
    assert_eq!(marks, [("a", 10, 10), ("b", 4, 4)]);
}

/// A client that knows another entry at a `seq` of this log gets `reset`.
pub async fn f14_sync_resets_a_client_whose_log_differs<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    filled(&**store, "c", 10).await;
    put(&**store, "empty", &["a", "b"]).await;
    let log = store
        .history(&user("b"), &conversation("c"), Range::Newest, 10)
        .await
        .expect("a log")
        .expect("a member");
    let have = |id: &str, seq: u64, entry: Option<usize>| SyncPosition {
        conversation: conversation(id),
        seq,
        id: entry.map(|entry| log.entries[entry].id.clone()),
    };
    let have = [
        have("c", 7, Some(6)),
        have("c", 7, Some(7)),
        have("c", 11, None),
        have("c", 12, Some(3)),
        have("c", 10, Some(9)),
        have("c", 0, Some(9)),
        have("empty", 1, None),
    ];
    let pages = store.sync(&user("b"), &have, 2).await.expect("pages");
    let pages = pages.into_iter().map(|page| page.expect("a member"));
    let seen: Vec<_> = pages
        .map(|page| {
            (
                page.reset,
                page.entries
                    .iter()
                    .map(|entry| entry.seq)
                    .collect::<Vec<_>>(),
                page.head_seq,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (false, vec![8, 9], 10),
            (true, vec![9, 10], 10),
            (true, vec![9, 10], 10),
            (true, vec![9, 10], 10),
            (false, vec![], 10),
            (false, vec![1, 2], 10),
            (true, vec![], 0),
        ]
    );
}

/// The generation exists and does not change.
pub async fn f14_the_generation_stays_while_the_store_does<S: Messages>(subject: Subject<S>) {
    let before = subject.store.generation();
    assert!(!before.as_str().is_empty());
    filled(&*subject.store, "c", 1).await;
    assert_eq!(subject.store.generation(), before);
}

/// One answer for each requested conversation, in the same order.
pub async fn sync_answers_in_the_order_asked<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    filled(&**store, "c", 1).await;
    filled(&**store, "d", 2).await;
    put(&**store, "private", &["x", "y"]).await;
    let have = ["d", "nowhere", "c", "private"].map(|id| (conversation(id), 0).into());
    let pages = store.sync(&user("b"), &have, 10).await.expect("pages");
    let heads: Vec<_> = pages
        .iter()
        .map(|page| page.as_ref().map(|page| page.head_seq))
        .collect();
    assert_eq!(heads, [Some(2), None, Some(1), None]);
}

/// Conversations that began while a client was away.
pub async fn sync_returns_conversations_that_the_client_did_not_name<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    for id in ["c", "d", "e", "f"] {
        filled(&**store, id, 1).await;
    }
    put(&**store, "private", &["x", "y"]).await;
    let ids = |found: Vec<lamplight_domain::conversation::Conversation>| {
        found
            .iter()
            .map(|conversation| conversation.id.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let known = [
        conversation("d"),
        conversation("private"),
        conversation("nowhere"),
    ];
    assert_eq!(
        ids(store.others(&user("b"), &known, 10).await.expect("others")),
        ["f", "e", "c"]
    );
    assert_eq!(
        ids(store.others(&user("b"), &known, 2).await.expect("others")),
        ["f", "e"]
    );
    assert_eq!(
        ids(store
            .others(&user("nobody"), &[], 10)
            .await
            .expect("others")),
        Vec::<String>::new()
    );
}

/// Each conversation once, whatever arrives between the pages.
pub async fn conversations_come_newest_entry_first_and_page_stably<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let id = |number: i64| format!("{number:02}");
    for number in 0..25 {
        store
            .put_conversation(
                &conversation(&id(number)),
                &[user("a"), user("b")],
                at(number),
            )
            .await
            .expect("a conversation");
    }
    // Ten of them get a message later, all in one millisecond.
    for number in (0..20).step_by(2) {
        let mut sent = message(&id(number), "a", "hello");
        sent.created_at = at(1_000);
        store.append(sent, None).await.expect("an append");
    }
    let mut found: Vec<ConversationId> = Vec::new();
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let page = store
            .conversations(&user("b"), None, cursor.as_deref(), 4)
            .await
            .expect("a page");
        assert!(page.items.len() <= 4);
        found.extend(page.items.into_iter().map(|conversation| conversation.id));
        // A new message between two pages neither repeats nor hides conversations.
        let mut sent = message(found[0].as_str(), "a", "again");
        sent.created_at = at(2_000 + pages);
        store.append(sent, None).await.expect("an append");
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, 7);
    let mut spoken: Vec<_> = found[..10]
        .iter()
        .map(|id| id.as_str().to_owned())
        .collect();
    spoken.sort();
    assert_eq!(spoken, (0..20).step_by(2).map(id).collect::<Vec<_>>());
    let silent: Vec<_> = found[10..]
        .iter()
        .map(|id| id.as_str().to_owned())
        .collect();
    let mut expected: Vec<_> = (0..25)
        .filter(|number| *number >= 20 || number % 2 == 1)
        .map(id)
        .collect();
    expected.reverse();
    assert_eq!(
        silent, expected,
        "those without an entry count from when they were made"
    );
    let whole = store
        .conversations(&user("b"), None, None, 25)
        .await
        .expect("a page");
    assert_eq!(
        (whole.items.len(), whole.next),
        (25, None),
        "a full last page has no next"
    );
}

/// The conversation with the newest message comes first, and no message has an earlier time than
/// the one before it.
pub async fn f16_a_clock_set_back_does_not_change_the_order<S: Messages>(subject: Subject<S>) {
    const HOUR: i64 = 3_600_000;
    let store = &subject.store;
    let send = |id: &'static str, when: i64| {
        let mut sent = message(id, "a", &when.to_string());
        sent.created_at = at(when);
        store.append(sent, None)
    };
    for id in ["c", "d"] {
        put(&**store, id, &["a", "b"]).await;
        send(id, HOUR).await.expect("an append");
    }
    // The clock is set back.
    let sent = send("c", 0).await.expect("an append");
    assert_eq!(
        sent.entry.created_at,
        at(HOUR),
        "the answer is the stored value"
    );
    store
        .put_conversation(&conversation("new"), &[user("a"), user("b")], at(1))
        .await
        .expect("a conversation");
    let list = |cursor: Option<String>, limit| async move {
        let page = store
            .conversations(&user("b"), None, cursor.as_deref(), limit)
            .await
            .expect("a page");
        (
            page.items
                .into_iter()
                .map(|one| one.id.as_str().to_owned())
                .collect::<Vec<_>>(),
            page.next,
        )
    };
    assert_eq!(list(None, 10).await.0, ["new", "c", "d"]);
    let (first, next) = list(None, 1).await;
    assert_eq!(first, ["new"]);
    send("d", 2).await.expect("an append");
    assert_eq!(
        list(next, 10).await.0,
        ["c"],
        "a conversation that moved to the front is not repeated"
    );
    assert_eq!(list(None, 10).await.0, ["d", "new", "c"]);
    let others = store.others(&user("b"), &[], 1).await.expect("others");
    assert_eq!(others[0].id, conversation("d"));
    for id in ["c", "d"] {
        let log = store
            .history(&user("b"), &conversation(id), Range::Newest, 10)
            .await
            .expect("a log")
            .expect("a member");
        assert!(
            log.entries.is_sorted_by_key(|entry| entry.created_at),
            "{:?}",
            log.entries
        );
    }
}

/// A cursor of another list fails instead of returning the first page.
pub async fn a_cursor_of_no_page_is_refused<S: Messages + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for bad in ["", "7", "!", "AAAA", "..", "Y29udmVyc2F0aW9u"] {
        assert!(
            matches!(
                store.conversations(&user("a"), None, Some(bad), 4).await,
                Err(StoreError::BadCursor)
            ),
            "{bad:?}"
        );
        assert!(
            matches!(
                store.search("", Some(bad), 4).await,
                Err(StoreError::BadCursor)
            ),
            "{bad:?}"
        );
    }
}

/// Profiles, the newest message, and the viewer's own marks.
pub async fn a_conversation_looks_different_to_each_member<S: Messages + Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    store
        .upsert_profile(named("b", "Berta"), ProfileSource::Claims, at(0))
        .await
        .expect("a profile");
    store
        .put_conversation(&conversation("c"), &[user("b"), user("a")], at(7))
        .await
        .expect("a conversation");
    let sent = store
        .append(message("c", "a", "hello"), None)
        .await
        .expect("an append");
    let theirs = store
        .conversation(&user("b"), &conversation("c"))
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!(
        *theirs.members,
        [named("a", "a"), named("b", "Berta")],
        "in the order of their ids, unknown users with bare profiles"
    );
    let last = theirs.last_message.as_ref().map(|last| &last.entry);
    assert_eq!(last, Some(&*sent.entry));
    assert_eq!(
        (
            theirs.head_seq,
            theirs.read_seq,
            theirs.unread,
            theirs.created_at
        ),
        (1, 0, 1, at(7))
    );
    let mine = store
        .conversation(&user("a"), &conversation("c"))
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!((mine.head_seq, mine.read_seq, mine.unread), (1, 1, 0));
    let listed = store
        .conversations(&user("b"), None, None, 10)
        .await
        .expect("a page");
    assert_eq!(
        listed.items,
        std::slice::from_ref(&theirs),
        "the list shows the same"
    );
    let details = store.details(&conversation("c")).await;
    let details = details.expect("an answer").expect("a conversation");
    for (viewer, seen) in [("a", mine), ("b", theirs)] {
        let summary = store.summary(&user(viewer), &conversation("c")).await;
        let summary = summary.expect("an answer").expect("a member");
        assert_eq!(summary.with_details(details.clone()), seen, "in two reads");
    }
    let others = store.summary(&user("c"), &conversation("c")).await;
    assert_eq!(others.expect("an answer"), None);
    let nowhere = store.details(&conversation("nowhere")).await;
    assert_eq!(nowhere.expect("an answer"), None);
}

/// The read is for delivery and does not check who asks.
pub async fn members_are_read_without_authorization<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["b", "a", "b"]).await;
    for _ in 0..2 {
        let members = store
            .members(&conversation("c"))
            .await
            .expect("members")
            .expect("a conversation");
        assert_eq!(*members, [user("a"), user("b")]);
        assert!(
            store
                .members(&conversation("nowhere"))
                .await
                .expect("an answer")
                .is_none()
        );
    }
}

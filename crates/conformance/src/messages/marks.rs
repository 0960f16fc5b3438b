//! How far each has got.

use super::put;
use crate::{Subject, conversation, message, user};
use futures_util::future::join_all;
use lamplight_usecases::ports::{Marked, Messages};

async fn ten<S: Messages>(store: &S) {
    put(store, "c", &["a", "b"]).await;
    for number in 0..10 {
        store.append(message("c", "a", &number.to_string()), None).await.expect("an append");
    }
}

fn marks(marked: &Marked) -> (u64, u64, bool) {
    (marked.receipt.delivered_seq, marked.receipt.read_seq, marked.moved)
}

/// Never back, and never past what there is.
pub async fn m9_read_marks_only_grow_and_stop_at_the_head<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    for (seq, read_seq, moved) in
        [(3, 3, true), (2, 3, false), (3, 3, false), (0, 3, false), (7, 7, true), (u64::MAX, 10, true), (11, 10, false)]
    {
        let marked = store.mark_read(&user("b"), &conversation("c"), seq).await.expect("a mark").expect("a member");
        assert_eq!((marked.receipt.read_seq, marked.moved), (read_seq, moved), "{seq}");
        assert_eq!((marked.conversation.as_str(), marked.receipt.user.as_str()), ("c", "b"));
        assert_eq!(*marked.members, [user("a"), user("b")]);
        let seen = store.conversation(&user("b"), &conversation("c")).await.expect("a view").expect("a member");
        assert_eq!(seen.read_seq, read_seq);
    }
}

/// Devices that answer at once agree in the end.
pub async fn m9_marks_raced_at_once_end_at_the_highest<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    let moves = (1..=10).rev().map(|seq| {
        let store = store.clone();
        tokio::spawn(async move { store.mark_read(&user("b"), &conversation("c"), seq).await })
    });
    for moved in join_all(moves).await {
        let marked = moved.expect("a task").expect("a mark").expect("a member");
        assert!(marked.receipt.read_seq >= 1);
    }
    let seen = store.conversation(&user("b"), &conversation("c")).await.expect("a view").expect("a member");
    assert_eq!((seen.read_seq, seen.unread), (10, 0));
}

/// Only those that moved are answered with; the rest is no news.
pub async fn delivered_marks_only_grow_and_tell_those_that_moved<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    put(&**store, "d", &["b", "x"]).await;
    store.append(message("d", "x", "hello"), None).await.expect("an append");
    let mark = |id: &str, who: &str, seq| (conversation(id), user(who), seq);
    let moved = store
        .mark_delivered(vec![mark("c", "b", 4), mark("d", "b", 99), mark("c", "a", 3), mark("c", "x", 3), mark("nowhere", "a", 1)])
        .await
        .expect("marks");
    let told: Vec<_> = moved.iter().map(|moved| (moved.conversation.as_str(), moved.receipt.user.as_str(), marks(moved))).collect();
    assert_eq!(told, [("c", "b", (4, 0, true)), ("d", "b", (1, 0, true))]);
    assert!(store.mark_delivered(vec![mark("c", "b", 4), mark("c", "b", 2)]).await.expect("marks").is_empty());
    assert!(store.mark_delivered(Vec::new()).await.expect("marks").is_empty());
    let many = (0..1_000).map(|number| mark("c", "b", number % 10)).collect();
    let moved = store.mark_delivered(many).await.expect("marks");
    assert_eq!(moved.iter().map(|moved| moved.receipt.delivered_seq).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
}

/// Reading implies having.
pub async fn what_is_read_was_delivered<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    let marked = store.mark_read(&user("b"), &conversation("c"), 5).await.expect("a mark").expect("a member");
    assert_eq!(marks(&marked), (5, 5, true));
    store.mark_delivered(vec![(conversation("c"), user("b"), 8)]).await.expect("marks");
    let marked = store.mark_read(&user("b"), &conversation("c"), 6).await.expect("a mark").expect("a member");
    assert_eq!(marks(&marked), (8, 6, true));
}

/// One's own words are never among them.
pub async fn m9_unread_counts_what_others_said_past_the_mark<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b", "x"]).await;
    for (sender, unread_a, unread_b) in [("a", 0, 1), ("a", 0, 2), ("x", 1, 3), ("b", 2, 0), ("x", 3, 1), ("a", 0, 2)] {
        store.append(message("c", sender, "hello"), None).await.expect("an append");
        for (viewer, unread) in [("a", unread_a), ("b", unread_b)] {
            let seen = store.conversation(&user(viewer), &conversation("c")).await.expect("a view").expect("a member");
            assert_eq!(seen.unread, unread, "{viewer} at {}", seen.head_seq);
        }
    }
}

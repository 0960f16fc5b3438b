//! Read and delivered marks.

mod hidden;

use super::put;
use crate::{Subject, at, conversation, message, user};
use futures_util::future::join_all;
use lamplight_domain::event::Event;
use lamplight_domain::marks::{RECEIPT_REACH, RECEIPTS_FOR_ALL};
use lamplight_usecases::ports::{MarkUpdate, Messages};

pub use hidden::*;

async fn ten<S: Messages>(store: &S) {
    put(store, "c", &["a", "b"]).await;
    for number in 0..10 {
        store
            .append(message("c", "a", &number.to_string()), None)
            .await
            .expect("an append");
    }
}

/// The visible marks: delivered, read, and whether they moved.
fn marks(marked: &MarkUpdate) -> (u64, u64, bool) {
    (
        marked.receipt.delivered_seq,
        marked.receipt.read_seq,
        marked.is_visible,
    )
}

/// They never go back, and never past the head.
pub async fn m9_read_marks_only_grow_and_stop_at_the_head<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    for (seq, read_seq, moved) in [
        (3, 3, true),
        (2, 3, false),
        (3, 3, false),
        (0, 3, false),
        (7, 7, true),
        (u64::MAX, 10, true),
        (11, 10, false),
    ] {
        let marked = store
            .mark_read(&user("b"), &conversation("c"), seq, at(0))
            .await
            .expect("a mark")
            .expect("a member");
        assert_eq!(
            (marked.receipt.read_seq, marked.is_visible),
            (read_seq, moved),
            "{seq}"
        );
        assert_eq!(
            (marked.read_seq, marked.moved),
            (read_seq, moved),
            "their own devices see the same"
        );
        assert_eq!(
            (marked.conversation.as_str(), marked.receipt.user.as_str()),
            ("c", "b")
        );
        assert_eq!(*marked.to, [user("a"), user("b")]);
        let seen = store
            .conversation(&user("b"), &conversation("c"))
            .await
            .expect("a view")
            .expect("a member");
        assert_eq!(seen.read_seq, read_seq);
    }
}

/// Concurrent marks of several devices end at the highest.
pub async fn m9_concurrent_marks_end_at_the_highest<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    let moves = (1..=10).rev().map(|seq| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .mark_read(&user("b"), &conversation("c"), seq, at(0))
                .await
        })
    });
    for moved in join_all(moves).await {
        let marked = moved.expect("a task").expect("a mark").expect("a member");
        assert!(marked.receipt.read_seq >= 1);
    }
    let seen = store
        .conversation(&user("b"), &conversation("c"))
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!((seen.read_seq, seen.unread), (10, 0));
}

/// The answer has only the marks that moved.
pub async fn delivered_marks_only_grow_and_tell_those_that_moved<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    put(&**store, "d", &["b", "x"]).await;
    store
        .append(message("d", "x", "hello"), None)
        .await
        .expect("an append");
    let mark = |id: &str, who: &str, seq| (conversation(id), user(who), seq);
    let moved = store
        .mark_delivered(
            vec![
                mark("c", "b", 4),
                mark("d", "b", 99),
                mark("c", "a", 3),
                mark("c", "x", 3),
                mark("nowhere", "a", 1),
            ],
            at(0),
        )
        .await
        .expect("marks");
    let visible: Vec<_> = moved
        .iter()
        .map(|moved| {
            (
                moved.conversation.as_str(),
                moved.receipt.user.as_str(),
                marks(moved),
            )
        })
        .collect();
    assert_eq!(
        visible,
        [("c", "b", (4, 0, true)), ("d", "b", (1, 0, true))]
    );
    assert!(
        store
            .mark_delivered(vec![mark("c", "b", 4), mark("c", "b", 2)], at(0))
            .await
            .expect("marks")
            .is_empty()
    );
    assert!(
        store
            .mark_delivered(Vec::new(), at(0))
            .await
            .expect("marks")
            .is_empty()
    );
    let many = (0..1_000)
        .map(|number| mark("c", "b", number % 10))
        .collect();
    let moved = store.mark_delivered(many, at(0)).await.expect("marks");
    assert_eq!(
        moved
            .iter()
            .map(|moved| moved.receipt.delivered_seq)
            .collect::<Vec<_>>(),
        [5, 6, 7, 8, 9]
    );
}

/// A read mark moves the delivered mark too.
pub async fn a_read_mark_advances_the_delivered_mark<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    ten(&**store).await;
    let marked = store
        .mark_read(&user("b"), &conversation("c"), 5, at(0))
        .await
        .expect("a mark")
        .expect("a member");
    assert_eq!(marks(&marked), (5, 5, true));
    store
        .mark_delivered(vec![(conversation("c"), user("b"), 8)], at(0))
        .await
        .expect("marks");
    let marked = store
        .mark_read(&user("b"), &conversation("c"), 6, at(0))
        .await
        .expect("a mark")
        .expect("a member");
    assert_eq!(marks(&marked), (8, 6, true));
}

/// A member's own messages are not counted.
pub async fn m9_unread_counts_messages_of_others_past_the_mark<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b", "x"]).await;
    for (sender, unread_a, unread_b) in [
        ("a", 0, 1),
        ("a", 0, 2),
        ("x", 1, 3),
        ("b", 2, 0),
        ("x", 3, 1),
        ("a", 0, 2),
    ] {
        store
            .append(message("c", sender, "hello"), None)
            .await
            .expect("an append");
        for (viewer, unread) in [("a", unread_a), ("b", unread_b)] {
            let seen = store
                .conversation(&user(viewer), &conversation("c"))
                .await
                .expect("a view")
                .expect("a member");
            assert_eq!(seen.unread, unread, "{viewer} at {}", seen.head_seq);
        }
    }
}

/// The published events in order, without the contents.
async fn published<S>(subject: &Subject<S>, appended: usize) -> Vec<String> {
    subject.events.exactly(appended).await;
    let ids = |to: &[lamplight_domain::identity::UserId]| {
        to.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let events = subject
        .events
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Appended { entry, .. } => format!("{} sends {}", entry.sender, entry.seq),
            Event::Receipt { receipt, to, .. } => {
                format!(
                    "{} has read {} of {}, to {}",
                    receipt.user,
                    receipt.read_seq,
                    receipt.delivered_seq,
                    ids(&to)
                )
            }
            Event::ConversationChanged { to, .. } => format!("changed, to {}", ids(&to)),
            other => format!("{other:?}"),
        });
    events.collect()
}

/// A reply marks the quoted message as read, for the others and for the sender's other devices. If
/// nothing was unread, the message alone is published.
pub async fn m9_a_send_past_unread_entries_publishes_the_senders_marks<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    for sender in ["b", "b", "a", "a", "b"] {
        store
            .append(message("c", sender, "hello"), None)
            .await
            .expect("an append");
    }
    store
        .mark_read(&user("a"), &conversation("c"), 5, at(0))
        .await
        .expect("a mark");
    store
        .append(message("c", "a", "hello"), None)
        .await
        .expect("an append");
    let expected = [
        "changed, to a,b",
        "b sends 1",
        "b sends 2",
        "a sends 3",
        "a has read 3 of 3, to a,b",
        "changed, to a",
        "a sends 4",
        "b sends 5",
        "b has read 5 of 5, to a,b",
        "changed, to b",
        "a sends 6",
    ];
    assert_eq!(published(&subject, 6).await, expected);
}

/// In a large conversation a receipt goes to its owner and to the authors of the entries that it
/// newly covers, so that a message costs one receipt for each member and not their square.
pub async fn receipts_of_large_conversations_go_to_the_authors_alone<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let crowd: Vec<String> = (0..=RECEIPTS_FOR_ALL)
        .map(|number| format!("m{number:02}"))
        .collect();
    let mut members: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let c = conversation("c");
    put(&**store, "c", &members).await;
    for sender in ["m01", "m02", "m01", "m20"] {
        store
            .append(message("c", sender, "hello"), None)
            .await
            .expect("an append");
    }
    let to = |marked: &MarkUpdate| {
        marked
            .to
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let read = async |who: &str, seq| {
        to(&store
            .mark_read(&user(who), &c, seq, at(0))
            .await
            .expect("a mark")
            .expect("a member"))
    };
    let got = store
        .mark_delivered(
            vec![(c.clone(), user("m03"), 2), (c.clone(), user("m05"), 4)],
            at(0),
        )
        .await
        .expect("marks");
    assert_eq!(
        got.iter().map(to).collect::<Vec<_>>(),
        [vec!["m01", "m02", "m03"], vec!["m01", "m02", "m05", "m20"]]
    );
    assert_eq!(
        read("m03", 1).await,
        ["m01", "m03"],
        "a read of delivered messages is published"
    );
    assert_eq!(read("m03", 2).await, ["m02", "m03"]);
    assert_eq!(
        read("m01", 2).await,
        ["m01"],
        "their own last message was read before"
    );
    // The sender's receipt: m02 had read nothing since its own message.
    store
        .append(message("c", "m02", "hello"), None)
        .await
        .expect("an append");
    let visible = published(&subject, 5).await;
    assert_eq!(
        visible[visible.len() - 2..],
        ["m02 has read 5 of 5, to m01,m02,m20", "changed, to m02"]
    );
    // A former member gets no receipt.
    members.remove(20);
    put(&**store, "c", &members).await;
    assert_eq!(
        read("m07", 9).await,
        [
            "m00", "m01", "m02", "m03", "m04", "m05", "m06", "m07", "m08", "m09"
        ]
        .iter()
        .map(|id| (*id).to_owned())
        .chain((10..20).map(|n| format!("m{n}")))
        .collect::<Vec<_>>(),
        "in a small one all members get it"
    );
    members.extend(["n1", "n2"]);
    put(&**store, "c", &members).await;
    assert_eq!(read("m08", 9).await, ["m01", "m02", "m08"]);
    // Only the newest covered entries count.
    for _ in 0..RECEIPT_REACH {
        store
            .append(message("c", "n1", "hello"), None)
            .await
            .expect("an append");
    }
    assert_eq!(read("m09", u64::MAX).await, ["m09", "n1"]);
}

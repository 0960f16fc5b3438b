//! Read and delivered marks.

use super::put;
use crate::{Subject, at, conversation, message, user};
use futures_util::future::join_all;
use lamplight_domain::event::Event;
use lamplight_domain::marks::{RECEIPT_REACH, RECEIPTS_FOR_ALL};
use lamplight_domain::presence::{ManualStatus, PrivacyChange, StatusOverride};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Directory, MarkUpdate, Messages};

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

/// b's marks in "c" as `viewer` sees them: delivered, read.
async fn found<S: Messages>(store: &S, viewer: &str) -> (u64, u64) {
    let pages = store
        .sync(&user(viewer), &[(conversation("c"), 0).into()], 10)
        .await
        .expect("pages");
    let receipts = pages[0].as_ref().expect("a member").receipts.clone();
    let marks = receipts
        .into_iter()
        .find(|receipt| receipt.user == user("b"))
        .expect("b is in it");
    (marks.delivered_seq, marks.read_seq)
}

fn chosen(status: ManualStatus, until: Option<Timestamp>) -> StatusOverride {
    StatusOverride {
        status,
        text: None,
        until,
    }
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
pub async fn m9_marks_raced_at_once_end_at_the_highest<S: Messages>(subject: Subject<S>) {
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
pub async fn what_is_read_was_delivered<S: Messages>(subject: Subject<S>) {
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
pub async fn m9_unread_counts_what_others_said_past_the_mark<S: Messages>(subject: Subject<S>) {
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

/// The true marks move at once, the visible ones when the member becomes visible.
pub async fn p11_marks_of_the_invisible_move_untold_and_catch_up<S: Messages + Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let (b, c) = (user("b"), conversation("c"));
    ten(&**store).await;
    store.mark_read(&b, &c, 2, at(0)).await.expect("a mark");
    assert!(
        store
            .set_status(&b, chosen(ManualStatus::Invisible, None), at(0))
            .await
            .expect("kept")
            .1
            .is_empty()
    );
    let marked = store
        .mark_read(&b, &c, 4, at(1))
        .await
        .expect("a mark")
        .expect("a member");
    assert_eq!(
        (marks(&marked), marked.read_seq, marked.moved),
        ((2, 2, false), 4, true)
    );
    assert!(
        store
            .mark_delivered(vec![(c.clone(), b.clone(), 7)], at(2))
            .await
            .expect("marks")
            .is_empty()
    );
    for viewer in ["a", "b"] {
        assert_eq!(
            found(&**store, viewer).await,
            (2, 2),
            "receipts are what others know, for {viewer} too"
        );
    }
    let seen = store
        .conversation(&b, &c)
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!((seen.read_seq, seen.unread), (4, 6));
    // Other members' marks stay visible meanwhile.
    let marked = store
        .mark_read(&user("a"), &c, 99, at(2))
        .await
        .expect("a mark")
        .expect("a member");
    assert_eq!(marks(&marked), (10, 10, false));

    let (_, visible) = store
        .set_status(&b, chosen(ManualStatus::Busy, None), at(3))
        .await
        .expect("kept");
    assert_eq!(
        visible.iter().map(marks).collect::<Vec<_>>(),
        [(7, 4, true)]
    );
    assert_eq!(
        (
            visible[0].conversation.as_str(),
            visible[0].receipt.user.as_str()
        ),
        ("c", "b")
    );
    assert_eq!(*visible[0].to, [user("a"), user("b")]);
    assert!(!visible[0].moved, "their own devices knew");
    assert_eq!(found(&**store, "a").await, (7, 4));
    assert!(
        store
            .set_status(&b, chosen(ManualStatus::Online, None), at(4))
            .await
            .expect("kept")
            .1
            .is_empty(),
        "visible once"
    );
}

/// The status ends exactly at `until`.
pub async fn p11_marks_are_told_again_once_the_status_is_over<S: Messages + Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let (b, c) = (user("b"), conversation("c"));
    ten(&**store).await;
    store
        .set_status(&b, chosen(ManualStatus::Invisible, Some(at(100))), at(0))
        .await
        .expect("kept");
    let marked = store
        .mark_read(&b, &c, 2, at(99))
        .await
        .expect("a mark")
        .expect("a member");
    assert_eq!((marks(&marked), marked.moved), ((0, 0, false), true));
    let visible = store
        .mark_delivered(vec![(c.clone(), b.clone(), 3)], at(100))
        .await
        .expect("marks");
    assert_eq!(
        visible.iter().map(marks).collect::<Vec<_>>(),
        [(3, 2, true)],
        "with all that moved untold"
    );
    // Also with a status that has ended when it is set.
    store
        .set_status(&b, chosen(ManualStatus::Invisible, None), at(200))
        .await
        .expect("kept");
    store.mark_read(&b, &c, 5, at(200)).await.expect("a mark");
    let (_, visible) = store
        .set_status(&b, chosen(ManualStatus::Invisible, Some(at(300))), at(300))
        .await
        .expect("kept");
    assert_eq!(
        visible.iter().map(marks).collect::<Vec<_>>(),
        [(5, 5, true)]
    );
}

pub async fn p11_who_hides_how_far_they_have_read_does_not_see_it_of_others<
    S: Messages + Directory,
>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let (a, b, c) = (user("a"), user("b"), conversation("c"));
    ten(&**store).await;
    store.mark_read(&a, &c, 4, at(0)).await.expect("a mark");
    store.mark_read(&b, &c, 2, at(0)).await.expect("a mark");
    let of = async |viewer: &str, whom: &str| {
        let have = [(conversation("c"), 0).into()];
        let pages = store.sync(&user(viewer), &have, 1).await;
        let page = pages.expect("pages").remove(0).expect("a page");
        let receipt = page.receipts.into_iter().find(|one| one.user == user(whom));
        let receipt = receipt.expect("a receipt");
        (receipt.delivered_seq, receipt.read_seq)
    };
    let before = of("b", "a").await;
    assert_eq!((of("a", "b").await, before.1), ((2, 2), 10));
    let hide = |hides| PrivacyChange {
        hides_last_seen: None,
        hides_reads: Some(hides),
    };
    let saved = store.set_privacy(&b, hide(true), at(1)).await;
    saved.expect("saved");
    assert_eq!(of("a", "b").await, (2, 0), "nor what they knew before");
    assert_eq!(of("b", "a").await, (before.0, 0), "nor the other way round");
    let marked = store.mark_read(&b, &c, 4, at(2)).await;
    let marked = marked.expect("a mark").expect("a member");
    // What is read was delivered, which others see.
    assert_eq!(
        (marks(&marked), marked.read_seq, marked.moved),
        ((4, 0, true), 4, true)
    );
    let delivered = store
        .mark_delivered(vec![(c.clone(), b.clone(), 8)], at(3))
        .await
        .expect("marks");
    assert_eq!(
        delivered.iter().map(marks).collect::<Vec<_>>(),
        [(8, 0, true)]
    );
    let marked = store.mark_read(&b, &c, 6, at(4)).await;
    let marked = marked.expect("a mark").expect("a member");
    assert_eq!((marks(&marked), marked.moved), ((8, 0, false), true));
    let own = store.conversation(&b, &c).await.expect("a view");
    assert_eq!(own.expect("a member").read_seq, 6, "their own marks work");
    // A send shows that they were there, and says nothing of marks.
    let sent = store.append(message("c", "b", "hello"), None).await;
    sent.expect("a message");
    subject.events.exactly(11).await;
    let told = subject.events.events();
    assert!(
        !told
            .iter()
            .any(|event| matches!(event, Event::Receipt { .. })),
        "{told:?}"
    );
    assert_eq!(of("a", "b").await.1, 0);
    let saved = store.set_privacy(&b, hide(false), at(5)).await;
    saved.expect("saved");
    assert_eq!(of("a", "b").await, (11, 11));
    assert_eq!(of("b", "a").await.1, 10);
}

/// The message shows that the sender was there.
pub async fn p11_ones_own_send_tells_ones_marks<S: Messages + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    let (b, c) = (user("b"), conversation("c"));
    ten(&**store).await;
    store
        .set_status(&b, chosen(ManualStatus::Invisible, None), at(0))
        .await
        .expect("kept");
    store
        .append(message("c", "b", "hello"), None)
        .await
        .expect("an append");
    assert_eq!(found(&**store, "a").await, (11, 11));
    store
        .append(message("c", "a", "hello"), None)
        .await
        .expect("an append");
    let marked = store
        .mark_read(&b, &c, 12, at(1))
        .await
        .expect("a mark")
        .expect("a member");
    assert_eq!(
        (marks(&marked), marked.read_seq),
        ((11, 11, false), 12),
        "and nothing beyond it"
    );
}

/// In any order, the visible marks end equal to the true ones.
pub async fn p11_marks_and_statuses_raced_at_once_end_told<S: Messages + Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    ten(&**store).await;
    let races = (1..=40_u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let status = if number % 8 == 0 {
                ManualStatus::Online
            } else {
                ManualStatus::Invisible
            };
            match number % 4 {
                0 => drop(
                    store
                        .set_status(&user("b"), chosen(status, None), at(0))
                        .await
                        .expect("kept"),
                ),
                1 => drop(
                    store
                        .set_status(&user("b"), chosen(ManualStatus::Invisible, None), at(0))
                        .await
                        .expect("kept"),
                ),
                2 => drop(
                    store
                        .mark_read(&user("b"), &conversation("c"), number / 4, at(0))
                        .await
                        .expect("a mark"),
                ),
                _ => drop(
                    store
                        .mark_delivered(vec![(conversation("c"), user("b"), number / 4)], at(0))
                        .await
                        .expect("marks"),
                ),
            }
        })
    });
    for raced in join_all(races).await {
        raced.expect("a task");
    }
    store
        .set_status(&user("b"), StatusOverride::default(), at(0))
        .await
        .expect("kept");
    assert_eq!(found(&**store, "a").await, (9, 9));
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

/// A reply marks what it answers as read, for the others and for the sender's other devices. If
/// nothing was unread, the message alone is published.
pub async fn m9_a_send_past_what_was_unread_tells_the_senders_marks<S: Messages>(
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

/// A send makes marks visible that moved while the sender was invisible; the sender's devices know
/// them already.
pub async fn p11_a_send_of_the_invisible_tells_others_what_their_devices_knew<
    S: Messages + Directory,
>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    store
        .set_status(&user("b"), chosen(ManualStatus::Invisible, None), at(0))
        .await
        .expect("kept");
    store
        .append(message("c", "a", "hello"), None)
        .await
        .expect("an append");
    store
        .mark_read(&user("b"), &conversation("c"), 1, at(0))
        .await
        .expect("a mark");
    store
        .append(message("c", "b", "hello"), None)
        .await
        .expect("an append");
    assert_eq!(
        published(&subject, 2).await,
        [
            "changed, to a,b",
            "a sends 1",
            "b sends 2",
            "b has read 2 of 2, to a,b"
        ]
    );
}

/// In a large conversation a receipt goes to its owner and to the authors of what it newly covers,
/// so that a message costs one receipt for each member and not their square.
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
        "read is news of what was delivered before"
    );
    assert_eq!(read("m03", 2).await, ["m02", "m03"]);
    assert_eq!(
        read("m01", 2).await,
        ["m01"],
        "their own last word was read before"
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
        "a small one tells all"
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

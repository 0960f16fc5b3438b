//! Marks of members who hide them: invisible users, and users without receipts.

use super::super::put;
use super::{marks, published, ten};
use crate::{Subject, at, conversation, message, user};
use futures_util::future::join_all;
use lamplight_domain::event::Event;
use lamplight_domain::presence::{ManualStatus, PrivacyChange, StatusOverride};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Directory, Messages};

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

/// The true marks move at once, the visible ones when the member becomes visible.
pub async fn p11_marks_of_invisible_users_move_hidden_and_catch_up<S: Messages + Directory>(
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
            "receipts are the visible marks, for {viewer} too"
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
pub async fn p11_marks_are_visible_again_once_the_status_ends<S: Messages + Directory>(
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

pub async fn p11_a_user_who_hides_read_marks_does_not_see_those_of_others<
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
    assert_eq!(of("a", "b").await, (2, 0), "nor their earlier marks");
    assert_eq!(of("b", "a").await, (before.0, 0), "nor the other way round");
    let marked = store.mark_read(&b, &c, 4, at(2)).await;
    let marked = marked.expect("a mark").expect("a member");
    // A read mark implies a delivered mark, which others see.
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
    // A send shows that they were online, and publishes no marks.
    let sent = store.append(message("c", "b", "hello"), None).await;
    sent.expect("a message");
    subject.events.exactly(11).await;
    let published = subject.events.events();
    assert!(
        !published
            .iter()
            .any(|event| matches!(event, Event::Receipt { .. })),
        "{published:?}"
    );
    assert_eq!(of("a", "b").await.1, 0);
    let saved = store.set_privacy(&b, hide(false), at(5)).await;
    saved.expect("saved");
    assert_eq!(of("a", "b").await, (11, 11));
    assert_eq!(of("b", "a").await.1, 10);
}

/// The message shows that the sender was there.
pub async fn p11_a_send_makes_the_senders_marks_visible<S: Messages + Directory>(
    subject: Subject<S>,
) {
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
pub async fn p11_racing_marks_and_statuses_end_visible<S: Messages + Directory>(
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

/// A send makes marks visible that moved while the sender was invisible; the sender's devices know
/// them already.
pub async fn p11_a_send_of_an_invisible_user_publishes_their_own_marks<S: Messages + Directory>(
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

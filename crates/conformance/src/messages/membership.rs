//! Members of conversations, and their access.

use super::{fresh, put};
use crate::{Subject, at, conversation, message, user};
use futures_util::future::join_all;
use lamplight_usecases::ports::{AppendError, Directory, Messages, Range};

/// The first call makes it; the other member's call finds it.
pub async fn two_people_have_one_conversation_from_both_sides<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    let (a, b) = (user("a"), user("b"));
    let (made, created) = store
        .ensure_direct(&a, &b, conversation("one"), at(1))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert!(created);
    assert_eq!(
        (made.id.as_str(), made.members.len(), made.created_at),
        ("one", 2, at(1))
    );
    let (found, created) = store
        .ensure_direct(&b, &a, conversation("two"), at(2))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert!(!created);
    assert_eq!((found.id.as_str(), found.created_at), ("one", at(1)));
    let (again, created) = store
        .ensure_direct(&a, &b, conversation("three"), at(3))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert_eq!((again, created), (made, false));
    let (other, created) = store
        .ensure_direct(&a, &user("c"), conversation("four"), at(4))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert_eq!((other.id.as_str(), created), ("four", true));
    assert_eq!(
        fresh(store.append(message("one", "b", "hello"), None).await),
        1
    );
}

/// From both sides at once, many times over.
pub async fn concurrent_requests_of_two_people_create_one_conversation<S: Messages>(
    subject: Subject<S>,
) {
    let asks = (0..20).map(|number| {
        let store = subject.store.clone();
        tokio::spawn(async move {
            let (one, other) = if number % 2 == 0 {
                ("a", "b")
            } else {
                ("b", "a")
            };
            store
                .ensure_direct(
                    &user(one),
                    &user(other),
                    conversation(&format!("new-{number}")),
                    at(number),
                )
                .await
        })
    });
    let answers = join_all(asks).await;
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.expect("a task").expect("an answer"))
        .map(|answer| answer.expect("a conversation"))
        .collect();
    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
    assert!(answers.iter().all(|(found, _)| found.id == answers[0].0.id));
    assert_eq!(
        subject
            .store
            .conversations(&user("a"), None, None, 10)
            .await
            .expect("a page")
            .items
            .len(),
        1
    );
}

/// Creates a conversation, changes it, and repeats the same members.
pub async fn the_host_creates_a_conversation_and_changes_its_members<S: Messages + Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let id = conversation("7");
    let ids = |members: &[lamplight_domain::identity::UserId]| {
        members
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let (affected, changed) = store
        .put_conversation(&id, &[user("b"), user("a"), user("c")], at(0))
        .await
        .expect("made");
    assert_eq!(
        (ids(&affected), changed),
        (vec!["a".into(), "b".into(), "c".into()], true)
    );
    assert!(
        store.person(&user("c")).await.expect("an answer").is_some(),
        "its members are in the directory from then on"
    );
    let (affected, changed) = store
        .put_conversation(&id, &[user("c"), user("b"), user("a")], at(1))
        .await
        .expect("left");
    assert_eq!(
        (ids(&affected), changed),
        (vec!["a".into(), "b".into(), "c".into()], false)
    );
    let (affected, changed) = store
        .put_conversation(&id, &[user("d"), user("b"), user("a")], at(2))
        .await
        .expect("changed");
    assert_eq!(
        (ids(&affected), changed),
        (vec!["a".into(), "b".into(), "c".into(), "d".into()], true),
        "those who were in it too"
    );
    assert_eq!(
        ids(&store.members(&id).await.expect("members").expect("there")),
        ["a", "b", "d"]
    );
    let seen = store
        .conversation(&user("d"), &id)
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!(seen.created_at, at(0));
    assert_eq!(
        fresh(store.append(message("7", "d", "hello"), None).await),
        2
    );
    let published = subject.events.exactly(2).await;
    assert_eq!(
        ids(&published[0].1),
        ["a", "b", "c", "d"],
        "the change itself"
    );
    assert_eq!(ids(&published[1].1), ["a", "b", "d"]);
}

/// A host's conversation of two people is the one conversation of two people.
pub async fn a_hosted_conversation_of_two_is_their_direct_conversation<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "7", &["a", "b"]).await;
    put(&**store, "8", &["a", "b"]).await;
    let (found, created) = store
        .ensure_direct(&user("b"), &user("a"), conversation("new"), at(1))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert_eq!(
        (found.id.as_str(), created),
        ("7", false),
        "the first hosted conversation"
    );
}

/// Opening a direct conversation never leads to one with a third member.
pub async fn a_direct_conversation_that_grew_is_no_longer_found_as_direct<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let (a, b) = (user("a"), user("b"));
    let (made, _) = store
        .ensure_direct(&a, &b, conversation("one"), at(0))
        .await
        .expect("an answer")
        .expect("a conversation");
    store
        .put_conversation(&made.id, &[a.clone(), b.clone(), user("c")], at(1))
        .await
        .expect("changed");
    let (next, created) = store
        .ensure_direct(&a, &b, conversation("two"), at(2))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert_eq!(
        (next.id.as_str(), next.members.len(), created),
        ("two", 2, true)
    );
    store
        .put_conversation(&next.id, std::slice::from_ref(&a), at(3))
        .await
        .expect("changed");
    let (last, created) = store
        .ensure_direct(&b, &a, conversation("three"), at(4))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert_eq!(
        (last.id.as_str(), last.members.len(), created),
        ("three", 2, true)
    );
}

/// No history, no events, no sends, and no place in the list.
pub async fn m15_a_removed_member_has_no_access<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    let id = conversation("c");
    put(&**store, "c", &["a", "b", "x"]).await;
    store
        .append(message("c", "x", "hello"), None)
        .await
        .expect("an append");
    put(&**store, "c", &["a", "b"]).await;
    assert!(matches!(
        store.append(message("c", "x", "still here?"), None).await,
        Err(AppendError::NotFound)
    ));
    assert_eq!(
        fresh(store.append(message("c", "a", "gone"), None).await),
        3
    );
    let x = user("x");
    assert!(
        store
            .history(&x, &id, Range::Newest, 10)
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(
        store
            .conversation(&x, &id)
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(
        store
            .conversations(&x, None, None, 10)
            .await
            .expect("a page")
            .items
            .is_empty()
    );
    assert!(store.others(&x, &[], 10).await.expect("others").is_empty());
    assert!(store.shared_with(&x).await.expect("shared").is_empty());
    let published = subject.events.exactly(3).await;
    let receives: Vec<bool> = published.iter().map(|one| one.1.contains(&x)).collect();
    assert_eq!(receives, [true, true, false], "its own removal is the last");
    let log = store
        .history(&user("b"), &id, Range::Newest, 10)
        .await
        .expect("a log")
        .expect("a member");
    assert_eq!(
        log.entries[0].sender, x,
        "the messages of a removed member stay"
    );
}

/// A member who joins or rejoins an old log starts with nothing unread.
pub async fn an_added_member_has_read_everything<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    let id = conversation("c");
    put(&**store, "c", &["a", "b"]).await;
    for number in 0..5 {
        store
            .append(message("c", "a", &number.to_string()), None)
            .await
            .expect("an append");
    }
    put(&**store, "c", &["a", "n"]).await;
    put(&**store, "c", &["a", "b", "n"]).await;
    for member in ["b", "n"] {
        let seen = store
            .conversation(&user(member), &id)
            .await
            .expect("a view")
            .expect("a member");
        assert_eq!((seen.head_seq, seen.unread), (7, 0), "{member}");
        let expected = if member == "b" { 7 } else { 6 };
        assert_eq!(seen.read_seq, expected, "up to what added {member}");
        let log = store
            .history(&user(member), &id, Range::Newest, 10)
            .await
            .expect("a log")
            .expect("a member");
        assert_eq!(log.entries.len(), 7, "and may read earlier messages");
    }
}

/// They receive a changed profile.
pub async fn users_who_share_a_conversation_are_found<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    put(&**store, "d", &["a", "x", "y"]).await;
    put(&**store, "e", &["x", "y"]).await;
    let mut shared = store.shared_with(&user("a")).await.expect("shared");
    shared.sort();
    let shared: Vec<_> = shared
        .iter()
        .map(|(id, members)| (id.as_str(), members.to_vec()))
        .collect();
    assert_eq!(
        shared,
        [
            ("c", vec![user("a"), user("b")]),
            ("d", vec![user("a"), user("x"), user("y")])
        ]
    );
    assert!(
        store
            .shared_with(&user("nobody"))
            .await
            .expect("shared")
            .is_empty()
    );
}

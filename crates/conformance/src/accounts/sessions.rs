//! Sessions: how long they last, and what ends them.

use super::{create, open, session};
use crate::{Subject, at, named, user};
use lamplight_usecases::ports::{Accounts, Directory, NewSession, ProfileSource};

/// And not a millisecond longer.
pub async fn a_session_lasts_until_its_end<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &*subject.store;
    create(store, "ada", "1", "Ada").await;
    open(store, "digest", "1", at(0), at(100)).await;
    assert_eq!(
        store.session("digest", at(0)).await.expect("an answer"),
        Some((user("1"), at(100)))
    );
    assert_eq!(
        store.session("digest", at(99)).await.expect("an answer"),
        Some((user("1"), at(100)))
    );
    assert_eq!(
        store.session("digest", at(100)).await.expect("an answer"),
        None
    );
    assert_eq!(
        store.session("other", at(0)).await.expect("an answer"),
        None
    );
}

/// One sign-in under a wrong clock must not end other sessions for good.
pub async fn h11_a_clock_a_month_ahead_deletes_no_session<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    const DAY: i64 = 86_400_000;
    let store = &*subject.store;
    for id in ["1", "2"] {
        create(store, id, id, id).await;
    }
    open(store, "true", "1", at(0), at(30 * DAY)).await;
    open(store, "ahead", "2", at(31 * DAY), at(61 * DAY)).await;
    assert_eq!(
        store
            .session("true", at(31 * DAY))
            .await
            .expect("an answer"),
        None
    );
    // The clock is set right again.
    open(store, "later", "2", at(DAY), at(31 * DAY)).await;
    assert_eq!(
        store.session("true", at(DAY)).await.expect("an answer"),
        Some((user("1"), at(30 * DAY)))
    );
}

/// Signing out returns the user of the session, once.
pub async fn a_session_ends_once<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &*subject.store;
    create(store, "ada", "1", "Ada").await;
    open(store, "one", "1", at(0), at(100)).await;
    open(store, "two", "1", at(0), at(100)).await;
    assert_eq!(
        store.end_session("one").await.expect("an answer"),
        Some(user("1"))
    );
    assert_eq!(store.end_session("one").await.expect("an answer"), None);
    assert_eq!(store.session("one", at(1)).await.expect("an answer"), None);
    assert!(
        store
            .session("two", at(1))
            .await
            .expect("an answer")
            .is_some(),
        "the other device stays"
    );
}

/// Sweeping takes those that ended, and no others.
pub async fn sessions_that_are_over_do_not_come_back<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &*subject.store;
    create(store, "ada", "1", "Ada").await;
    for number in 0..50 {
        open(store, &format!("old-{number}"), "1", at(0), at(10)).await;
    }
    open(store, "long", "1", at(0), at(1_000)).await;
    for number in 0..10 {
        open(store, &format!("new-{number}"), "1", at(20), at(1_000)).await;
    }
    assert!(
        store
            .session("long", at(20))
            .await
            .expect("an answer")
            .is_some()
    );
    for number in 0..50 {
        assert_eq!(
            store
                .session(&format!("old-{number}"), at(20))
                .await
                .expect("an answer"),
            None
        );
    }
}

/// And no other account's. The newest stays even where the clock went back.
pub async fn h12_the_oldest_session_of_an_account_ends_where_it_has_too_many<
    S: Accounts + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for (id, name) in [("1", "ada"), ("2", "lin")] {
        create(store, name, id, name).await;
    }
    open(store, "other", "2", at(0), at(1_000)).await;
    let open = async |digest: &str, began: i64| {
        let new = NewSession {
            most: 3,
            ..session(digest, "1", at(began), at(1_000))
        };
        store
            .open_session(new)
            .await
            .expect("a session")
            .expect("opened")
    };
    for (digest, began) in [("a", 10), ("b", 20), ("c", 30)] {
        assert!(open(digest, began).await.is_empty());
    }
    assert_eq!(open("d", 40).await, ["a"]);
    assert_eq!(open("e", 5).await, ["b"]);
    for (digest, is_there) in [
        ("a", false),
        ("b", false),
        ("c", true),
        ("d", true),
        ("e", true),
        ("other", true),
    ] {
        assert_eq!(
            store
                .session(digest, at(50))
                .await
                .expect("an answer")
                .is_some(),
            is_there,
            "{digest}"
        );
    }
}

/// Sessions of other users stay.
pub async fn all_sessions_of_a_user_end_at_once<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &*subject.store;
    for (id, name) in [("1", "ada"), ("2", "lin")] {
        create(store, name, id, name).await;
    }
    for (digest, id) in [("a", "1"), ("b", "1"), ("c", "2")] {
        open(store, digest, id, at(0), at(1_000)).await;
    }
    let sorted = |mut digests: Vec<String>| {
        digests.sort();
        digests
    };
    assert_eq!(
        sorted(store.sessions_of(&user("1")).await.expect("an answer")),
        ["a", "b"]
    );
    assert_eq!(
        sorted(
            store
                .end_sessions(&user("1"), None)
                .await
                .expect("an answer")
        ),
        ["a", "b"]
    );
    assert!(
        store
            .end_sessions(&user("1"), None)
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(
        store
            .end_sessions(&user("nobody"), None)
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(
        store
            .sessions_of(&user("1"))
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(
        store
            .session("c", at(1))
            .await
            .expect("an answer")
            .is_some()
    );
}

/// A sign-out that reaches the store late does not end sessions opened after it.
pub async fn h11_sessions_end_that_were_opened_until_a_time<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    create(store, "ada", "1", "ada").await;
    for (digest, began) in [("a", 10), ("b", 20), ("c", 21)] {
        open(store, digest, "1", at(began), at(1_000)).await;
    }
    let mut ended = store
        .end_sessions(&user("1"), Some(at(20)))
        .await
        .expect("an answer");
    ended.sort();
    assert_eq!(ended, ["a", "b"]);
    assert_eq!(
        store.sessions_of(&user("1")).await.expect("an answer"),
        ["c"]
    );
    let asked = ["a", "c", "b", "never", "c"].map(str::to_owned);
    let mut missing = store.without_session(&asked).await.expect("an answer");
    missing.sort();
    assert_eq!(missing, ["a", "b", "never"]);
    assert!(
        store
            .without_session(&[])
            .await
            .expect("an answer")
            .is_empty()
    );
}

/// The time stays, whatever is written to the profile, and never moves back.
pub async fn h11_tokens_end_that_were_issued_until_a_time<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let ended_at = async |users: &[&str]| {
        let users: Vec<_> = users.iter().map(|id| user(id)).collect();
        store.tokens_ended_at(&users).await.expect("an answer")
    };
    let end = async |id, time| {
        store
            .end_tokens(&user(id), at(time))
            .await
            .expect("an answer")
    };
    assert!(!end("1", 5).await, "nobody knows the user");
    assert_eq!(ended_at(&["1"]).await, [None]);
    for id in ["1", "2", "3"] {
        let profile = named(id, id);
        let written = store.upsert_profile(profile, ProfileSource::Claims, at(0));
        written.await.expect("a profile");
    }
    assert_eq!(ended_at(&["1"]).await, [None]);
    assert!(end("1", 5).await);
    assert!(end("3", 7).await);
    assert_eq!(
        ended_at(&["3", "2", "unknown", "1", "3"]).await,
        [Some(at(7)), None, None, Some(at(5)), Some(at(7))]
    );
    assert!(end("1", 4).await);
    assert_eq!(
        ended_at(&["1"]).await,
        [Some(at(5))],
        "a clock that was behind"
    );
    assert!(end("1", 6).await);
    let written = store.upsert_profile(named("1", "Ada"), ProfileSource::Host, at(9));
    written.await.expect("a profile");
    assert_eq!(ended_at(&["1"]).await, [Some(at(6))]);
    assert_eq!(ended_at(&[]).await, []);
}

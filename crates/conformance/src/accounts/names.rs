//! Accounts and their user names.

use super::account;
use crate::{Subject, at, named, user};
use futures_util::future::join_all;
use lamplight_usecases::ports::{Accounts, Directory, ProfileSource};

/// Registering puts a person into the directory.
pub async fn an_account_comes_with_a_profile<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    assert!(store.find("ada").await.expect("an answer").is_none());
    assert!(
        store
            .create("Ada", account("1"), named("1", "Ada L."), at(0))
            .await
            .expect("an answer")
    );
    let found = store
        .find("aDA")
        .await
        .expect("an answer")
        .expect("an account");
    assert_eq!(
        (found.user, found.password_hash.as_str()),
        (user("1"), "$argon2id$of-1")
    );
    assert_eq!(
        store
            .person(&user("1"))
            .await
            .expect("an answer")
            .expect("a person")
            .profile,
        named("1", "Ada L.")
    );
}

/// Whatever they call themselves, and once only; a person without an account is found as before.
pub async fn a_person_is_found_by_their_user_name<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for (id, username, name) in [
        ("1", "Zoë_Z", "Countess"),
        ("2", "ada", "Ada"),
        ("3", "lin", "The other ada"),
    ] {
        assert!(
            store
                .create(username, account(id), named(id, name), at(0))
                .await
                .expect("an answer")
        );
    }
    store
        .upsert_profile(named("4", "zoë"), ProfileSource::Claims, at(0))
        .await
        .expect("a person");
    let expected: [(&str, &[&str]); 10] = [
        ("zoë_z", &["1"]),
        ("ZOË", &["1", "4"]),
        ("zoe", &["1", "4"]),
        (" ZOE\u{308}_Z", &["1"]),
        ("ë_z", &["1"]),
        ("ëxz", &[]),
        ("countess", &["1"]),
        ("ADA", &["2", "3"]),
        ("lin", &["3"]),
        ("$argon2id", &[]),
    ];
    for (query, ids) in expected {
        let found = store.search(query, None, 10).await.expect("a page");
        assert_eq!(
            found
                .items
                .iter()
                .map(|found| found.id.as_str())
                .collect::<Vec<_>>(),
            ids,
            "{query}"
        );
    }
    let first = store.search("zoë", None, 1).await.expect("a page");
    let rest = store
        .search("zoë", first.next.as_deref(), 1)
        .await
        .expect("a page");
    assert_eq!(
        (first.items, rest.items, rest.next),
        (vec![named("1", "Countess")], vec![named("4", "zoë")], None)
    );
}

/// The second registration changes nothing.
pub async fn a_name_is_taken_in_every_spelling<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    assert!(
        store
            .create("Zoë", account("1"), named("1", "Zoë"), at(0))
            .await
            .expect("an answer")
    );
    for name in ["Zoë", "zoë", "ZOË", "ZOE\u{308}", "Ｚｏë"] {
        assert!(
            !store
                .create(name, account("2"), named("2", "Other"), at(1))
                .await
                .expect("an answer"),
            "{name}"
        );
    }
    for name in ["zOË", "zoe\u{308}"] {
        assert_eq!(
            store
                .find(name)
                .await
                .expect("an answer")
                .expect("an account")
                .user,
            user("1"),
            "{name}"
        );
    }
    assert!(
        store.person(&user("2")).await.expect("an answer").is_none(),
        "no profile stays behind"
    );
    assert!(
        store
            .create("Zoe", account("2"), named("2", "Zoe"), at(2))
            .await
            .expect("an answer"),
        "an accent is no case"
    );
}

/// Also by many at once: one wins.
pub async fn h13_a_name_that_looks_like_a_taken_one_is_taken<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    const NAMES: [&str; 4] = ["paul", "pau1", "PauI", "\u{440}\u{430}ul"];
    let asks = NAMES
        .iter()
        .cycle()
        .take(20)
        .enumerate()
        .map(|(at_once, name)| {
            let store = subject.store.clone();
            tokio::spawn(async move {
                let id = at_once.to_string();
                store
                    .create(name, account(&id), named(&id, "Paul"), at(0))
                    .await
            })
        });
    let made = join_all(asks).await;
    let made = made
        .into_iter()
        .filter(|made| *made.as_ref().expect("a task").as_ref().expect("an answer"));
    assert_eq!(made.count(), 1);
    assert!(
        store
            .create("paula", account("20"), named("20", "Paula"), at(1))
            .await
            .expect("an answer"),
        "this one is another name"
    );
}

/// One registration wins.
pub async fn of_many_concurrent_registrations_of_a_name_one_wins<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    let asks = (0..20).map(|number| {
        let store = subject.store.clone();
        tokio::spawn(async move {
            let id = number.to_string();
            store
                .create("ada", account(&id), named(&id, "Ada"), at(0))
                .await
        })
    });
    let made: Vec<bool> = join_all(asks)
        .await
        .into_iter()
        .map(|made| made.expect("a task").expect("an answer"))
        .collect();
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert_eq!(
        subject
            .store
            .search("", None, 100)
            .await
            .expect("a page")
            .items
            .len(),
        1
    );
}

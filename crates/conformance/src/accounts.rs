//! The suite for `Accounts`.

use crate::{Subject, at, named, user};
use futures_util::future::join_all;
use lamplight_usecases::ports::{Account, Accounts, Directory, ProfileSource};

/// Joins the suite: `accounts_suite!(factory)`, the factory an `async fn` that makes an empty [`crate::Subject`].
#[macro_export]
macro_rules! accounts_suite {
    ($factory:path) => {
        $crate::suite!(
            $factory,
            $crate::accounts,
            [
                an_account_comes_with_a_profile,
                a_person_is_found_by_their_user_name,
                a_name_is_taken_in_every_spelling,
                a_name_asked_for_by_many_at_once_goes_to_one,
                a_session_lasts_until_its_end,
                a_session_ends_once,
                sessions_that_are_over_do_not_come_back,
            ]
        );
    };
}

fn account(id: &str) -> Account {
    Account { user: user(id), password_hash: format!("$argon2id$of-{id}") }
}

/// Registering puts a person into the directory.
pub async fn an_account_comes_with_a_profile<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    assert!(store.find("ada").await.expect("an answer").is_none());
    assert!(store.create("Ada", account("1"), named("1", "Ada L."), at(0)).await.expect("an answer"));
    let found = store.find("aDA").await.expect("an answer").expect("an account");
    assert_eq!((found.user, found.password_hash.as_str()), (user("1"), "$argon2id$of-1"));
    assert_eq!(store.person(&user("1")).await.expect("an answer").expect("a person").profile, named("1", "Ada L."));
}

/// Whatever they call themselves, and once only; a person without an account is found as before.
pub async fn a_person_is_found_by_their_user_name<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for (id, username, name) in [("1", "Zoë_Z", "Countess"), ("2", "ada", "Ada"), ("3", "lin", "The other ada")] {
        assert!(store.create(username, account(id), named(id, name), at(0)).await.expect("an answer"));
    }
    store.remember(named("4", "zoë"), ProfileSource::Claims, at(0)).await.expect("a person");
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
        assert_eq!(found.items.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ids, "{query}");
    }
    let first = store.search("zoë", None, 1).await.expect("a page");
    let rest = store.search("zoë", first.next.as_deref(), 1).await.expect("a page");
    assert_eq!((first.items, rest.items, rest.next), (vec![named("1", "Countess")], vec![named("4", "zoë")], None));
}

/// And whoever comes second changes nothing.
pub async fn a_name_is_taken_in_every_spelling<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    assert!(store.create("Zoë", account("1"), named("1", "Zoë"), at(0)).await.expect("an answer"));
    for name in ["Zoë", "zoë", "ZOË", "ZOE\u{308}", "Ｚｏë"] {
        assert!(!store.create(name, account("2"), named("2", "Other"), at(1)).await.expect("an answer"), "{name}");
    }
    for name in ["zOË", "zoe\u{308}"] {
        assert_eq!(store.find(name).await.expect("an answer").expect("an account").user, user("1"), "{name}");
    }
    assert!(store.person(&user("2")).await.expect("an answer").is_none(), "no profile stays behind");
    assert!(store.create("Zoe", account("2"), named("2", "Zoe"), at(2)).await.expect("an answer"), "an accent is no case");
}

/// One wins.
pub async fn a_name_asked_for_by_many_at_once_goes_to_one<S: Accounts + Directory>(subject: Subject<S>) {
    let asks = (0..20).map(|number| {
        let store = subject.store.clone();
        tokio::spawn(async move {
            let id = number.to_string();
            store.create("ada", account(&id), named(&id, "Ada"), at(0)).await
        })
    });
    let made: Vec<bool> = join_all(asks).await.into_iter().map(|made| made.expect("a task").expect("an answer")).collect();
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert_eq!(subject.store.search("", None, 100).await.expect("a page").items.len(), 1);
}

/// And not a millisecond longer.
pub async fn a_session_lasts_until_its_end<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    store.create("ada", account("1"), named("1", "Ada"), at(0)).await.expect("an account");
    store.open_session("digest", &user("1"), at(0), at(100)).await.expect("a session");
    assert_eq!(store.session("digest", at(0)).await.expect("an answer"), Some((user("1"), at(100))));
    assert_eq!(store.session("digest", at(99)).await.expect("an answer"), Some((user("1"), at(100))));
    assert_eq!(store.session("digest", at(100)).await.expect("an answer"), None);
    assert_eq!(store.session("other", at(0)).await.expect("an answer"), None);
}

/// Signing out tells whose it was, once.
pub async fn a_session_ends_once<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    store.create("ada", account("1"), named("1", "Ada"), at(0)).await.expect("an account");
    store.open_session("one", &user("1"), at(0), at(100)).await.expect("a session");
    store.open_session("two", &user("1"), at(0), at(100)).await.expect("a session");
    assert_eq!(store.end_session("one").await.expect("an answer"), Some(user("1")));
    assert_eq!(store.end_session("one").await.expect("an answer"), None);
    assert_eq!(store.session("one", at(1)).await.expect("an answer"), None);
    assert!(store.session("two", at(1)).await.expect("an answer").is_some(), "the other device stays");
}

/// Sweeping takes those that ended, and no others.
pub async fn sessions_that_are_over_do_not_come_back<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    store.create("ada", account("1"), named("1", "Ada"), at(0)).await.expect("an account");
    for number in 0..50 {
        store.open_session(&format!("old-{number}"), &user("1"), at(0), at(10)).await.expect("a session");
    }
    store.open_session("long", &user("1"), at(0), at(1_000)).await.expect("a session");
    for number in 0..10 {
        store.open_session(&format!("new-{number}"), &user("1"), at(20), at(1_000)).await.expect("a session");
    }
    assert!(store.session("long", at(20)).await.expect("an answer").is_some());
    for number in 0..50 {
        assert_eq!(store.session(&format!("old-{number}"), at(20)).await.expect("an answer"), None);
    }
}

//! The suite for `Accounts`.

use crate::{Subject, at, named, user};
use futures_util::future::join_all;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Account, Accounts, Directory, NewSession, ProfileSource};
use std::net::IpAddr;

/// Joins the suite: `accounts_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! accounts_suite {
    ($factory:path) => {
        $crate::suite!(
            accounts,
            $factory,
            [
                an_account_comes_with_a_profile,
                a_person_is_found_by_their_user_name,
                a_name_is_taken_in_every_spelling,
                h13_a_name_that_looks_like_a_taken_one_is_taken,
                a_name_asked_for_by_many_at_once_goes_to_one,
                a_session_lasts_until_its_end,
                h11_a_clock_a_month_ahead_deletes_no_session,
                a_session_ends_once,
                sessions_that_are_over_do_not_come_back,
                h12_the_oldest_session_of_an_account_ends_where_it_has_too_many,
                all_sessions_of_a_user_end_at_once,
                h11_sessions_end_that_were_opened_until_a_time,
                a_new_password_ends_all_other_sessions,
                h7_the_networks_that_signed_in_are_known_for_a_while,
            ]
        );
    };
}

fn account(id: &str) -> Account {
    Account {
        user: user(id),
        password_hash: format!("$argon2id$of-{id}"),
    }
}

fn session(digest: &str, id: &str, at: Timestamp, expires: Timestamp) -> NewSession {
    NewSession {
        digest: digest.to_owned(),
        user: user(id),
        at,
        expires,
        network: None,
        most: 0,
        password_hash: None,
    }
}

fn network(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

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

/// And whoever comes second changes nothing.
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

/// One wins.
pub async fn a_name_asked_for_by_many_at_once_goes_to_one<S: Accounts + Directory>(
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

/// And not a millisecond longer.
pub async fn a_session_lasts_until_its_end<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    store
        .create("ada", account("1"), named("1", "Ada"), at(0))
        .await
        .expect("an account");
    store
        .open_session(session("digest", "1", at(0), at(100)))
        .await
        .expect("a session");
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

/// One sign-in under it ends nobody's session for good.
pub async fn h11_a_clock_a_month_ahead_deletes_no_session<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    const DAY: i64 = 86_400_000;
    let store = &subject.store;
    for id in ["1", "2"] {
        store
            .create(id, account(id), named(id, id), at(0))
            .await
            .expect("an account");
    }
    store
        .open_session(session("true", "1", at(0), at(30 * DAY)))
        .await
        .expect("a session");
    store
        .open_session(session("ahead", "2", at(31 * DAY), at(61 * DAY)))
        .await
        .expect("a session");
    assert_eq!(
        store
            .session("true", at(31 * DAY))
            .await
            .expect("an answer"),
        None
    );
    // The clock is set right again.
    store
        .open_session(session("later", "2", at(DAY), at(31 * DAY)))
        .await
        .expect("a session");
    assert_eq!(
        store.session("true", at(DAY)).await.expect("an answer"),
        Some((user("1"), at(30 * DAY)))
    );
}

/// Signing out tells whose it was, once.
pub async fn a_session_ends_once<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    store
        .create("ada", account("1"), named("1", "Ada"), at(0))
        .await
        .expect("an account");
    store
        .open_session(session("one", "1", at(0), at(100)))
        .await
        .expect("a session");
    store
        .open_session(session("two", "1", at(0), at(100)))
        .await
        .expect("a session");
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
    let store = &subject.store;
    store
        .create("ada", account("1"), named("1", "Ada"), at(0))
        .await
        .expect("an account");
    for number in 0..50 {
        store
            .open_session(session(&format!("old-{number}"), "1", at(0), at(10)))
            .await
            .expect("a session");
    }
    store
        .open_session(session("long", "1", at(0), at(1_000)))
        .await
        .expect("a session");
    for number in 0..10 {
        store
            .open_session(session(&format!("new-{number}"), "1", at(20), at(1_000)))
            .await
            .expect("a session");
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
    let store = &subject.store;
    for (id, name) in [("1", "ada"), ("2", "lin")] {
        store
            .create(name, account(id), named(id, name), at(0))
            .await
            .expect("an account");
    }
    store
        .open_session(session("other", "2", at(0), at(1_000)))
        .await
        .expect("a session");
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

/// And nobody else's.
pub async fn all_sessions_of_a_user_end_at_once<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for (id, name) in [("1", "ada"), ("2", "lin")] {
        store
            .create(name, account(id), named(id, name), at(0))
            .await
            .expect("an account");
    }
    for (digest, id) in [("a", "1"), ("b", "1"), ("c", "2")] {
        store
            .open_session(session(digest, id, at(0), at(1_000)))
            .await
            .expect("a session");
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

/// A sign-out that reaches the store late does not end what was opened after it.
pub async fn h11_sessions_end_that_were_opened_until_a_time<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    store
        .create("ada", account("1"), named("1", "ada"), at(0))
        .await
        .expect("an account");
    for (digest, began) in [("a", 10), ("b", 20), ("c", 21)] {
        store
            .open_session(session(digest, "1", at(began), at(1_000)))
            .await
            .expect("a session");
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

/// The one that asked for it stays.
pub async fn a_new_password_ends_all_other_sessions<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &subject.store;
    store
        .create("Ada", account("1"), named("1", "Ada L."), at(0))
        .await
        .expect("an account");
    for digest in ["a", "b", "c"] {
        let network = Some(network("192.0.2.0"));
        let new = NewSession {
            network,
            ..session(digest, "1", at(0), at(1_000))
        };
        store.open_session(new).await.expect("a session");
    }
    let (username, held) = store
        .account_of(&user("1"))
        .await
        .expect("an answer")
        .expect("an account");
    assert_eq!(
        (username.as_str(), held.password_hash.as_str()),
        ("Ada", "$argon2id$of-1")
    );
    let mut ended = store
        .set_password(&user("1"), &held.password_hash, "$new", Some("b"))
        .await
        .expect("written")
        .expect("changed");
    ended.sort();
    assert_eq!(ended, ["a", "c"]);
    assert_eq!(
        store
            .find("ada")
            .await
            .expect("an answer")
            .expect("an account")
            .password_hash,
        "$new"
    );
    assert!(
        store
            .session("b", at(1))
            .await
            .expect("an answer")
            .is_some()
    );
    assert!(
        !store
            .knows_network("ada", network("192.0.2.0"), at(0))
            .await
            .expect("an answer"),
        "who had the old one is a stranger"
    );
    // Whoever knew the old one, and was slower.
    assert!(
        store
            .set_password(&user("1"), &held.password_hash, "$mine", None)
            .await
            .expect("an answer")
            .is_none()
    );
    let late = NewSession {
        password_hash: Some(held.password_hash),
        ..session("late", "1", at(0), at(1_000))
    };
    assert!(
        store
            .open_session(late.clone())
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(
        store
            .session("late", at(1))
            .await
            .expect("an answer")
            .is_none()
    );
    let late = NewSession {
        password_hash: Some("$new".to_owned()),
        ..late
    };
    assert_eq!(
        store.open_session(late).await.expect("an answer"),
        Some(vec![])
    );
    assert_eq!(
        store.end_session("late").await.expect("an answer"),
        Some(user("1"))
    );
    assert_eq!(
        store
            .set_password(&user("1"), "$new", "$newer", None)
            .await
            .expect("written")
            .expect("changed"),
        ["b"]
    );
    assert!(
        store
            .account_of(&user("nobody"))
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(
        store
            .set_password(&user("nobody"), "$x", "$y", None)
            .await
            .expect("an answer")
            .is_none()
    );
}

/// By every spelling of the name, so many of them, and not longer than that.
pub async fn h7_the_networks_that_signed_in_are_known_for_a_while<S: Accounts + Directory>(
    subject: Subject<S>,
) {
    const DAY: i64 = 24 * 3_600 * 1_000;
    let store = &subject.store;
    for (id, name) in [("1", "Ada"), ("2", "lin")] {
        store
            .create(name, account(id), named(id, name), at(0))
            .await
            .expect("an account");
    }
    let open = async |digest: &str, from: &str, began: i64| {
        let new = NewSession {
            network: Some(network(from)),
            ..session(digest, "1", at(began), at(began + 1))
        };
        store.open_session(new).await.expect("a session");
    };
    let knows = async |name: &str, from: &str, since: i64| {
        store
            .knows_network(name, network(from), at(since))
            .await
            .expect("an answer")
    };
    open("a", "192.0.2.0", DAY).await;
    open("b", "2001:db8::", DAY).await;
    assert!(knows("aDA", "192.0.2.0", DAY).await && knows("ada", "2001:db8::", 0).await);
    assert!(
        !knows("ada", "192.0.3.0", 0).await
            && !knows("lin", "192.0.2.0", 0).await
            && !knows("nobody", "192.0.2.0", 0).await
    );
    assert!(!knows("ada", "192.0.2.0", DAY + 1).await, "too long ago");
    open("c", "192.0.2.0", 2 * DAY).await;
    assert!(
        knows("ada", "192.0.2.0", 2 * DAY).await,
        "it signed in anew"
    );
    for n in 0..15 {
        open(&format!("n{n}"), &format!("10.0.{n}.0"), 3 * DAY + n).await;
    }
    assert!(
        knows("ada", "192.0.2.0", 0).await && !knows("ada", "2001:db8::", 0).await,
        "sixteen are kept, the latest"
    );
    open("d", "198.51.100.0", 33 * DAY + 7).await;
    assert!(
        !knows("ada", "10.0.6.0", 0).await && knows("ada", "10.0.7.0", 0).await,
        "what is too old is taken away"
    );
}

//! Changed passwords, and the networks from which users signed in.

use super::{create, network, session};
use crate::{Subject, at, user};
use lamplight_usecases::ports::{Accounts, Directory, NewSession};

/// The one that asked for it stays.
pub async fn a_new_password_ends_all_other_sessions<S: Accounts + Directory>(subject: Subject<S>) {
    let store = &*subject.store;
    create(store, "Ada", "1", "Ada L.").await;
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
        "the old password no longer works"
    );
    // A sign-in with the old password that commits later.
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
    let store = &*subject.store;
    for (id, name) in [("1", "Ada"), ("2", "lin")] {
        create(store, name, id, name).await;
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
        "it signed in again"
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

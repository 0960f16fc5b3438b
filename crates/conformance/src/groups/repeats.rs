//! Changes of groups that are repeated, and those that are refused.

use super::{add, done, keyed, make, new_group, remove, role, write};
use crate::Subject;
use lamplight_domain::entry::DetailsChange;
use lamplight_domain::group::{GroupAction, GroupWrite, History, NewGroup};
use lamplight_domain::permission::Role;
use lamplight_usecases::ports::{GroupError, Groups, Messages};
use lamplight_usecases::transfer::{TABLES, Transfer};

/// An entry has only the effective changes: the other fields of a request distinguish it too.
pub async fn m1_another_change_under_a_used_key_is_a_conflict<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let details = |name: Option<&str>, url: Option<&str>| {
        GroupAction::SetDetails(DetailsChange {
            name: name.map(|name| Some(name.into())),
            avatar_url: url.map(|url| Some(url.into())),
        })
    };
    done(store, "g", "a", details(Some("N"), None)).await;
    let attempt = async |key: &str, action: GroupAction| {
        let outcome = store
            .change_group(keyed(key, write("g", "a", action)), None)
            .await;
        match outcome {
            Ok(changed) => Some(changed.duplicate),
            Err(GroupError::Conflict) => None,
            Err(error) => panic!("{error}"),
        }
    };
    let (made, repeated, conflict) = (Some(false), Some(true), None);
    for (key, first, others) in [
        ("1", add(&["c"]), vec![add(&["c", "d"]), add(&["d"])]),
        ("2", add(&["b", "e"]), vec![add(&["e"]), add(&["e", "f"])]),
        (
            "3",
            details(Some("N"), Some("/a.png")),
            vec![
                details(Some("M"), Some("/a.png")),
                details(None, Some("/a.png")),
                details(Some("N"), None),
            ],
        ),
        (
            "4",
            role("b", Role::Admin),
            vec![role("b", Role::Owner), role("c", Role::Admin)],
        ),
        ("5", remove("e"), vec![remove("c")]),
    ] {
        assert_eq!(attempt(key, first.clone()).await, made, "{first:?}");
        for other in others {
            assert_eq!(attempt(key, other.clone()).await, conflict, "{other:?}");
        }
        assert_eq!(attempt(key, first.clone()).await, repeated, "{first:?}");
    }
    // In another order it is the same.
    assert_eq!(attempt("2", add(&["e", "b"])).await, repeated);
    subject.events.exactly(7).await;
}

/// Otherwise any user could fill the directory with people who do not exist.
pub async fn a_refused_change_inserts_no_people<S: Messages + Groups + Transfer>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let made = NewGroup {
        client_id: Some("mine".into()),
        ..new_group("made", &["a", "b"], History::Joined)
    };
    let made = store.make_group(made).await.expect("an answer");
    assert!(made.expect("a group").1);
    let first = keyed("k", write("g", "a", add(&["c"])));
    store.change_group(first, None).await.expect("a change");
    let people = async || {
        let table = TABLES.iter().find(|table| table.name == "people");
        let rows = store.rows(table.expect("the table of people"), None, 100);
        rows.await.expect("rows").len()
    };
    let before = people().await;
    let invented = || add(&["x1", "x2", "x3"]);
    for attempt in [
        write("nowhere", "a", invented()),
        write("g", "stranger", invented()),
        write("g", "b", invented()),
        keyed("k", write("g", "a", invented())),
        GroupWrite {
            limit: 4,
            ..write("g", "a", invented())
        },
    ] {
        let refused = store.change_group(attempt, None).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let again = NewGroup {
        client_id: Some("mine".into()),
        ..new_group("another", &["a", "x1", "x2"], History::Joined)
    };
    let again = store.make_group(again).await.expect("an answer");
    assert!(!again.expect("a group").1, "the one that is there");
    assert_eq!(people().await, before);
    done(store, "g", "a", invented()).await;
    assert_eq!(people().await, before + 3);
}

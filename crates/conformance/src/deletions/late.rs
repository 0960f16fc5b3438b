//! Writes after a deletion, and writes that waited for its commit.

use super::{account, delete, deletion, is_forbidden, put, send, session};
use crate::setup::users;
use crate::{Subject, at, conversation, message, named, user};
use futures_util::future::join_all;
use lamplight_domain::group::{GroupAction, GroupWrite, History, NewGroup};
use lamplight_domain::identity::MessageId;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::presence::{Privacy, PrivacyChange, StatusOverride};
use lamplight_usecases::ports::{
    Accounts, BlockOutcome, Blocks, Directory, GroupError, Groups, Messages, NewSession,
    ProfileSource,
};

fn group(id: &str, members: &[&str]) -> NewGroup {
    NewGroup {
        conversation: conversation(id),
        entry: MessageId::trusted(format!("made-{id}")),
        owner: user(members[0]),
        members: users(members),
        name: None,
        avatar_url: None,
        history: History::All,
        client_id: None,
        created_at: at(0),
    }
}

fn change(entry: &str, id: &str, sender: &str, action: GroupAction) -> GroupWrite {
    GroupWrite {
        id: MessageId::trusted(entry),
        conversation: conversation(id),
        sender: user(sender),
        action,
        key: None,
        created_at: at(1),
        limit: 1_000,
    }
}

async fn members<S: Messages>(store: &S, id: &str) -> Vec<String> {
    let members = store.members(&conversation(id)).await.expect("an answer");
    let members = members.expect("a conversation");
    members.iter().map(ToString::to_string).collect()
}

pub async fn ended_sessions_are_stored_until_the_deletion_is_announced<S: Accounts>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    account(store, "1", "ada").await;
    account(store, "2", "lin").await;
    for digest in ["s1", "s2"] {
        session(store, digest, "1").await;
    }
    delete(store, "1").await;
    let claim = async |now: i64| {
        let claimed = store.claim_deletion(at(now), at(now + 1)).await;
        claimed.expect("an answer").expect("a deletion")
    };
    for now in [50, 60] {
        let mut claimed = claim(now).await;
        claimed.ended.sort();
        assert_eq!(claimed.ended, ["s1", "s2"]);
        assert!(!claimed.is_announced);
        // The positions of other deletions do not matter.
        let moved = store.move_deletion(&user("1"), 7, at(now + 1)).await;
        moved.expect("moved");
    }
    let settled = store.settle_deletion(&user("1")).await;
    settled.expect("nobody is waited for");
    let announced = store.deletion_announced(&user("1")).await;
    announced.expect("stored");
    let claimed = claim(70).await;
    assert_eq!((claimed.is_announced, claimed.position), (true, 7));
    assert!(claimed.ended.is_empty(), "they are not kept for longer");
    delete(store, "2").await;
    let claimed = store.claim_deletion(at(70), at(80)).await;
    let claimed = claimed.expect("an answer").expect("a deletion");
    assert_eq!((claimed.user, claimed.is_announced), (user("2"), false));
    assert!(claimed.ended.is_empty());
}

/// The use cases check before: these writes have waited since.
pub async fn no_conversation_starts_with_a_deleted_account<
    S: Accounts + Messages + Groups + Blocks,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for id in ["1", "2", "3", "4"] {
        account(store, id, &format!("user{id}")).await;
    }
    put(store, "hosted", &["1", "2"]).await;
    let made = store.make_group(group("group", &["2", "3"])).await;
    made.expect("an answer").expect("a group");
    delete(store, "1").await;
    for (caller, other) in [("1", "3"), ("3", "1")] {
        let direct = store
            .ensure_direct(&user(caller), &user(other), conversation("no"), at(1))
            .await;
        assert_eq!(direct.expect("an answer"), None, "{caller} and {other}");
    }
    let there = store
        .ensure_direct(&user("2"), &user("1"), conversation("no"), at(1))
        .await;
    let (there, _) = there.expect("an answer").expect("the old one is found");
    assert_eq!(there.id, conversation("hosted"));
    for owner in ["1", "2"] {
        let mut new = group("no", &[owner, "3", "4"]);
        if owner == "2" {
            new.members = users(&["1", "2", "3"]);
        }
        let made = store.make_group(new).await;
        assert!(
            matches!(&made, Err(GroupError::Deleted(who)) if *who == user("1")),
            "{made:?}"
        );
    }
    for sender in ["2", ""] {
        let add = GroupAction::Add(users(&["4", "1"]));
        let added = store
            .change_group(change("add", "group", sender, add), None)
            .await;
        assert!(
            matches!(&added, Err(GroupError::Deleted(who)) if *who == user("1")),
            "{added:?}"
        );
    }
    assert_eq!(members(store, "group").await, ["2", "3"]);
    // The host application does not know of deletions: its writes succeed, and do not restore the
    // account.
    put(store, "group", &["1", "2", "3", "4"]).await;
    assert_eq!(members(store, "group").await, ["2", "3", "4"]);
    put(store, "new", &["1", "3", "4"]).await;
    assert_eq!(members(store, "new").await, ["3", "4"]);
    put(store, "hosted", &["1", "2"]).await;
    assert_eq!(
        members(store, "hosted").await,
        ["1", "2"],
        "the thread stays readable"
    );
    for (one, other) in [("1", "2"), ("2", "1")] {
        let blocked = store.block(&user(one), &user(other), 10, at(1)).await;
        assert_eq!(blocked.expect("an answer"), BlockOutcome::Deleted);
        let blocked = store.blocked_by(&user(one), None, 10).await;
        assert!(blocked.expect("a page").items.is_empty());
    }
    for place in ["no", "group"] {
        let seen = store.summary(&user("1"), &conversation(place)).await;
        assert!(seen.expect("an answer").is_none(), "{place}");
    }
}

pub async fn writes_that_waited_for_a_deletion_store_nothing<
    S: Accounts + Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    account(store, "1", "ada").await;
    account(store, "2", "lin").await;
    put(store, "c", &["1", "2"]).await;
    delete(store, "1").await;
    let archived = SettingsChange {
        archived: Some(true),
        ..SettingsChange::default()
    };
    let set = store
        .set_settings(&user("1"), &conversation("c"), archived)
        .await;
    assert!(!set.expect("an answer"));
    let hidden = PrivacyChange {
        hides_last_seen: Some(true),
        hides_reads: Some(true),
    };
    store
        .set_privacy(&user("1"), hidden, at(5))
        .await
        .expect("an answer");
    let chosen = StatusOverride {
        text: Some("on holiday".into()),
        ..StatusOverride::default()
    };
    store
        .set_status(&user("1"), chosen, at(6))
        .await
        .expect("an answer");
    let written = store
        .upsert_profile(named("1", "Ada"), ProfileSource::Host, at(7))
        .await;
    written.expect("an answer");
    let person = store.person(&user("1")).await.expect("an answer");
    let person = person.expect("a person");
    assert_eq!(&*person.profile.name, "");
    assert_eq!(person.status.chosen, StatusOverride::default());
    assert_eq!(person.status.privacy, Privacy::default());
    let late = NewSession {
        digest: "late".into(),
        user: user("1"),
        at: at(0),
        expires: at(1_000),
        network: None,
        most: 0,
        password_hash: Some("$of-1".into()),
    };
    let opened = store.open_session(late).await;
    assert!(opened.expect("an answer").is_none());
    let changed = store.set_password(&user("1"), "$of-1", "$new", None).await;
    assert!(changed.expect("an answer").is_none());
}

/// Whatever of it comes first.
pub async fn no_deleted_account_is_added_after_the_deletion_is_acknowledged<
    S: Accounts + Messages + Groups + Blocks,
>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    for round in 0..5 {
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        account(&**store, &one, &format!("one{round}")).await;
        account(&**store, &other, &format!("other{round}")).await;
        let third = format!("c{round}");
        let pair = [&*other, &third];
        for number in 0..10 {
            let made = store
                .make_group(group(&format!("g{round}-{number}"), &pair))
                .await;
            made.expect("an answer").expect("a group");
        }
        let adds = (0..20).map(|number| {
            let (store, one, other) = (store.clone(), one.clone(), other.clone());
            tokio::spawn(async move {
                let place = format!("g{round}-{}", number % 10);
                let new = conversation(&format!("d{round}-{number}"));
                if number < 10 {
                    let add = GroupAction::Add(vec![user(&one)]);
                    let write = change(&format!("add{round}-{number}"), &place, &other, add);
                    match store.change_group(write, None).await {
                        Ok(_) | Err(GroupError::Deleted(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                } else if number % 2 == 0 {
                    let (one, other) = (user(&one), user(&other));
                    let made = store.ensure_direct(&other, &one, new, at(1)).await;
                    made.expect("an answer");
                } else {
                    let id = format!("n{round}-{number}");
                    match store.make_group(group(&id, &[&one, &other])).await {
                        Ok(_) | Err(GroupError::Deleted(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        });
        let adds: Vec<_> = adds.collect();
        delete(&**store, &one).await;
        let left = store.shared_with(&user(&one)).await.expect("an answer");
        for add in join_all(adds).await {
            add.expect("a task");
        }
        let after = store.shared_with(&user(&one)).await.expect("an answer");
        assert_eq!(
            left.len(),
            after.len(),
            "somebody was added after the deletion"
        );
        // A conversation of two that was made just before takes no messages either.
        let there = store.direct(&user(&other), &user(&one)).await;
        if let Some(there) = there.expect("an answer") {
            let write = message(there.id.as_str(), &other, "hello?");
            assert!(is_forbidden(&**store, write).await);
        }
    }
}

pub async fn partners_delete_their_accounts_at_once<S: Accounts + Messages + Blocks>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    for round in 0..10 {
        let ids: Vec<String> = (0..4).map(|n| format!("p{round}-{n}")).collect();
        for id in &ids {
            account(&**store, id, &format!("user-{id}")).await;
        }
        for (n, one) in ids.iter().enumerate() {
            for other in &ids[n + 1..] {
                let place = format!("{one}-{other}");
                put(&**store, &place, &[one, other]).await;
                send(&**store, &place, one, "hello").await;
                for (by, whom) in [(one, other), (other, one)] {
                    let blocked = store.block(&user(by), &user(whom), 10, at(0)).await;
                    blocked.expect("a block");
                }
            }
        }
        let deleted = ids.iter().map(|id| {
            let (store, deletion) = (store.clone(), deletion(id, &format!("$of-{id}")));
            tokio::spawn(async move { store.delete(deletion).await })
        });
        for deleted in join_all(deleted.collect::<Vec<_>>()).await {
            let deleted = deleted.expect("a task").expect("an answer");
            assert!(deleted.is_some());
        }
        for (n, one) in ids.iter().enumerate() {
            for other in &ids[n + 1..] {
                let write = message(&format!("{one}-{other}"), one, "hello?");
                assert!(is_forbidden(&**store, write).await);
            }
        }
    }
}

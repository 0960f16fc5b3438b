//! The suite for the deletion of accounts: `Accounts`, on a store that is `Messages`, `Groups`, `Blocks`
//! and `Directory` too.

mod late;

pub use late::*;

use crate::setup::{act, put, send};
use crate::{Subject, at, conversation, message, named, user};
use futures_util::future::join_all;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::Profile;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::message::Content;
use lamplight_domain::presence::{ManualStatus, StatusOverride};
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{
    Account, Accounts, AppendError, Blocks, Directory, Messages, NewDeletion, NewSession,
    ProfileSource, Range,
};

/// Joins the suite: `deletions_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! deletions_suite {
    ($factory:path) => {
        $crate::suite!(
            deletions,
            $factory,
            [
                a_deleted_account_leaves_a_nameless_profile_for_good,
                another_password_deletes_nothing,
                writes_to_a_deleted_account_are_refused,
                nothing_is_stored_after_a_deletion_is_acknowledged,
                a_deletion_is_one_process_at_a_time_until_it_is_finished,
                a_users_messages_are_erased_in_all_conversations,
                the_groups_of_a_user_are_found,
                ended_sessions_are_stored_until_the_deletion_is_announced,
                no_conversation_starts_with_a_deleted_account,
                writes_that_waited_for_a_deletion_store_nothing,
                no_deleted_account_is_added_after_the_deletion_is_acknowledged,
                partners_delete_their_accounts_at_once,
            ]
        );
    };
}

pub(crate) async fn account<S: Accounts>(store: &S, id: &str, username: &str) {
    let account = Account {
        user: user(id),
        password_hash: format!("$of-{id}"),
    };
    let made = store
        .create(username, account, named(id, username), at(0))
        .await;
    assert!(made.expect("an answer"), "{username}");
}

fn deletion(id: &str, hash: &str) -> NewDeletion {
    NewDeletion {
        user: user(id),
        password_hash: hash.to_owned(),
        erases_messages: true,
        at: at(10),
    }
}

pub(crate) async fn delete<S: Accounts>(store: &S, id: &str) -> Vec<String> {
    let deleted = store.delete(deletion(id, &format!("$of-{id}"))).await;
    deleted.expect("an answer").expect("deleted")
}

async fn session<S: Accounts>(store: &S, digest: &str, id: &str) {
    let new = NewSession {
        digest: digest.to_owned(),
        user: user(id),
        at: at(0),
        expires: at(1_000),
        network: None,
        most: 0,
        password_hash: None,
    };
    store.open_session(new).await.expect("a session");
}

async fn is_forbidden<S: Messages>(store: &S, entry: NewEntry) -> bool {
    match store.append(entry, None).await {
        Ok(_) => false,
        Err(AppendError::Forbidden) => true,
        Err(error) => panic!("{error:?}"),
    }
}

/// The texts of a log as a member sees it, `None` for deleted messages.
async fn texts<S: Messages>(store: &S, who: &str, place: &str) -> Vec<Option<String>> {
    let page = store
        .messages(&user(who), &conversation(place), Range::Newest, 100)
        .await;
    let page = page.expect("an answer").expect("a log");
    let text = |one: &lamplight_domain::fold::Message| {
        (one.deleted_at.is_none()).then(|| one.content().to_owned())
    };
    page.messages.iter().map(text).collect()
}

pub async fn a_deleted_account_leaves_a_nameless_profile_for_good<
    S: Accounts + Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for (id, username) in [("1", "ada"), ("2", "lin"), ("3", "zoe")] {
        account(store, id, username).await;
        session(store, &format!("s{id}"), id).await;
    }
    session(store, "s1b", "1").await;
    put(store, "c", &["1", "2"]).await;
    let archived = SettingsChange {
        archived: Some(true),
        ..SettingsChange::default()
    };
    let set = store
        .set_settings(&user("1"), &conversation("c"), archived)
        .await;
    set.expect("settings");
    for (who, whom) in [("1", "3"), ("3", "1"), ("3", "2")] {
        let blocked = store.block(&user(who), &user(whom), 100, at(0)).await;
        blocked.expect("a block");
    }
    let chosen = StatusOverride {
        status: ManualStatus::Busy,
        text: Some("on holiday".into()),
        until: None,
    };
    let set = store.set_status(&user("1"), chosen, at(1)).await;
    set.expect("a status");
    store.seen(vec![(user("1"), at(2))]).await.expect("seen");

    let mut ended = delete(store, "1").await;
    ended.sort();
    assert_eq!(ended, ["s1", "s1b"]);
    let is_nameless = async || {
        let person = store.person(&user("1")).await.expect("an answer");
        let person = person.expect("a person");
        assert_eq!(person.profile, Profile::deleted(user("1")));
        assert_eq!(person.status.chosen, StatusOverride::default());
        assert_eq!(person.last_seen, None);
    };
    is_nameless().await;
    assert!(store.find("ada").await.expect("an answer").is_none());
    let of = store.account_of(&user("1")).await.expect("an answer");
    assert!(of.is_none());
    let left = store.session("s1", at(0)).await.expect("an answer");
    assert!(left.is_none());
    let other = store.session("s2", at(0)).await.expect("an answer");
    assert!(other.is_some());
    for query in ["", "ada", "1"] {
        let found = store.search(query, None, 10).await.expect("a page");
        let ids = found.items.iter().map(|one| one.id.as_str());
        assert!(!ids.collect::<Vec<_>>().contains(&"1"), "{query:?}");
    }
    let asked = [user("1"), user("2")];
    let unknown = store.unknown(&asked).await.expect("an answer");
    assert_eq!(unknown, [user("1")]);
    let blocked = async |who: &str| {
        let page = store.blocked_by(&user(who), None, 10).await;
        let items = page.expect("a page").items;
        let ids = items.iter().map(|one| one.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert!(blocked("1").await.is_empty());
    assert_eq!(blocked("3").await, ["2"]);

    // No write restores the name or a time.
    for source in [
        ProfileSource::Nobody,
        ProfileSource::Claims,
        ProfileSource::Host,
    ] {
        let written = store
            .upsert_profile(named("1", "Ada again"), source, at(20))
            .await;
        written.expect("an answer");
    }
    let claims = store.upsert_claims(named("1", "Ada"), at(21), at(21)).await;
    claims.expect("an answer");
    store.seen(vec![(user("1"), at(22))]).await.expect("seen");
    is_nameless().await;
    assert!(
        store
            .delete(deletion("1", "$of-1"))
            .await
            .expect("an answer")
            .is_none(),
        "it is deleted already"
    );
    let members = store.details(&conversation("c")).await.expect("an answer");
    let members = members.expect("details").members;
    assert_eq!(members[0], Profile::deleted(user("1")));
    assert_eq!(&*members[1].name, "lin");
    // The name is free for another user.
    account(store, "4", "ADA").await;
    let found = store.find("ada").await.expect("an answer");
    assert_eq!(found.expect("an account").user, user("4"));
    is_nameless().await;
}

pub async fn another_password_deletes_nothing<S: Accounts + Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    account(store, "1", "ada").await;
    session(store, "s", "1").await;
    store
        .upsert_profile(named("2", "Guest"), ProfileSource::Claims, at(0))
        .await
        .expect("a person");
    for (id, hash) in [("1", "$other"), ("2", "$of-2"), ("nobody", "$of-nobody")] {
        let deleted = store.delete(deletion(id, hash)).await.expect("an answer");
        assert!(deleted.is_none(), "{id}");
    }
    assert!(store.find("ada").await.expect("an answer").is_some());
    let left = store.session("s", at(0)).await.expect("an answer");
    assert!(left.is_some());
    let left = store.claim_deletion(at(100), at(200)).await;
    assert!(left.expect("an answer").is_none());
}

/// In direct conversations of any origin, cached or not.
pub async fn writes_to_a_deleted_account_are_refused<
    S: Accounts + Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for id in ["1", "2", "3"] {
        account(store, id, &format!("user{id}")).await;
    }
    let opened = store
        .ensure_direct(&user("1"), &user("2"), conversation("direct"), at(0))
        .await;
    opened.expect("a conversation");
    put(store, "host", &["1", "2"]).await;
    put(store, "group", &["1", "2", "3"]).await;
    put(store, "other", &["2", "3"]).await;
    let mut own = Vec::new();
    for place in ["direct", "host"] {
        send(store, place, "1", "hello").await;
        own.push((place, send(store, place, "2", "hello too").await));
    }
    delete(store, "1").await;
    for (place, message_id) in &own {
        for who in ["1", "2"] {
            let write = message(place, who, "hello?");
            assert!(is_forbidden(store, write).await, "{who} in {place}");
        }
        let edit = MessageAction::Edit {
            content: Content::trusted("edited"),
            mentions: Vec::new(),
        };
        assert!(is_forbidden(store, act(place, "2", message_id, edit)).await);
        assert_eq!(
            texts(store, "2", place).await,
            [Some("hello".into()), Some("hello too".into())],
            "the thread stays readable"
        );
        let own = act(place, "2", message_id, MessageAction::Delete);
        assert!(!is_forbidden(store, own).await);
    }
    for (place, who) in [("group", "2"), ("other", "2"), ("other", "3")] {
        let write = message(place, who, "hello");
        assert!(!is_forbidden(store, write).await, "{who} in {place}");
    }
}

pub async fn nothing_is_stored_after_a_deletion_is_acknowledged<
    S: Accounts + Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    for round in 0..5 {
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        account(&**store, &one, &format!("one{round}")).await;
        let place = conversation(&format!("c{round}"));
        let opened = store
            .ensure_direct(&user(&one), &user(&other), place.clone(), at(0))
            .await;
        opened.expect("a conversation");
        let sends: Vec<_> = (0..40)
            .map(|_| {
                let (store, place, sender) = (store.clone(), place.clone(), other.clone());
                tokio::spawn(async move {
                    let sent = store.append(message(place.as_str(), &sender, "hello"), None);
                    match sent.await {
                        Ok(_) => true,
                        Err(AppendError::Forbidden) => false,
                        Err(error) => panic!("{error:?}"),
                    }
                })
            })
            .collect();
        delete(&**store, &one).await;
        let after = texts(&**store, &other, place.as_str()).await.len();
        let stored = join_all(sends).await.into_iter();
        let stored = stored
            .filter(|sent| *sent.as_ref().expect("a task"))
            .count();
        assert_eq!(stored, after);
        assert_eq!(texts(&**store, &other, place.as_str()).await.len(), after);
    }
}

pub async fn a_deletion_is_one_process_at_a_time_until_it_is_finished<
    S: Accounts + Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    account(store, "1", "ada").await;
    account(store, "2", "lin").await;
    let claim = async |now: i64, until: i64| {
        let claimed = store.claim_deletion(at(now), at(until)).await;
        claimed.expect("an answer")
    };
    assert_eq!(claim(50, 60).await, None);
    delete(store, "1").await;
    let first = claim(50, 60).await.expect("a deletion");
    assert_eq!((&first.user, first.position), (&user("1"), 0));
    assert!(first.erases_messages);
    assert_eq!(claim(59, 70).await, None, "somebody works at it");
    let again = claim(60, 70).await.expect("the claim is over");
    assert_eq!(again, first);
    let moved = store.move_deletion(&user("1"), 7, at(80)).await;
    moved.expect("moved");
    assert_eq!(claim(79, 90).await, None, "the claim was renewed");
    let moved = store.move_deletion(&user("1"), 5, at(80)).await;
    moved.expect("moved");
    let later = claim(80, 90).await.expect("the claim is over");
    assert_eq!(later.position, 7, "it never decreases");
    delete(store, "2").await;
    assert_eq!(claim(81, 90).await.expect("another").user, user("2"));
    for id in ["1", "2", "2", "nobody"] {
        store.finish_deletion(&user(id)).await.expect("finished");
    }
    assert_eq!(claim(1_000, 2_000).await, None);
}

/// Also from where they had left, and what came before they came back.
pub async fn a_users_messages_are_erased_in_all_conversations<
    S: Accounts + Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for id in ["1", "2", "3"] {
        account(store, id, &format!("user{id}")).await;
    }
    put(store, "direct", &["1", "2"]).await;
    put(store, "group", &["1", "2", "3"]).await;
    put(store, "left", &["1", "2", "3"]).await;
    for place in ["direct", "group", "left"] {
        let first = send(store, place, "1", "one").await;
        send(store, place, "2", "of another").await;
        let edit = MessageAction::Edit {
            content: Content::trusted("one, edited"),
            mentions: Vec::new(),
        };
        let edited = store.append(act(place, "1", &first, edit), None).await;
        edited.expect("an edit");
        let gone = send(store, place, "1", "two").await;
        let deleted = act(place, "1", &gone, MessageAction::Delete);
        store.append(deleted, None).await.expect("a deletion");
        send(store, place, "1", "three").await;
    }
    put(store, "left", &["2", "3"]).await;
    delete(store, "1").await;

    let (mut position, mut found) = (0, Vec::new());
    loop {
        let part = store.authored(&user("1"), position, 4).await;
        let part = part.expect("a part");
        assert!(part.messages.len() <= 4);
        found.extend(part.messages);
        match part.position {
            Some(last) => position = last,
            None => break,
        }
    }
    assert_eq!(found.len(), 6, "{found:?}");
    for (place, id) in &found {
        for _ in 0..2 {
            let deletion = act(place.as_str(), "1", id, MessageAction::Delete);
            store.erase(deletion).await.expect("erased");
        }
    }
    for (place, deleted) in [("direct", 3), ("group", 3), ("left", 3)] {
        let left = texts(store, "2", place).await;
        assert_eq!(left.iter().filter(|one| one.is_none()).count(), deleted);
        let kept: Vec<&str> = left.iter().flatten().map(String::as_str).collect();
        assert_eq!(kept, ["of another"], "{place}");
        let log = store
            .history(&user("2"), &conversation(place), Range::Newest, 100)
            .await;
        let log = format!("{:?}", log.expect("an answer").expect("a log"));
        for text in ["one, edited", "\"one\"", "\"three\""] {
            assert!(!log.contains(text), "{text} is left in {place}: {log}");
        }
    }
    let again = store.authored(&user("1"), 0, 1_000).await;
    assert!(again.expect("a part").messages.is_empty());
    // Messages of others are not erased.
    let page = store
        .messages(&user("2"), &conversation("group"), Range::Newest, 10)
        .await;
    let page = page.expect("an answer").expect("a log");
    let kept = page.messages.iter().find(|one| one.deleted_at.is_none());
    let kept = kept.expect("a message").entry.id.clone();
    let refused = act("group", "1", &kept, MessageAction::Delete);
    assert!(store.erase(refused).await.is_err());
}

pub async fn the_groups_of_a_user_are_found<S: Accounts + Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "direct", &["1", "2"]).await;
    put(store, "b", &["1", "2", "3"]).await;
    put(store, "c", &["1", "2", "3"]).await;
    put(store, "shrunk", &["1", "2", "3"]).await;
    put(store, "shrunk", &["1", "2"]).await;
    put(store, "others", &["2", "3", "4"]).await;
    let groups = async |id: &str, limit: usize| {
        let found = store.groups_of(&user(id), limit).await.expect("an answer");
        let found = found.iter().map(|one| one.as_str().to_owned());
        found.collect::<Vec<_>>()
    };
    assert_eq!(groups("1", 10).await, ["b", "c", "shrunk"]);
    assert_eq!(groups("1", 2).await, ["b", "c"]);
    assert!(groups("nobody", 10).await.is_empty());
}

//! The suite for `Blocks`, on a store that is `Messages` and `Directory` too.

use crate::setup::{act, put};
use crate::{Subject, at, client_id, conversation, message, named, user};
use futures_util::future::join_all;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::{ConversationId, MessageId};
use lamplight_domain::message::Content;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{
    AppendError, BlockOutcome, BlockState, BlockedBy, Blocks, Directory, Messages, ProfileSource,
    Range, StoreError,
};

/// Joins the suite: `blocks_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! blocks_suite {
    ($factory:path) => {
        $crate::suite!(
            blocks,
            $factory,
            [
                m15_a_block_refuses_every_write_of_either_but_own_deletions,
                m1_a_repetition_is_recognised_before_a_block_refuses,
                a_block_holds_in_every_conversation_of_the_two_and_in_no_other,
                a_group_that_shrinks_to_two_ignores_blocks,
                the_state_of_a_conversation_is_that_of_its_two_people,
                p11_marks_stand_still_for_the_other_while_blocked,
                m15_nothing_is_stored_after_a_block_is_acknowledged,
                blocks_are_listed_by_name_in_pages,
                blocks_are_repeatable_and_limited,
                between_finds_blocks_of_both_sides,
                p11_blockers_of_users_are_listed,
            ]
        );
    };
}

async fn block<S: Blocks>(store: &S, who: &str, whom: &str) {
    let outcome = store.block(&user(who), &user(whom), 100, at(0)).await;
    assert_eq!(outcome.expect("an answer"), BlockOutcome::Blocked);
}

async fn unblock<S: Blocks>(store: &S, who: &str, whom: &str) {
    let ended = store.unblock(&user(who), &user(whom)).await;
    ended.expect("an answer");
}

async fn direct<S: Messages>(store: &S, id: &str, one: &str, other: &str) {
    store
        .ensure_direct(&user(one), &user(other), conversation(id), at(0))
        .await
        .expect("an answer")
        .expect("a conversation");
}

async fn send<S: Messages>(store: &S, place: &str, sender: &str) -> MessageId {
    let sent = store.append(message(place, sender, "hello"), None).await;
    sent.expect("a message").entry.id.clone()
}

async fn is_forbidden<S: Messages>(store: &S, entry: NewEntry) -> bool {
    match store.append(entry, None).await {
        Ok(appended) => {
            assert!(!appended.duplicate);
            false
        }
        Err(AppendError::Forbidden) => true,
        Err(error) => panic!("{error:?}"),
    }
}

async fn head<S: Messages>(store: &S, who: &str, place: &str) -> u64 {
    let page = store
        .history(&user(who), &conversation(place), Range::Newest, 1)
        .await;
    let page = page.expect("an answer").expect("a log");
    page.entries.last().map_or(0, |entry| entry.seq)
}

pub async fn m15_a_block_refuses_every_write_of_either_but_own_deletions<
    S: Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    direct(store, "c", "a", "b").await;
    let of_a = send(store, "c", "a").await;
    let of_b = send(store, "c", "b").await;
    block(store, "a", "b").await;
    for (who, own, other) in [("a", &of_a, &of_b), ("b", &of_b, &of_a)] {
        let react = MessageAction::React {
            emoji: Emoji::trusted("👍"),
            added: true,
        };
        let edit = MessageAction::Edit {
            content: Content::trusted("edited"),
            mentions: Vec::new(),
        };
        for write in [
            message("c", who, "hello?"),
            act("c", who, own, edit),
            act("c", who, other, react.clone()),
            act("c", who, own, react),
            act("c", who, other, MessageAction::Pin { pinned: true }),
            // The block is checked before the validity of a write.
            act(
                "c",
                who,
                &MessageId::trusted("none"),
                MessageAction::Pin { pinned: true },
            ),
        ] {
            let shown = format!("{write:?}");
            assert!(is_forbidden(store, write).await, "{shown}");
        }
    }
    let stranger = store.append(message("c", "x", "hello"), None).await;
    assert!(
        matches!(stranger, Err(AppendError::NotFound)),
        "{stranger:?}"
    );
    assert_eq!(head(store, "a", "c").await, 2, "nothing was stored");
    for (who, own) in [("a", &of_a), ("b", &of_b)] {
        let deletion = act("c", who, own, MessageAction::Delete);
        assert!(!is_forbidden(store, deletion).await, "{who}");
    }
    unblock(store, "a", "b").await;
    assert!(!is_forbidden(store, message("c", "b", "back")).await);
    assert!(!is_forbidden(store, message("c", "a", "back")).await);
    assert_eq!(subject.events.exactly(6).await.len(), 6);
}

pub async fn m1_a_repetition_is_recognised_before_a_block_refuses<
    S: Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    direct(store, "c", "a", "b").await;
    let first = NewEntry {
        key: client_id("one"),
        ..message("c", "b", "hello")
    };
    let sent = store.append(first.clone(), None).await.expect("a message");
    block(store, "a", "b").await;
    let again = NewEntry {
        id: MessageId::trusted("another"),
        ..first
    };
    let again = store.append(again, None).await.expect("a repetition");
    assert!(again.duplicate);
    assert_eq!(again.entry, sent.entry);
    let other = NewEntry {
        key: client_id("one"),
        ..message("c", "b", "other")
    };
    let conflict = store.append(other, None).await;
    assert!(
        matches!(conflict, Err(AppendError::Conflict)),
        "{conflict:?}"
    );
}

/// For a conversation created before or after the block, by either user or the host.
pub async fn a_block_holds_in_every_conversation_of_the_two_and_in_no_other<
    S: Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    direct(store, "c", "a", "b").await;
    put(store, "host", &["a", "b"]).await;
    put(store, "group", &["a", "b", "d"]).await;
    direct(store, "other", "a", "d").await;
    for place in ["c", "host", "group", "other"] {
        send(store, place, "a").await;
    }
    block(store, "b", "a").await;
    put(store, "later", &["a", "b"]).await;
    for place in ["c", "host", "later"] {
        for who in ["a", "b"] {
            let write = message(place, who, "hello?");
            assert!(is_forbidden(store, write).await, "{who} in {place}");
        }
    }
    for (place, who) in [
        ("group", "a"),
        ("group", "b"),
        ("other", "a"),
        ("other", "d"),
    ] {
        let write = message(place, who, "hello");
        assert!(!is_forbidden(store, write).await, "{who} in {place}");
    }
    // The other side blocks too, and one block is enough.
    block(store, "a", "b").await;
    unblock(store, "b", "a").await;
    assert!(is_forbidden(store, message("c", "b", "hello?")).await);
    unblock(store, "a", "b").await;
    for place in ["c", "host", "later"] {
        assert!(
            !is_forbidden(store, message(place, "b", "hello")).await,
            "{place}"
        );
    }
}

/// Reading moves one's own mark, and nothing that the other sees.
pub async fn p11_marks_stand_still_for_the_other_while_blocked<S: Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let id = conversation("c");
    direct(store, "c", "a", "b").await;
    send(store, "c", "a").await;
    send(store, "c", "a").await;
    block(store, "a", "b").await;
    let seen = async |of: &'static str| {
        let have = [(id.clone(), 0).into()];
        let pages = store.sync(&user("a"), &have, 10).await.expect("pages");
        let page = pages.into_iter().next().flatten().expect("a page");
        let mut receipts = page.receipts.into_iter();
        let receipt = receipts.find(|receipt| receipt.user == user(of));
        let receipt = receipt.expect("a receipt");
        (receipt.delivered_seq, receipt.read_seq)
    };
    let delivered = vec![(id.clone(), user("b"), 2)];
    let moved = store.mark_delivered(delivered, at(1)).await;
    assert!(moved.expect("an answer").is_empty());
    let read = store.mark_read(&user("b"), &id, 2, at(1)).await;
    let read = read.expect("an answer").expect("a member");
    assert!(read.moved && !read.is_visible);
    assert_eq!(read.read_seq, 2);
    assert_eq!(seen("b").await, (0, 0));
    unblock(store, "a", "b").await;
    let read = store.mark_read(&user("b"), &id, 2, at(1)).await;
    assert!(read.expect("an answer").expect("a member").is_visible);
    assert_eq!(seen("b").await, (2, 2));
}

/// Sends race with the block; the log ends where it was when the block was acknowledged.
pub async fn m15_nothing_is_stored_after_a_block_is_acknowledged<
    S: Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    for round in 0..5 {
        let id: ConversationId = conversation(&format!("c{round}"));
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        direct(&**store, id.as_str(), &one, &other).await;
        let sends: Vec<_> = (0..40)
            .map(|number| {
                let (store, place, sender) = (store.clone(), id.clone(), other.clone());
                tokio::spawn(async move {
                    if number >= 20 {
                        tokio::task::yield_now().await;
                    }
                    let sent = store.append(message(place.as_str(), &sender, "hello"), None);
                    match sent.await {
                        Ok(_) => true,
                        Err(AppendError::Forbidden) => false,
                        Err(error) => panic!("{error:?}"),
                    }
                })
            })
            .collect();
        block(&**store, &one, &other).await;
        let after = head(&**store, &one, id.as_str()).await;
        let stored = join_all(sends).await.into_iter();
        let stored = stored
            .filter(|sent| *sent.as_ref().expect("a task"))
            .count();
        assert_eq!(head(&**store, &one, id.as_str()).await, after);
        assert_eq!(stored as u64, after);
        assert!(is_forbidden(&**store, message(id.as_str(), &other, "late")).await);
    }
}

pub async fn blocks_are_listed_by_name_in_pages<S: Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for (id, name) in [
        ("1", "Eve"),
        ("2", "ada"),
        ("3", "Bob"),
        ("4", "Ada"),
        ("5", "Zoe"),
    ] {
        let profile = store.upsert_profile(named(id, name), ProfileSource::Nobody, at(0));
        profile.await.expect("a profile");
        if id != "5" {
            block(store, "a", id).await;
        }
    }
    block(store, "5", "a").await;
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.blocked_by(&user("a"), cursor.as_deref(), 2).await;
        let page = page.expect("a page");
        assert!(page.items.len() <= 2);
        names.extend(page.items.iter().map(|one| one.name.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["ada", "Ada", "Bob", "Eve"]);
    let nobody = store.blocked_by(&user("nobody"), None, 10).await;
    assert!(nobody.expect("a page").items.is_empty());
    for bad in ["x", "not a cursor!"] {
        let page = store.blocked_by(&user("a"), Some(bad), 2).await;
        assert!(matches!(page, Err(StoreError::BadCursor)), "{bad}");
    }
}

pub async fn blocks_are_repeatable_and_limited<S: Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let limited = async |whom: &'static str| {
        let outcome = store.block(&user("a"), &user(whom), 2, at(0)).await;
        outcome.expect("an answer")
    };
    assert_eq!(limited("b").await, BlockOutcome::Blocked);
    assert_eq!(limited("c").await, BlockOutcome::Blocked);
    assert_eq!(limited("d").await, BlockOutcome::TooMany);
    assert_eq!(limited("b").await, BlockOutcome::Blocked);
    let page = store
        .blocked_by(&user("a"), None, 10)
        .await
        .expect("a page");
    let ids: Vec<&str> = page.items.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["b", "c"], "unknown users have bare profiles");
    unblock(store, "a", "b").await;
    unblock(store, "a", "b").await;
    unblock(store, "a", "nobody").await;
    assert_eq!(limited("d").await, BlockOutcome::Blocked);
}

pub async fn between_finds_blocks_of_both_sides<S: Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    block(store, "a", "b").await;
    block(store, "c", "a").await;
    block(store, "a", "d").await;
    block(store, "d", "a").await;
    block(store, "e", "f").await;
    let asked = ["d", "f", "b", "a", "e", "nobody", "c"].map(user);
    let found = store.between(&user("a"), &asked).await.expect("an answer");
    assert_eq!(found, ["b", "c", "d"].map(user));
    let found = store.between(&user("nobody"), &asked).await;
    assert!(found.expect("an answer").is_empty());
}

pub async fn p11_blockers_of_users_are_listed<S: Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for (who, whom, time) in [("a", "b", 1), ("c", "b", 2), ("b", "a", 3), ("a", "d", 4)] {
        let outcome = store.block(&user(who), &user(whom), 100, at(time)).await;
        assert_eq!(outcome.expect("an answer"), BlockOutcome::Blocked);
    }
    let asked = ["b", "c", "d", "nobody"].map(user);
    let known = async || {
        let mut found = store.blockers_of(&asked).await.expect("an answer");
        found.sort_by_key(|one| (one.blocked.clone(), one.by.clone()));
        found
    };
    let one = |blocked: &str, by: &str, time| BlockedBy {
        blocked: user(blocked),
        by: user(by),
        since: at(time),
    };
    assert_eq!(
        known().await,
        [one("b", "a", 1), one("b", "c", 2), one("d", "a", 4)]
    );
    unblock(store, "a", "b").await;
    assert_eq!(known().await, [one("b", "c", 2), one("d", "a", 4)]);
}

pub async fn the_state_of_a_conversation_is_that_of_its_two_people<
    S: Messages + Blocks + Directory,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    direct(store, "ab", "a", "b").await;
    direct(store, "ac", "a", "c").await;
    put(store, "hosted", &["a", "b"]).await;
    put(store, "three", &["a", "b", "c"]).await;
    put(store, "shrunk", &["a", "b", "c"]).await;
    put(store, "shrunk", &["a", "b"]).await;
    put(store, "alone", &["a"]).await;
    let places = ["ab", "ac", "hosted", "three", "shrunk", "alone", "unknown"];
    let states = async |who: &str| {
        let mut states = Vec::new();
        for place in places {
            let state = store.block_state(&user(who), &conversation(place)).await;
            states.push(state.expect("an answer"));
        }
        states
    };
    let none = [BlockState::Group; 4];
    let all = |ab, ac, hosted| [[ab, ac, hosted].as_slice(), &none].concat();
    let (open, blocked) = (BlockState::Open, BlockState::Blocked);
    assert_eq!(states("a").await, all(open, open, open));
    assert_eq!(states("b").await, all(open, BlockState::Group, open));
    for (by, whom) in [("a", "b"), ("b", "a")] {
        block(store, by, whom).await;
        assert_eq!(states("a").await, all(blocked, open, blocked));
        assert_eq!(states("b").await, all(blocked, BlockState::Group, blocked));
        unblock(store, by, whom).await;
    }
    assert_eq!(states("a").await, all(open, open, open));
    assert_eq!(states("nobody").await, [BlockState::Group; 7]);
}

pub async fn a_group_that_shrinks_to_two_ignores_blocks<S: Messages + Blocks + Directory>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "g", &["a", "b", "c"]).await;
    put(store, "g", &["a", "b"]).await;
    // Before the block and after it: what a store remembers of the conversation changes with it.
    for round in ["one", "two"] {
        for by in ["a", "b"] {
            let sent = store.append(message("g", by, round), None).await;
            assert!(sent.is_ok(), "{round} by {by}: {sent:?}");
        }
        block(store, "a", "b").await;
    }
}

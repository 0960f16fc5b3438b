//! Groups and blocks between their members.

use super::{add, change, done, keyed, make, new_group, write};
use crate::{Subject, at, conversation, user};
use lamplight_domain::group::{History, NewGroup};
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::{BlockOutcome, Blocks, GroupError, Groups, Messages};

async fn block<S: Blocks>(store: &S, who: &str, whom: &str) {
    let outcome = store.block(&user(who), &user(whom), 100, at(0)).await;
    assert_eq!(outcome.expect("an answer"), BlockOutcome::Blocked);
}

fn blocked<T: std::fmt::Debug>(outcome: Result<T, GroupError>) -> UserId {
    match outcome {
        Err(GroupError::Blocked(user)) => user,
        other => panic!("refused by a block, not {other:?}"),
    }
}

/// Neither of the two can add the other one, in any role. The host application can.
pub async fn m15_a_block_prevents_an_addition<S: Messages + Groups + Blocks>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["a", "c"], History::Joined).await;
    make(store, "h", &["b", "c"], History::Joined).await;
    block(store, "b", "a").await;
    assert_eq!(
        blocked(change(store, "g", "a", add(&["d", "b"])).await),
        user("b")
    );
    assert_eq!(
        blocked(change(store, "h", "b", add(&["a"])).await),
        user("a")
    );
    let new = |id, members| new_group(id, members, History::Joined);
    assert_eq!(
        blocked(store.make_group(new("i", &["a", "b", "c"])).await),
        user("b")
    );
    assert_eq!(
        blocked(store.make_group(new("i", &["b", "a"])).await),
        user("a")
    );
    let found = store.conversation(&user("a"), &conversation("i")).await;
    assert!(found.expect("an answer").is_none());
    // Others may have both of them in a group.
    done(store, "g", "a", add(&["d"])).await;
    make(store, "j", &["c", "a", "b"], History::Joined).await;
    done(store, "h", UserId::host().as_str(), add(&["a"])).await;
    // The refusal of a non-member reveals nothing about blocks.
    let stranger = change(store, "g", "b", add(&["a"])).await;
    assert!(
        matches!(stranger, Err(GroupError::NotFound)),
        "{stranger:?}"
    );
}

/// A retry is answered as the first try would have been.
pub async fn m1_a_repetition_of_an_add_is_recognised_before_a_block_refuses<
    S: Messages + Groups + Blocks,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let new = |id| NewGroup {
        client_id: Some("mine".into()),
        ..new_group(id, &["a", "b"], History::Joined)
    };
    let made = store.make_group(new("g")).await.expect("an answer");
    let adding = || store.change_group(keyed("k", write("g", "a", add(&["c"]))), None);
    let added = adding().await.expect("a change");
    block(store, "b", "a").await;
    block(store, "a", "c").await;
    let again = store.make_group(new("h")).await.expect("an answer");
    let id = |made: &Option<(lamplight_domain::conversation::Conversation, bool)>| {
        made.as_ref().map(|(found, _)| found.id.clone())
    };
    assert_eq!(id(&again), id(&made));
    let repeated = adding().await.expect("the change of before");
    assert!(repeated.duplicate);
    assert_eq!(repeated.entry, added.entry);
}

/// A blocked user cannot add the blocker to a group.
pub async fn m15_no_blocked_user_is_added_after_the_block_is_acknowledged<
    S: Messages + Groups + Blocks,
>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    for round in 0..10 {
        let (id, one, other) = (
            format!("g{round}"),
            format!("a{round}"),
            format!("b{round}"),
        );
        make(&**store, &id, &[&one, "c"], History::Joined).await;
        let adding = tokio::spawn({
            let (store, id, one, other) = (store.clone(), id.clone(), one.clone(), other.clone());
            async move {
                if round % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                change(&*store, &id, &one, add(&[&other])).await
            }
        });
        block(&**store, &other, &one).await;
        let is_in = async || {
            let found = store.conversation(&user(&other), &conversation(&id)).await;
            found.expect("an answer").is_some()
        };
        let was_in = is_in().await;
        match adding.await.expect("no panic") {
            Ok(_) => assert!(was_in, "added after the block"),
            outcome => assert_eq!(blocked(outcome), user(&other)),
        }
        assert_eq!(is_in().await, was_in);
    }
}

//! Deletions of accounts that another node began.

use crate::accounts::{login, register, signed_in, signed_out};
use crate::support::*;
use lamplight_domain::event::Event;
use lamplight_domain::identity::Profile;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::Identity;
use lamplight_usecases::ports::{Accounts as _, Messages as _, NewDeletion};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Deletes an account like a node that stops right after the commit. Returns the user, and the digests of both sessions.
async fn deleted(app: &TestApp) -> (String, HashSet<(String, String)>) {
    let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
    let (_, other) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
    let (ben, _) = signed_in(app.ask(&anonymous(), register("ben", "franklin1")).await);
    let place = conversation("c");
    let members = [user(&id), user(&ben)];
    let put = app.store.put_conversation(&place, &members, app.now());
    put.await.expect("a conversation");
    app.wait_for_changes(1).await;
    let account = app.store.account_of(&user(&id)).await.expect("an answer");
    let deletion = NewDeletion {
        user: user(&id),
        password_hash: account.expect("an account").1.password_hash,
        erases_messages: true,
        at: app.now(),
    };
    let ended = app.store.delete(deletion).await.expect("an answer");
    assert_eq!(ended.expect("deleted").len(), 2);
    let digests = [token, other].map(|token| (id.clone(), app.handler.digest(&token)));
    (id, digests.into_iter().collect())
}

fn ends(app: &TestApp) -> HashSet<(String, String)> {
    signed_out(app).into_iter().collect()
}

/// How many changes of the conversation were published to its members.
fn changes(app: &TestApp) -> usize {
    let is_change = |event: &Event| {
        matches!(event, Event::ConversationChanged { conversation, to }
            if conversation.as_str() == "c" && to.len() == 2)
    };
    app.events().iter().filter(|event| is_change(event)).count()
}

usecase_tests! {
    async fn h11_a_node_that_resumes_a_deletion_announces_it() {
        let app = TestApp::new(Identity::Local);
        let (id, digests) = deleted(&app).await;
        let before = changes(&app);
        assert!(ends(&app).is_empty());
        app.handler.finish_deletions().await.expect("finished");
        assert_eq!(ends(&app), digests);
        assert_eq!(changes(&app), before + 1);
        let found = app.handler.finish_deletions().await;
        found.expect("nothing is left");
        assert_eq!(changes(&app), before + 1);
        let found = app.store.claim_deletion(Timestamp(i64::MAX), Timestamp(i64::MAX)).await;
        assert_eq!(found.expect("an answer"), None);
        let person = lamplight_usecases::ports::Directory::person(&*app.store, &user(&id)).await;
        assert_eq!(person.expect("an answer").expect("a person").profile, Profile::deleted(user(&id)));
    }

    async fn a_deletion_is_announced_until_other_nodes_have_it_and_not_again() {
        let app = TestApp::new(Identity::Local);
        let (id, digests) = deleted(&app).await;
        let before = changes(&app);
        app.hub.is_cut_off.store(true, Ordering::Relaxed);
        app.handler.finish_deletions().await.expect_err("other nodes may not have it");
        assert_eq!(ends(&app), digests);
        let after = changes(&app);
        assert!(after > before);
        app.handler.finish_deletions().await.expect("another node works on it");
        assert_eq!(changes(&app), after);
        app.pass(Duration::from_secs(11));
        app.hub.is_cut_off.store(false, Ordering::Relaxed);
        app.handler.finish_deletions().await.expect("finished");
        assert_eq!(changes(&app), after + 1);

        // An announced deletion is not announced again when other steps are repeated.
        let app = TestApp::new(Identity::Local);
        let (other, _) = deleted(&app).await;
        assert_ne!(id, "");
        let before = changes(&app);
        app.store.deletion_announced(&user(&other)).await.expect("stored");
        app.handler.finish_deletions().await.expect("finished");
        assert_eq!(changes(&app), before);
        assert!(ends(&app).is_empty());
    }
}

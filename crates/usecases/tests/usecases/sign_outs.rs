//! Sign-outs while the store accepts no writes.

use crate::accounts::{login, register, signed_in, signed_out};
use crate::support::*;
use lamplight_domain::event::Event;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::EventBus as _;
use lamplight_usecases::{AccountCommand, AdminCommand, Caller, Code, Identity};
use std::sync::atomic::Ordering;
use std::time::Duration;

usecase_tests! {
    async fn h11_a_sign_out_takes_effect_while_the_store_refuses_writes() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, other) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let (digest, kept) = (app.handler.digest(&token), app.handler.digest(&other));
        let caller = Caller { credential: Some(digest.clone().into()), ..by_http(&id) };
        let shut = app.lock_writes();
        assert_eq!(code(app.ask(&caller, AccountCommand::Logout).await), Code::Unavailable);
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None, "the session has ended");
        assert!(app.handler.session(&kept).await.expect("an answer").is_some());
        assert_eq!(signed_out(&app), [(id.clone(), digest.clone())], "the end is published for its sockets");
        assert_eq!(app.handler.table_sizes().ended, 1);
        drop(shut);
        app.handler.write_ended().await;
        assert_eq!(app.handler.table_sizes().ended, 0);
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None);
        let app = app.restart().await;
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None, "the end was stored");
        assert!(app.handler.session(&kept).await.expect("an answer").is_some());
    }

    async fn h11_a_sign_out_everywhere_takes_effect_while_the_store_refuses_writes() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, other) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let digests = [token, other].map(|token| app.handler.digest(&token));
        let caller = Caller { credential: Some(digests[0].clone().into()), ..by_http(&id) };
        let shut = app.lock_writes();
        assert_eq!(code(app.ask(&caller, AccountCommand::LogoutAll).await), Code::Unavailable);
        for digest in &digests {
            assert_eq!(app.handler.session(digest).await.expect("an answer"), None);
        }
        assert_eq!(signed_out(&app).len(), 2);
        drop(shut);
        app.handler.write_ended().await;
        let app = app.restart().await;
        for digest in &digests {
            assert_eq!(app.handler.session(digest).await.expect("an answer"), None);
        }
    }

    async fn h11_a_sign_out_survives_the_node_that_accepted_it() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let digest = app.handler.digest(&token);
        let caller = Caller { credential: Some(digest.clone().into()), ..by_http(&id) };
        let shut = app.lock_writes();
        assert_eq!(code(app.ask(&caller, AccountCommand::Logout).await), Code::Unavailable);
        assert_eq!(app.list.all.lock().len(), 1, "shared before the answer");
        drop(shut);
        let app = app.restart().await;
        assert!(app.handler.session(&digest).await.expect("an answer").is_some(), "the store has it");
        app.handler.warm_up().await;
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None);
        assert_eq!(signed_out(&app), [(id, digest.clone())], "for sockets whose event the bus lost");
        app.handler.write_ended().await;
        app.handler.warm_up().await;
        assert!(app.list.all.lock().is_empty(), "the store has it now");
        assert_eq!(app.handler.table_sizes().ended, 0);
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None);
    }

    async fn h11_every_node_refuses_a_session_that_one_node_ended() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, other) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let (digest, kept) = (app.handler.digest(&token), app.handler.digest(&other));
        let from_another_node = |is_stored| Event::SignedOut { user: user(&id), credential: digest.as_str().into(), is_stored };
        app.hub.publish(from_another_node(true));
        assert_eq!(app.handler.table_sizes().ended, 0, "the store already has it");
        app.hub.publish(from_another_node(false));
        app.hub.publish(from_another_node(false));
        assert_eq!(app.handler.table_sizes().ended, 1);
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None);
        assert!(app.handler.session(&kept).await.expect("an answer").is_some());
        // This node adds it too: the other one may have died before it could.
        app.handler.warm_up().await;
        assert_eq!(app.list.all.lock().len(), 1);
        // A lost list is filled again; an item that another node removed from a list is in the store.
        app.list.began_anew.store(true, Ordering::Relaxed);
        app.list.all.lock().clear();
        app.handler.warm_up().await;
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None);
        app.handler.warm_up().await;
        assert_eq!(app.list.all.lock().len(), 1);
        app.list.began_anew.store(false, Ordering::Relaxed);
        app.handler.warm_up().await;
        app.list.all.lock().clear();
        app.handler.warm_up().await;
        assert_eq!(app.handler.table_sizes().ended, 0);
    }

    async fn h11_a_late_sign_out_everywhere_spares_later_sessions() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, another) = signed_in(app.ask(&anonymous(), register("lin", "torvalds1")).await);
        let until = app.now();
        app.clock.pass(Duration::from_secs(1));
        let (_, later) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        app.hub.publish(Event::SignedOutEverywhere { user: user(&id), until });
        // An older sign-out changes nothing.
        app.hub.publish(Event::SignedOutEverywhere { user: user(&id), until: Timestamp(until.0 - 5) });
        let [digest, later, another] = [token, later, another].map(|token| app.handler.digest(&token));
        let holds = async || {
            assert_eq!(app.handler.session(&digest).await.expect("an answer"), None);
            for digest in [&later, &another] {
                assert!(app.handler.session(digest).await.expect("an answer").is_some());
            }
        };
        holds().await;
        app.handler.write_ended().await;
        assert_eq!(app.handler.table_sizes().ended, 0);
        holds().await;
        assert_eq!(signed_out(&app), [(id, digest.clone())], "its sockets are closed");
    }

    async fn h11_the_host_application_signs_a_user_of_its_own_out() {
        let app = TestApp::new(Identity::Jwt);
        let ended_at = async |app: &TestApp, ids: &[&str]| {
            let users: Vec<_> = ids.iter().map(|id| user(id)).collect();
            app.handler.tokens_ended_at(&users).await.expect("an answer")
        };
        app.ask(&host(), AdminCommand::PutProfile(named("a", "Ada"))).await.expect("written");
        assert_eq!(ended_at(&app, &["a", "b"]).await, [None, None]);
        let first = app.now();
        for id in ["a", "b"] {
            // The other one has not been here yet, and may have a token.
            app.ask(&host(), AdminCommand::SignOut(user(id))).await.expect("signed out");
        }
        assert_eq!(ended_at(&app, &["a", "b"]).await, [Some(first); 2]);
        let told = |event: &Event| matches!(event, Event::SignedOutEverywhere { user: who, until } if *who == user("a") && *until == first);
        assert!(app.events().iter().any(told), "the sockets are closed on every node");
        assert_eq!(app.handler.table_sizes().ended, 0, "there are no sessions to end");
        assert!(app.list.all.lock().is_empty());
        app.clock.pass(Duration::from_secs(1));
        app.ask(&host(), AdminCommand::SignOut(user("a"))).await.expect("again");
        let app = app.restart().await;
        assert_eq!(ended_at(&app, &["a", "b"]).await, [Some(Timestamp(first.0 + 1_000)), Some(first)]);
        let shut = app.lock_writes();
        assert_eq!(code(app.ask(&host(), AdminCommand::SignOut(user("a"))).await), Code::Unavailable);
        assert!(!app.events().iter().any(|event| matches!(event, Event::SignedOutEverywhere { .. })));
        drop(shut);
    }

    async fn h11_the_host_application_signs_a_local_account_out() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, other) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let (_, another) = signed_in(app.ask(&anonymous(), register("lin", "torvalds1")).await);
        let [token, other, another] = [token, other, another].map(|token| app.handler.digest(&token));
        let is_over = async |digest: &str| app.handler.session(digest).await.expect("an answer").is_none();
        let unknown = app.ask(&host(), AdminCommand::SignOut(user("nobody"))).await;
        assert_eq!(code(unknown), Code::NotFound);
        // Also while the store takes no writes.
        let shut = app.lock_writes();
        let answer = app.ask(&host(), AdminCommand::SignOut(user(&id))).await;
        assert_eq!(code(answer), Code::Unavailable);
        assert!(is_over(&token).await && is_over(&other).await && !is_over(&another).await);
        assert_eq!(signed_out(&app).len(), 2);
        drop(shut);
        app.handler.write_ended().await;
        let (_, later) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let later = app.handler.digest(&later);
        for _ in 0..2 {
            app.ask(&host(), AdminCommand::SignOut(user(&id))).await.expect("signed out");
            assert!(is_over(&later).await && !is_over(&another).await);
        }
        assert!(signed_out(&app).contains(&(id, later)));
    }

    async fn where_nobody_signs_in_connections_are_closed_alone() {
        let app = TestApp::new(Identity::Open);
        let unknown = app.ask(&host(), AdminCommand::SignOut(user("a"))).await;
        assert_eq!(code(unknown), Code::NotFound);
        app.join(&claimed("a", "s")).await;
        app.ask(&host(), AdminCommand::SignOut(user("a"))).await.expect("signed out");
        assert!(app.events().iter().any(|event| matches!(event, Event::SignedOutEverywhere { .. })));
    }
}

//! The roster and profiles, as others may see them.

use crate::support::*;
use lamplight_domain::presence::{Change, ManualStatus, OfflineReason, StatusOverride};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::Directory as _;
use lamplight_usecases::{
    AccountCommand, BlockCommand, Caller, Code, Identity, PresenceCommand, PresenceReply, Reply,
    Settings,
};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{sleep, timeout};

fn list(
    exclude: Option<&str>,
    count_only: bool,
    cursor: Option<String>,
    limit: usize,
) -> PresenceCommand {
    PresenceCommand::ListOnline {
        exclude: exclude.map(user),
        count_only,
        cursor,
        limit,
    }
}

const GONE: Duration = Duration::from_secs(7);

/// Every answer of the server about a user.
async fn all_answers(app: &TestApp, caller: &Caller, about: &str) -> String {
    let online = app
        .ask(caller, list(None, false, None, 10))
        .await
        .expect("a list");
    let count = app
        .ask(caller, list(Some(about), true, None, 10))
        .await
        .expect("a count");
    let watched = app
        .ask(caller, PresenceCommand::Watch(vec![user(about)]))
        .await
        .expect("states");
    let found = app
        .ask(
            caller,
            AccountCommand::ListUsers {
                query: about.into(),
                cursor: None,
                limit: 10,
            },
        )
        .await
        .expect("people");
    let profile = app
        .ask(caller, AccountCommand::Find(user(about)))
        .await
        .expect("a profile");
    format!("{online:?}\n{count:?}\n{watched:?}\n{found:?}\n{profile:?}")
}

usecase_tests! {
    async fn p11_no_answer_distinguishes_invisible_from_offline() {
        let mut answers = Vec::new();
        for hides in [true, false] {
            let app = TestApp::new(Identity::Jwt);
            let (a, b) = (on_socket("a", "sa"), on_socket("b", "sb"));
            app.join(&a).await;
            app.join(&b).await;
            app.pass(GONE);
            if hides {
                app.set_status(&b, ManualStatus::Invisible).await;
            } else {
                app.ask(&b, PresenceCommand::Leave { reason: OfflineReason::Closed }).await.expect("gone");
            }
            let mut seen = vec![all_answers(&app, &a, "b").await];
            app.pass(GONE);
            app.flush().await;
            if hides {
                // The user joins, acts and leaves while invisible.
                app.join(&on_socket("b", "sb2")).await;
                app.ask(&b, PresenceCommand::Heartbeat { active: true }).await.expect("alive");
                app.ask(&on_socket("b", "sb2"), PresenceCommand::Leave { reason: OfflineReason::Closed }).await.expect("gone");
                app.set_status(&b, ManualStatus::Invisible).await;
            }
            app.pass(GONE);
            app.flush().await;
            seen.push(all_answers(&app, &a, "b").await);
            seen.push(format!("{:?}", app.presence_changes()));
            let app = app.restart().await;
            if hides {
                app.join(&b).await;
            }
            app.join(&a).await;
            seen.push(all_answers(&app, &a, "b").await);
            answers.push(seen);
        }
        for (hides, closes) in answers[0].iter().zip(&answers[1]) {
            assert_eq!(hides, closes);
        }
        assert!(answers[0][1].contains("Some(Timestamp("), "the answers have the time of last seen");
    }

    async fn a_status_survives_restarts_and_is_sent_to_the_users_devices() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        app.join(&a).await;
        let until = Timestamp(app.now().0 + 3_600_000);
        let chosen = StatusOverride { status: ManualStatus::Busy, text: Some("in a talk".into()), until: Some(until) };
        app.ask(&a, PresenceCommand::SetStatus(chosen.clone())).await.expect("set");
        let app = app.restart().await;
        let Reply::Presence(PresenceReply::Joined { chosen: stored, .. }) = app.join(&on_socket("a", "phone")).await else { panic!("joined") };
        assert_eq!(stored, chosen);
        let app = app.restart().await;
        app.clock.jump(3_600_000);
        let Reply::Presence(PresenceReply::Joined { chosen: stored, .. }) = app.join(&a).await else { panic!("joined") };
        assert_eq!(stored, StatusOverride::default(), "an expired status is not sent");
    }

    async fn a_status_that_has_already_ended_is_invalid() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        app.join(&a).await;
        let over = StatusOverride { status: ManualStatus::Busy, text: None, until: Some(app.now()) };
        assert_eq!(code(app.ask(&a, PresenceCommand::SetStatus(over)).await), Code::Invalid);
        assert_eq!(app.presence_changes().len(), 1);
    }

    async fn a_watch_is_answered_with_the_current_states() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b, c) = (on_socket("a", "sa"), on_socket("b", "sb"), on_socket("c", "sc"));
        for who in [&a, &b, &c] {
            app.join(who).await;
        }
        let closed = app.now();
        app.ask(&c, PresenceCommand::Leave { reason: OfflineReason::Closed }).await.expect("gone");
        app.pass(GONE);
        app.flush().await;
        let Ok(Reply::Presence(PresenceReply::Watching { users: seen, .. })) = app.ask(&a, PresenceCommand::Watch(["never", "c", "b"].map(user).into())).await else { panic!("states") };
        let states: Vec<_> = seen.iter().map(|(seen, last)| (seen.user.as_str(), seen.shown.is_some(), *last)).collect();
        assert_eq!(states, [("never", false, None), ("c", false, Some(closed)), ("b", true, None)]);
        let newest = app.presence_changes().iter().map(Change::version).max();
        assert!(seen.iter().all(|(seen, _)| Some(seen.version) <= newest));
    }

    async fn a_watch_of_too_many_users_is_refused() {
        let app = TestApp::with(Settings { identity: Identity::Jwt, watch_limit: 3, ..Settings::default() });
        let many = ["b", "c", "d", "e"].map(user);
        assert_eq!(code(app.ask(&on_socket("a", "sa"), PresenceCommand::Watch(many.to_vec())).await), Code::TooLong);
        assert!(app.ask(&on_socket("a", "sa"), PresenceCommand::Watch(many[..3].to_vec())).await.is_ok());
    }

    async fn the_list_pages_through_each_user_once_except_the_excluded_one() {
        let app = TestApp::new(Identity::Jwt);
        for n in 0..7 {
            app.join(&on_socket(&format!("u{n}"), &format!("s{n}"))).await;
        }
        for exclude in [None, Some("u0"), Some("u3"), Some("u6"), Some("nobody")] {
            for limit in 1..9 {
                let (mut seen, mut cursor) = (Vec::new(), None);
                loop {
                    let answer = app.ask(&by_http("u0"), list(exclude, false, cursor, limit)).await;
                    let Ok(Reply::Presence(PresenceReply::Online { users, count, next, degraded: false })) = answer else { panic!("{answer:?}") };
                    let out = usize::from(exclude.is_some_and(|who| who != "nobody"));
                    assert_eq!(count, 7 - out);
                    assert!(!users.is_empty() && users.len() <= limit);
                    seen.extend(users.iter().map(|shown| shown.profile.id.to_string()));
                    cursor = next;
                    if cursor.is_none() {
                        break;
                    }
                }
                let expected: Vec<_> = (0..7).map(|n| format!("u{n}")).filter(|id| Some(id.as_str()) != exclude).collect();
                assert_eq!(seen, expected, "without {exclude:?}, {limit} at a time");
            }
        }
        let Ok(Reply::Presence(PresenceReply::OnlineCount { count, .. })) = app.ask(&by_http("u0"), list(Some("u0"), true, None, 1)).await else { panic!("a count") };
        assert_eq!(count, 6);
    }

    /// A page whose only item is left out would be empty and have a cursor.
    async fn p11_pages_of_the_list_do_not_reveal_users_who_blocked_the_caller() {
        let app = TestApp::new(Identity::Jwt);
        for n in 0..5 {
            app.join(&on_socket(&format!("u{n}"), &format!("s{n}"))).await;
        }
        for by in ["u1", "u2", "u4"] {
            app.ask(&by_http(by), BlockCommand::Block(user("u0"))).await.expect("blocked");
        }
        for (exclude, expected) in [(None, vec!["u0", "u3"]), (Some("u0"), vec!["u3"]), (Some("u2"), vec!["u0", "u3"])] {
            let (mut pages, mut cursor) = (Vec::new(), None);
            loop {
                let answer = app.ask(&by_http("u0"), list(exclude, false, cursor, 1)).await;
                let Ok(Reply::Presence(PresenceReply::Online { users, count, next, .. })) = answer else { panic!("{answer:?}") };
                assert_eq!((users.len(), count), (1, expected.len()));
                pages.push(users[0].profile.id.to_string());
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(pages, expected, "without {exclude:?}");
        }
    }

    async fn last_seen_is_written_when_the_store_accepts_writes_again() {
        let app = TestApp::new(Identity::Jwt);
        app.join(&on_socket("a", "sa")).await;
        app.directory.seen_fails.store(1, Ordering::Relaxed);
        let written = async {
            app.ask(&on_socket("a", "sa"), PresenceCommand::Leave { reason: OfflineReason::Closed }).await.expect("gone");
            app.pass(GONE);
            while app.directory.last_seen(&[user("a")]).await.expect("a store") == [None] {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = app.handler.run_background() => panic!("the background work ended"),
            // No other event causes a write meanwhile.
            done = timeout(Duration::from_secs(8), written) => done.expect("written"),
        }
        assert_eq!(app.directory.seen_fails.load(Ordering::Relaxed), 0);
    }
}

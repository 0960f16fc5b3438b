//! Concurrent commands of one user end the same in the store and in the roster, and a stalled store
//! delays callers for a bounded time.

use crate::support::*;
use futures_util::FutureExt as _;
use futures_util::future::{join as join_both, join_all};
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{ManualStatus, PrivacyChange, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::deadline::STORE_DEADLINE;
use lamplight_usecases::ports::{Blocks as _, ConnectionRegistry as _, Directory as _};
use lamplight_usecases::{
    AdminCommand, Code, Command, Identity, MessageCommand, PresenceCommand, PresenceReply, Reply,
};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Longer than any operation takes that the test does not hold back.
const A_WHILE: Duration = Duration::from_millis(300);

fn status(status: ManualStatus) -> PresenceCommand {
    PresenceCommand::SetStatus(StatusOverride {
        status,
        text: None,
        until: None,
    })
}

fn join(id: &str) -> PresenceCommand {
    PresenceCommand::Join {
        user: user(id),
        mode: Mode::None,
        name: None,
        avatar_url: None,
    }
}

async fn online(app: &TestApp) -> usize {
    let list = PresenceCommand::ListOnline {
        exclude: None,
        count_only: true,
        cursor: None,
        limit: 10,
    };
    match app.ask(&by_http("b"), list).await {
        Ok(Reply::Presence(PresenceReply::OnlineCount { count, .. })) => count,
        other => panic!("{other:?}"),
    }
}

usecase_tests! {
    async fn concurrent_reads_of_blockers_are_batched() {
        let app = TestApp::new(Identity::Jwt);
        app.blocks.block(&user("by"), &user("u7"), 10, app.now()).await.expect("a block");
        let ids: Vec<UserId> = (0..24).map(|number| user(&format!("u{number}"))).collect();
        app.blocks.hold(true);
        let all = join_all(ids.iter().map(|id| app.handler.hidden_from_one(id)));
        // When the store is released, the first one is reading and the others wait.
        let (hidden, ()) = join_both(all, async { app.blocks.hold(false) }).await;
        assert_eq!(*app.blocks.reads.lock(), [1, 23]);
        for (id, hidden) in ids.iter().zip(hidden) {
            let by: Vec<UserId> = hidden.expect("an answer").into_keys().collect();
            let expected = if id.as_str() == "u7" { vec![user("by")] } else { Vec::new() };
            assert_eq!(by, expected, "{id}");
        }
    }

    async fn p11_a_watch_takes_its_ticket_before_it_reads_who_is_hidden() {
        let app = TestApp::new(Identity::Jwt);
        let b = on_socket("b", "sb");
        let commands: [Command; 2] = [PresenceCommand::Watch(vec![user("a")]).into(), join("b").into()];
        for command in commands {
            app.blocks.hold(true);
            let mut ask = Box::pin(app.ask(&b, command));
            while app.blocks.reads.lock().is_empty() {
                assert!(ask.as_mut().now_or_never().is_none(), "it waits for the store");
                sleep(Duration::from_millis(1)).await;
            }
            let later = app.hub.hidden_ticket();
            app.blocks.hold(false);
            ask.await.expect("an answer");
            let (from, ticket, _) = app.hub.hidden.lock().pop().expect("applied");
            assert!(from == user("b") && ticket < later, "{ticket:?} {later:?}");
            app.blocks.reads.lock().clear();
        }
    }

    async fn a_cancelled_batched_read_is_repeated_for_the_others() {
        let app = TestApp::new(Identity::Jwt);
        let ids = ["a", "b", "c"].map(user);
        let [mut first, mut second, mut third] =
            std::array::from_fn(|at| Box::pin(app.handler.hidden_from_one(&ids[at])));
        app.blocks.hold(true);
        for waits in [&mut first, &mut second, &mut third] {
            assert!(waits.as_mut().now_or_never().is_none());
        }
        app.blocks.hold(false);
        first.await.expect("an answer");
        app.blocks.hold(true);
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(*app.blocks.reads.lock(), [1, 2]);
        drop(second);
        app.blocks.hold(false);
        third.await.expect("an answer");
        assert_eq!(*app.blocks.reads.lock(), [1, 2, 1]);
    }

    async fn m6_joins_and_syncs_are_answered_once_events_reach_the_node() {
        let app = TestApp::new(Identity::Jwt);
        let caller = on_socket("a", "s1");
        let sync = MessageCommand::Sync { have: Vec::new(), refused: Vec::new() };
        let (sender, receiver) = watch::channel(false);
        *app.hub.attached.lock() = Some(receiver);
        let commands: [Command; 3] = [join("a").into(), PresenceCommand::Resume.into(), sync.into()];
        let mut answers = commands.map(|command| Box::pin(app.ask(&caller, command)));
        for answer in &mut answers {
            assert!(timeout(A_WHILE, answer).await.is_err(), "answered too early");
        }
        sender.send_replace(true);
        for answer in answers {
            answer.await.expect("an answer");
        }
    }

    async fn p11_settings_changed_on_another_node_during_a_join_apply() {
        let hides = PrivacyChange { hides_last_seen: Some(true), hides_reads: Some(true) };
        for again in [false, true] {
            for is_attached in [false, true] {
                let app = TestApp::new(Identity::Jwt);
                let who = user("a");
                app.ask(&host(), AdminCommand::PutProfile(named("a", "Ada"))).await.expect("written");
                let (attach, receiver) = watch::channel(false);
                if !is_attached {
                    *app.hub.attached.lock() = Some(receiver);
                }
                app.directory.hold_upsert(is_attached);
                let command = if again { PresenceCommand::Resume } else { join("a") };
                let caller = on_socket("a", "s1");
                let mut coming = Box::pin(app.ask(&caller, command));
                // By then it has read that the user hides nothing.
                assert!(timeout(A_WHILE, &mut coming).await.is_err());
                let saved = app.store.set_privacy(&who, hides, app.now()).await.expect("saved");
                // A node receives no events of a user without a socket until it is attached.
                app.hub.privacy_changes.fetch_add(u64::from(is_attached), Ordering::Relaxed);
                app.directory.hold_upsert(false);
                attach.send_replace(true);
                coming.await.expect("joined");
                assert_eq!(app.hub.privacy_of(&who), saved.privacy, "{again} {is_attached}");
            }
        }
    }

    async fn a_join_while_another_device_goes_invisible_stays_hidden() {
        for again in [false, true] {
            let app = TestApp::new(Identity::Jwt);
            let (one, two) = (on_socket("a", "s1"), on_socket("a", "s2"));
            // Stored and not joined: the roster knows only the status that the joining device brings.
            app.ask(&host(), AdminCommand::PutProfile(named("a", "Ada"))).await.expect("written");
            app.directory.hold_upsert(true);
            let mut coming = Box::pin(app.ask(&two, if again { PresenceCommand::Resume } else { join("a") }));
            assert!(coming.as_mut().now_or_never().is_none());
            // By then it has read the status `online`.
            assert!(timeout(A_WHILE, &mut coming).await.is_err());
            let hiding = app.ask(&one, status(ManualStatus::Invisible));
            let (_, hidden, come) = tokio::join!(
                async {
                    sleep(A_WHILE).await;
                    app.directory.hold_upsert(false);
                },
                hiding,
                coming
            );
            hidden.expect("set");
            come.expect("joined");
            app.pass(Duration::from_secs(10));
            assert_eq!(online(&app).await, 0, "an invisible user is offline in either order");
        }
    }

    async fn commands_behind_a_stalled_store_are_answered_by_the_deadline() {
        let app = TestApp::new(Identity::Jwt);
        app.join(&on_socket("a", "s1")).await;
        app.directory.hold_set_status(true);
        let began = Instant::now();
        let ask = async |n: u64| {
            sleep(Duration::from_millis(500 * n)).await;
            let asked = Instant::now();
            let answer = app.ask(&on_socket("a", &format!("s{n}")), status(ManualStatus::Busy)).await;
            (code(answer), asked.elapsed())
        };
        let (one, two, three) = tokio::join!(ask(0), ask(1), ask(2));
        for (code, took) in [one, two, three] {
            assert_eq!(code, Code::Unavailable);
            assert!(took < STORE_DEADLINE + Duration::from_millis(400), "{took:?}");
        }
        assert!(began.elapsed() < STORE_DEADLINE * 2);
        app.directory.hold_set_status(false);
        app.set_status(&on_socket("a", "s1"), ManualStatus::Away).await;
    }
}

//! When a user's marks and name are published to others.

use crate::support::*;
use lamplight_domain::identity::{ConversationId, Profile};
use lamplight_domain::presence::{ManualStatus, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::ProfileSource;
use lamplight_usecases::{
    AdminCommand, Caller, ConversationCommand, ConversationReply, Identity, MessageCommand,
    MessageReply, PresenceCommand, Reply,
};
use std::time::Duration;

fn mark(place: &ConversationId, seq: u64) -> MessageCommand {
    MessageCommand::MarkRead {
        conversation: place.clone(),
        seq,
    }
}

/// The marks of b in a sync of `viewer`: delivered, read.
async fn asked(app: &TestApp, viewer: &Caller, place: &ConversationId) -> (u64, u64) {
    let Ok(Reply::Messages(MessageReply::Synced { conversations, .. })) = app
        .ask(
            viewer,
            MessageCommand::Sync {
                have: vec![(place.clone(), 0).into()],
                refused: vec![],
            },
        )
        .await
    else {
        panic!("synced")
    };
    let page = conversations[0].1.as_ref().expect("a page");
    let marks = page
        .receipts
        .iter()
        .find(|one| one.user == user("b"))
        .expect("b is a member");
    (marks.delivered_seq, marks.read_seq)
}

/// The marks of b that were published so far.
fn published_marks(app: &TestApp) -> Vec<(u64, u64)> {
    app.receipts()
        .into_iter()
        .filter(|one| one.user == user("b"))
        .map(|one| (one.delivered_seq, one.read_seq))
        .collect()
}

/// The read mark and the number of unread messages on b's own devices.
async fn own(app: &TestApp, b: &Caller) -> (u64, u64) {
    let Ok(Reply::Conversations(ConversationReply::Page { page, .. })) = app
        .ask(
            b,
            ConversationCommand::List {
                filter: None,
                cursor: None,
                limit: 10,
            },
        )
        .await
    else {
        panic!("listed")
    };
    (page.items[0].read_seq, page.items[0].unread)
}

/// How many updates of the conversation b's own devices got.
fn own_updates(app: &TestApp) -> usize {
    app.conversation_changes()
        .iter()
        .filter(|(_, to)| to == &["b"])
        .count()
}

async fn five(app: &TestApp, a: &Caller) -> ConversationId {
    let place = app.open_with(a, "b").await;
    for n in 1..=5 {
        app.send(a, &place, &n.to_string()).await;
    }
    place
}

usecase_tests! {
    async fn p11_reads_of_an_invisible_user_are_published_when_they_become_visible() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (on_socket("a", "sa"), on_socket("b", "sb"));
        app.join(&b).await;
        let place = five(&app, &a).await;
        app.ask(&b, mark(&place, 1)).await.expect("read");
        assert_eq!((published_marks(&app), asked(&app, &a, &place).await), (vec![(1, 1)], (1, 1)));
        app.set_status(&b, ManualStatus::Invisible).await;
        let before = own_updates(&app);
        let Ok(Reply::Messages(MessageReply::Read { read_seq, .. })) = app.ask(&b, mark(&place, 3)).await else { panic!("read") };
        app.delivered(&user("b"), &place, 4);
        app.flush().await;
        assert_eq!((read_seq, own(&app, &b).await, own_updates(&app) - before), (3, (3, 2), 1), "b's own devices show it");
        assert_eq!((published_marks(&app), asked(&app, &a, &place).await), (vec![(1, 1)], (1, 1)), "others do not see it");

        app.set_status(&b, ManualStatus::Busy).await;
        assert_eq!((published_marks(&app), asked(&app, &a, &place).await), (vec![(1, 1), (4, 3)], (4, 3)));
        app.set_status(&b, ManualStatus::Away).await;
        assert_eq!(published_marks(&app).len(), 2, "published once");
    }

    async fn p11_a_changed_name_does_not_reveal_an_invisible_user() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (on_socket("a", "sa"), by_http("b"));
        five(&app, &a).await;
        let named = |name: &str| Profile { name: name.into(), ..Profile::bare(user("b")) };
        let claims = async |name: &str, at: i64| app.handler.ensure_profile(named(name), ProfileSource::Claims, Some(Timestamp(at))).await;
        let change_count = || app.conversation_changes().len();
        claims("Ben", 1).await.expect("written_profiles");
        app.set_status(&b, ManualStatus::Invisible).await;
        let before = change_count();
        for at in 2..4 {
            claims("Benjamin", at).await.expect("deferred");
        }
        assert_eq!((change_count(), &*app.name_of("b").await), (before, "Ben"));
        app.set_status(&b, ManualStatus::Online).await;
        let before = change_count();
        claims("Benjamin", 4).await.expect("written_profiles");
        assert_eq!((change_count(), &*app.name_of("b").await), (before + 1, "Benjamin"));
    }

    async fn p11_without_a_session_the_stored_status_applies() {
        let app = TestApp::new(Identity::Jwt);
        let a = by_http("a");
        let place = five(&app, &a).await;
        app.set_status(&by_http("b"), ManualStatus::Invisible).await;
        let app = app.restart().await;
        // Over HTTP only, or on a socket that never joins.
        for (b, seq) in [(by_http("b"), 2), (on_socket("b", "sb"), 3)] {
            app.ask(&b, mark(&place, seq)).await.expect("read");
            app.ask(&b, MessageCommand::Sync { have: vec![(place.clone(), 0).into()], refused: vec![] }).await.expect("synced");
            app.flush().await;
        }
        assert_eq!((published_marks(&app), asked(&app, &a, &place).await), (vec![], (0, 0)));
        assert_eq!(own(&app, &by_http("b")).await, (3, 2));
        app.join(&on_socket("b", "sb")).await;
        app.flush().await;
        assert_eq!(published_marks(&app), [], "a join does not publish it");
        app.set_status(&by_http("b"), ManualStatus::Online).await;
        assert_eq!((published_marks(&app), asked(&app, &a, &place).await), (vec![(5, 3)], (5, 3)));
    }

    async fn p11_an_expired_invisible_status_hides_nothing() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = five(&app, &a).await;
        let until = Some(Timestamp(app.now().0 + 60_000));
        app.ask(&b, PresenceCommand::SetStatus(StatusOverride { status: ManualStatus::Invisible, text: None, until })).await.expect("set");
        app.ask(&b, mark(&place, 2)).await.expect("read");
        assert_eq!((published_marks(&app), asked(&app, &a, &place).await), (vec![], (0, 0)));
        app.clock.jump(60_000);
        app.delivered(&user("b"), &place, 4);
        app.flush().await;
        assert_eq!((published_marks(&app), asked(&app, &a, &place).await), (vec![(4, 2)], (4, 2)), "all marks, with the next one that moves");
    }

    async fn a_message_to_a_group_causes_one_receipt_for_each_member() {
        let app = TestApp::new(Identity::Jwt);
        let crowd: Vec<_> = (0..600).map(|n| user(&format!("m{n:03}"))).collect();
        let place = conversation("7");
        app.ask(&host(), AdminCommand::PutConversation { conversation: place.clone(), members: crowd.clone() }).await.expect("put");
        for author in ["m000", "m001"] {
            app.send(&by_http(author), &place, "hello").await;
        }
        for seq in 1..=2 {
            for member in &crowd {
                app.delivered(member, &place, seq);
            }
        }
        app.flush().await;
        let receipts = app.receipts_to();
        let delivered: Vec<_> = receipts.iter().filter(|(receipt, _)| receipt.read_seq == 0).collect();
        assert_eq!(delivered.len(), 598, "one for each member who wrote neither message");
        assert!(delivered.iter().all(|(_, to)| to.len() == 3), "to the two authors and the member");
        assert!(receipts.len() <= 600);
    }

    async fn p11_a_send_publishes_the_hidden_marks_of_its_sender() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = five(&app, &a).await;
        app.set_status(&b, ManualStatus::Invisible).await;
        app.ask(&b, mark(&place, 2)).await.expect("read");
        app.send(&b, &place, "here I am").await;
        assert_eq!((own(&app, &b).await, asked(&app, &a, &place).await), ((6, 0), (6, 6)));
        app.send(&a, &place, "there you are").await;
        app.ask(&b, mark(&place, 7)).await.expect("read");
        assert_eq!((own(&app, &b).await, asked(&app, &a, &place).await), ((7, 0), (6, 6)), "later marks are hidden again");
    }

    async fn h9_tokens_of_the_same_second_do_not_replace_each_others_profile() {
        let app = TestApp::new(Identity::Jwt);
        let claims = async |name: &str, at: i64| {
            app.handler.ensure_profile(named("b", name), ProfileSource::Claims, Some(Timestamp(at))).await.expect("written_profiles");
        };
        for _ in 0..50 {
            claims("Ben", 5_000).await;
            claims("Benjamin", 5_000).await;
        }
        assert_eq!(&*app.name_of("b").await, "Ben");
        // Nor after a restart, when only the stored profile is known.
        let app = app.restart().await;
        let claims = async |name: &str, at: i64| {
            app.handler.ensure_profile(named("b", name), ProfileSource::Claims, Some(Timestamp(at))).await.expect("written_profiles");
        };
        claims("Benjamin", 5_000).await;
        claims("Benny", 4_000).await;
        assert_eq!(&*app.name_of("b").await, "Ben");
        claims("Benjamin", 6_000).await;
        assert_eq!(&*app.name_of("b").await, "Benjamin");
    }

    async fn h9_frequent_name_changes_are_published_at_a_bounded_rate() {
        // By tokens with a time, by tokens without one, and by joins in `open`.
        for (identity, has_time) in [(Identity::Jwt, true), (Identity::Jwt, false), (Identity::Open, false)] {
            let app = TestApp::new(identity);
            app.ask(&host(), AdminCommand::PutConversation { conversation: conversation("7"), members: vec![user("a"), user("b")] }).await.expect("put");
            let before = app.wait_for_changes(1).await.len();
            for n in 0..100 {
                let name = format!("Ben {n}");
                if identity == Identity::Open {
                    let join = PresenceCommand::Join { user: user("b"), mode: Mode::None, name: Some(name.as_str().into()), avatar_url: None };
                    app.ask(&claimed("b", &format!("s{n}")), join).await.expect("joined");
                } else {
                    let at = has_time.then_some(Timestamp(1_000 * n));
                    app.handler.ensure_profile(named("b", &name), ProfileSource::Claims, at).await.expect("written_profiles");
                }
            }
            assert_eq!(app.conversation_changes().len() - before, 5, "{identity:?} {has_time}");
            // A deferred name is applied by a later token once the limit allows it.
            app.clock.pass(Duration::from_secs(60));
            if identity == Identity::Jwt {
                app.handler.ensure_profile(named("b", "Ben 99"), ProfileSource::Claims, has_time.then_some(Timestamp(99_000))).await.expect("accepted");
                assert_eq!(&*app.name_of("b").await, "Ben 99");
            }
        }
    }
}

//! Which messages cause notifications by Web Push.

use crate::support::*;
use lamplight_domain::group::{GroupAction, History};
use lamplight_domain::identity::ConversationId;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::presence::{ManualStatus, OfflineReason};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{PushNotice, PushOutcome, PushSubscriptions};
use lamplight_usecases::{
    BlockCommand, Caller, Code, ConversationCommand, ConversationReply, GroupCommand, Identity,
    MessageChange, MessageCommand, PresenceCommand, PushCommand, PushReply, Reply,
};
use std::time::Duration;

const WHILE: Duration = Duration::from_secs(3);

fn subscribe(endpoint: &str) -> PushCommand {
    PushCommand::Subscribe {
        target: target(endpoint),
        content: true,
        key: None,
    }
}

/// Two users with a conversation; one of them is absent and subscribed.
async fn away() -> (TestApp, Caller, Caller, ConversationId) {
    let app = TestApp::new(Identity::Jwt);
    let (a, b) = (by_http("a"), by_http("b"));
    let place = app.open_with(&a, "b").await;
    app.ask(&b, subscribe("https://push.example/b"))
        .await
        .expect("subscribed");
    (app, a, b, place)
}

/// Handles all that is due, and returns what was sent since the last call.
async fn pushed(app: &TestApp) -> Vec<PushNotice> {
    while app.pushes.run_once().await > 0 {}
    let sent = std::mem::take(&mut *app.push_service.sent.lock());
    sent.into_iter().map(|(_, notice)| notice).collect()
}

fn texts(notices: &[PushNotice]) -> Vec<&str> {
    let text = |notice: &'_ PushNotice| notice.content.as_ref().map(|content| content.text.clone());
    notices
        .iter()
        .map(|notice| match &notice.content {
            Some(content) => &*content.text,
            None => panic!("{:?}", text(notice)),
        })
        .collect()
}

async fn waiting(app: &TestApp) -> u64 {
    app.store.push_counts().await.expect("counts").waiting
}

async fn beat(app: &TestApp, caller: &Caller, active: bool) {
    app.ask(caller, PresenceCommand::Heartbeat { active })
        .await
        .expect("a heartbeat");
}

async fn close(app: &TestApp, caller: &Caller) {
    let reason = OfflineReason::Closed;
    app.ask(caller, PresenceCommand::Leave { reason })
        .await
        .expect("left");
}

async fn group(app: &TestApp, owner: &Caller, members: &[&str]) -> ConversationId {
    let make = GroupCommand::Make {
        members: members.iter().map(|id| user(id)).collect(),
        name: Some("Garden".into()),
        avatar_url: None,
        history: History::Joined,
        client_id: None,
    };
    match app.ask(owner, make).await.expect("a group") {
        Reply::Conversations(ConversationReply::One { conversation, .. }) => conversation.id,
        other => panic!("{other:?}"),
    }
}

usecase_tests! {
    async fn an_absent_user_is_notified_of_each_message_once_and_in_order() {
        let (app, a, _, place) = away().await;
        for text in ["one", "two", "three"] {
            app.send(&a, &place, text).await;
        }
        // Not yet: the user may be reading it.
        assert!(pushed(&app).await.is_empty());
        app.pass(WHILE);
        app.make_pushes_due();
        let notices = pushed(&app).await;
        assert_eq!(texts(&notices), ["one", "two", "three"]);
        assert_eq!(notices.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 2, 3]);
        let first = &notices[0];
        assert_eq!((&first.conversation, &first.sender, first.total_unread), (&place, &user("a"), 3));
        let content = first.content.as_ref().expect("content");
        assert_eq!((&*content.sender.name, content.conversation_name.as_deref()), ("a", None));
        app.make_pushes_due();
        assert!(pushed(&app).await.is_empty());
        assert_eq!(waiting(&app).await, 0);
    }

    async fn a_subscription_without_content_gets_ids_only() {
        let (app, a, b, place) = away().await;
        let quiet = PushCommand::Subscribe { target: target("https://push.example/b"), content: false, key: None };
        app.ask(&b, quiet).await.expect("subscribed");
        let sent = app.send(&a, &place, "a secret").await;
        app.pass(WHILE);
        let notices = pushed(&app).await;
        assert_eq!(notices.len(), 1);
        assert_eq!((&notices[0].message, &notices[0].content), (&sent.id, &None));
    }

    async fn a_user_who_is_active_at_a_device_is_not_notified() {
        let (app, a, _, place) = away().await;
        let b = on_socket("b", "sb");
        app.join(&b).await;
        app.send(&a, &place, "on the screen").await;
        for _ in 0..8 {
            app.pass(Duration::from_secs(15));
            beat(&app, &b, true).await;
            app.make_pushes_due();
            assert!(pushed(&app).await.is_empty());
        }
        assert_eq!(waiting(&app).await, 0, "the user was active all the time");
        // The device may have been closed, or left, since its last heartbeat.
        for leave in [true, false] {
            app.join(&b).await;
            beat(&app, &b, true).await;
            app.pass(Duration::from_secs(10));
            app.send(&a, &place, "left a moment ago").await;
            app.pass(WHILE);
            app.make_pushes_due();
            assert!(pushed(&app).await.is_empty());
            assert_eq!(waiting(&app).await, 1);
            if leave {
                close(&app, &b).await;
            } else {
                beat(&app, &b, false).await;
            }
            app.make_pushes_due();
            assert_eq!(texts(&pushed(&app).await), ["left a moment ago"]);
        }
    }

    async fn an_idle_or_silent_device_does_not_suppress_notifications() {
        let (app, a, _, place) = away().await;
        let b = on_socket("b", "sb");
        app.join(&b).await;
        beat(&app, &b, false).await;
        app.send(&a, &place, "in a hidden tab").await;
        app.pass(WHILE);
        assert_eq!(texts(&pushed(&app).await), ["in a hidden tab"]);
        beat(&app, &b, true).await;
        app.pass(Duration::from_secs(1));
        app.send(&a, &place, "asleep").await;
        app.pass(WHILE);
        assert!(pushed(&app).await.is_empty());
        app.pass(Duration::from_secs(45));
        app.make_pushes_due();
        assert_eq!(texts(&pushed(&app).await), ["asleep"]);
    }

    async fn an_active_invisible_user_is_not_notified() {
        let (app, a, _, place) = away().await;
        let b = on_socket("b", "sb");
        app.join(&b).await;
        app.set_status(&b, ManualStatus::Invisible).await;
        app.send(&a, &place, "on the screen").await;
        app.pass(WHILE);
        assert!(pushed(&app).await.is_empty());
        close(&app, &b).await;
        app.make_pushes_due();
        assert_eq!(texts(&pushed(&app).await), ["on the screen"]);
    }

    async fn messages_read_on_another_device_are_not_notified() {
        let (app, a, b, place) = away().await;
        for text in ["one", "two", "three"] {
            app.send(&a, &place, text).await;
        }
        assert!(pushed(&app).await.is_empty());
        app.ask(&b, MessageCommand::MarkRead { conversation: place.clone(), seq: 2 }).await.expect("read");
        app.pass(WHILE);
        app.make_pushes_due();
        assert_eq!(texts(&pushed(&app).await), ["three"]);
    }

    async fn notifications_omit_deleted_messages_and_show_edited_text() {
        let (app, a, _, place) = away().await;
        let mut sent = Vec::new();
        for text in ["deleted", "edited", "kept"] {
            sent.push(app.send(&a, &place, text).await);
        }
        assert!(pushed(&app).await.is_empty());
        let changes = [MessageChange::Delete, MessageChange::Edit { content: "better".into(), mentions: vec![] }];
        for (entry, change) in sent.iter().zip(changes) {
            let change = MessageCommand::Change { conversation: place.clone(), message: entry.id.clone(), change, key: None };
            app.ask(&a, change).await.expect("changed");
        }
        app.pass(WHILE);
        app.make_pushes_due();
        assert_eq!(texts(&pushed(&app).await), ["better", "kept"]);
    }

    async fn busy_users_and_muted_conversations_are_not_notified() {
        let (app, a, b, place) = away().await;
        let on = on_socket("b", "sb");
        app.join(&on).await;
        app.set_status(&on, ManualStatus::Busy).await;
        close(&app, &on).await;
        app.send(&a, &place, "busy").await;
        app.pass(WHILE);
        assert!(pushed(&app).await.is_empty());
        app.join(&on).await;
        app.set_status(&on, ManualStatus::Online).await;
        close(&app, &on).await;
        let mute = |until: Option<i64>| ConversationCommand::Set {
            conversation: place.clone(),
            change: SettingsChange { muted_until: Some(until.map(Timestamp)), ..SettingsChange::default() },
        };
        app.send(&a, &place, "muted while it waits").await;
        assert!(pushed(&app).await.is_empty());
        app.ask(&b, mute(Some(4_000_000_000_000))).await.expect("muted");
        app.pass(WHILE);
        app.make_pushes_due();
        app.send(&a, &place, "muted").await;
        app.pass(WHILE);
        assert!(pushed(&app).await.is_empty());
        app.ask(&b, mute(None)).await.expect("not muted");
        app.send(&a, &place, "heard").await;
        app.pass(WHILE);
        assert_eq!(texts(&pushed(&app).await), ["heard"]);
    }

    async fn m15_a_removed_member_is_not_notified() {
        let (app, a, b, _) = away().await;
        let place = group(&app, &a, &["b", "c"]).await;
        app.send(&a, &place, "before").await;
        assert!(pushed(&app).await.is_empty(), "the notification waits");
        let remove = GroupCommand::Change { conversation: place.clone(), action: GroupAction::Remove(user("b")), key: None };
        app.ask(&a, remove).await.expect("removed");
        app.send(&a, &place, "after").await;
        app.pass(WHILE);
        app.make_pushes_due();
        assert!(pushed(&app).await.is_empty());
        let add = GroupCommand::Change { conversation: place.clone(), action: GroupAction::Add(vec![user("b")]), key: None };
        app.ask(&a, add).await.expect("added");
        app.send(&a, &place, "again").await;
        app.pass(WHILE);
        let notices = pushed(&app).await;
        assert_eq!(texts(&notices), ["again"]);
        let name = notices[0].content.as_ref().and_then(|content| content.conversation_name.clone());
        assert_eq!(name.as_deref(), Some("Garden"));
        // A blocked sender causes no notification.
        app.ask(&b, BlockCommand::Block(user("c"))).await.expect("blocked");
        app.send(&by_http("c"), &place, "blocked").await;
        app.send(&a, &place, "not blocked").await;
        app.pass(WHILE);
        app.make_pushes_due();
        assert_eq!(texts(&pushed(&app).await), ["not blocked"]);
    }

    async fn a_backlog_is_notified_by_its_newest_messages() {
        let (app, a, _, place) = away().await;
        for n in 0..30 {
            app.send(&a, &place, &n.to_string()).await;
            app.clock.pass(Duration::from_millis(100));
        }
        app.pass(Duration::from_secs(3_600));
        let notices = pushed(&app).await;
        assert_eq!(texts(&notices), ["20", "21", "22", "23", "24", "25", "26", "27", "28", "29"]);
        assert_eq!(notices[9].total_unread, 30);
        app.send(&a, &place, "old").await;
        app.pass(Duration::from_secs(25 * 3_600));
        assert!(pushed(&app).await.is_empty());
        assert_eq!(waiting(&app).await, 0);
    }

    async fn the_status_of_the_push_service_decides_about_a_subscription() {
        let (app, a, b, place) = away().await;
        let subscriptions = async || app.store.push_counts().await.expect("counts").subscriptions;
        let answers = |answers: Vec<PushOutcome>| *app.push_service.answers.lock() = answers;
        let later = PushOutcome::Later { after: None, why: "503".into() };
        let refused = || PushOutcome::Refused("400".into());
        app.send(&a, &place, "tried twice").await;
        app.pass(WHILE);
        answers(vec![later]);
        assert_eq!(texts(&pushed(&app).await), ["tried twice"]);
        assert!(pushed(&app).await.is_empty(), "after a pause");
        app.make_pushes_due();
        assert_eq!(texts(&pushed(&app).await), ["tried twice"]);
        app.send(&a, &place, "too large").await;
        app.pass(WHILE);
        answers(vec![PushOutcome::TooLarge]);
        let notices = pushed(&app).await;
        assert_eq!(notices.iter().map(|one| one.content.is_some()).collect::<Vec<_>>(), [true, false]);
        app.send(&a, &place, "refused").await;
        app.pass(WHILE);
        for refusals in 1..=10 {
            assert_eq!(subscriptions().await, 1, "after {refusals}");
            answers(vec![refused()]);
            app.make_pushes_due();
            assert_eq!(pushed(&app).await.len(), 1);
        }
        assert_eq!((subscriptions().await, waiting(&app).await), (0, 0));
        app.ask(&b, subscribe("https://push.example/new")).await.expect("subscribed");
        app.send(&a, &place, "gone").await;
        app.pass(WHILE);
        answers(vec![PushOutcome::Gone]);
        assert_eq!(pushed(&app).await.len(), 1);
        assert_eq!((subscriptions().await, waiting(&app).await), (0, 0));
    }

    async fn subscriptions_are_validated() {
        let app = TestApp::new(Identity::Jwt);
        let b = by_http("b");
        let Ok(Reply::Push(PushReply { key })) = app.ask(&b, PushCommand::Key).await else { panic!("a key") };
        assert_eq!(code(app.ask(&b, subscribe("http://push.example/b")).await), Code::Invalid);
        let long = format!("https://push.example/{}", "x".repeat(2_100));
        assert_eq!(code(app.ask(&b, subscribe(&long)).await), Code::TooLong);
        let with = |key: &str| PushCommand::Subscribe { target: target("https://push.example/b"), content: true, key: Some(key.into()) };
        assert_eq!(code(app.ask(&b, with("another")).await), Code::Conflict);
        app.ask(&b, with(&key)).await.expect("subscribed");
        app.ask(&b, PushCommand::Unsubscribe { endpoint: "https://push.example/b".into() }).await.expect("ended");
        assert_eq!(app.store.push_counts().await.expect("counts").subscriptions, 0);
    }
}

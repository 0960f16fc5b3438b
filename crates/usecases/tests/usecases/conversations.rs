//! Access to conversations, and their creation.

use crate::support::*;
use futures_util::future::join_all;
use lamplight_domain::identity::{ConversationId, MessageId};
use lamplight_domain::presence::{Activity, Change};
use lamplight_usecases::ports::Range;
use lamplight_usecases::{
    AccountCommand, AccountReply, AdminCommand, Code, Command, ConversationCommand,
    ConversationReply, Identity, MessageChange, MessageCommand, MessageReply, PresenceCommand,
    Refusal, Reply,
};
use std::collections::HashSet;

fn about(id: &ConversationId) -> Vec<Command> {
    vec![
        ConversationCommand::View(id.clone()).into(),
        send(id, "let me in").into(),
        PresenceCommand::Typing {
            conversation: id.clone(),
            is_typing: true,
        }
        .into(),
        PresenceCommand::Typing {
            conversation: id.clone(),
            is_typing: false,
        }
        .into(),
        MessageCommand::MarkRead {
            conversation: id.clone(),
            seq: 1,
        }
        .into(),
        MessageCommand::History {
            conversation: id.clone(),
            range: Range::Newest,
            limit: 10,
        }
        .into(),
        MessageCommand::History {
            conversation: id.clone(),
            range: Range::Before(9),
            limit: 10,
        }
        .into(),
        MessageCommand::Entries {
            conversation: id.clone(),
            range: Range::Newest,
            limit: 10,
        }
        .into(),
        MessageCommand::Change {
            conversation: id.clone(),
            message: MessageId::trusted("m1"),
            change: MessageChange::Delete,
            key: None,
        }
        .into(),
        PresenceCommand::SetActivity(Some(Activity {
            kind: "in_call".into(),
            label: None,
            conversation: Some(id.clone()),
        }))
        .into(),
    ]
}

usecase_tests! {
    async fn a_foreign_conversation_looks_like_a_missing_one() {
        let app = TestApp::new(Identity::Jwt);
        let (a, outsider) = (on_socket("a", "sa"), on_socket("x", "sx"));
        let theirs = app.open_with(&a, "b").await;
        app.send(&a, &theirs, "between us").await;
        app.join(&outsider).await;
        app.appended(1).await;
        let before = app.events().len();
        for (foreign, none) in about(&theirs).into_iter().zip(about(&conversation("no such thing"))) {
            let asked = format!("{foreign:?}");
            let foreign = app.ask(&outsider, foreign).await.expect_err("a refusal");
            let none = app.ask(&outsider, none).await.expect_err("a refusal");
            assert_eq!(foreign.code, Code::NotFound, "{asked}");
            assert_eq!(foreign, none, "the texts must not differ: {asked}");
        }
        let both = MessageCommand::Sync { have: vec![(theirs.clone(), 0).into(), (conversation("no such thing"), 0).into()], refused: vec![] };
        let Ok(Reply::Messages(MessageReply::Synced { conversations, added, .. })) = app.ask(&outsider, both).await else { panic!("synced") };
        assert!(conversations.iter().all(|(_, page)| page.is_none()) && added.is_empty());
        assert_eq!(app.events().len(), before, "no event was published");
        app.flush().await;
        assert_eq!(app.receipts(), [], "no mark moved");
    }

    async fn concurrent_opens_by_both_users_create_one_conversation() {
        let app = TestApp::new(Identity::Jwt);
        let asks = (0..20).map(|n| {
            let (who, other) = if n % 2 == 0 { ("a", "b") } else { ("b", "a") };
            let app = &app;
            async move { app.ask(&by_http(who), ConversationCommand::Open(user(other))).await }
        });
        let mut made = 0;
        let mut ids = HashSet::new();
        for answer in join_all(asks).await {
            let Ok(Reply::Conversations(ConversationReply::One { conversation, created })) = answer else { panic!("{answer:?}") };
            made += usize::from(created);
            ids.insert(conversation.id);
        }
        assert_eq!((made, ids.len()), (1, 1));
        let mut changes = app.wait_for_changes(1).await;
        changes.iter_mut().for_each(|(_, to)| to.sort());
        assert_eq!(changes, [(ids.into_iter().next().expect("one"), vec!["a".to_owned(), "b".to_owned()])], "published once, to both");
    }

    async fn a_conversation_needs_another_user_who_exists_in_local() {
        for identity in [Identity::Local, Identity::Jwt, Identity::Open] {
            let app = TestApp::new(identity);
            assert_eq!(code(app.ask(&by_http("a"), ConversationCommand::Open(user("a"))).await), Code::Invalid);
            let with_unknown = app.ask(&by_http("a"), ConversationCommand::Open(user("stranger"))).await;
            if identity == Identity::Local {
                assert_eq!(code(with_unknown), Code::NotFound);
            } else {
                let Ok(Reply::Conversations(ConversationReply::One { conversation, created: true })) = with_unknown else { panic!("made") };
                assert_eq!(conversation.members.iter().map(|member| &*member.name).collect::<Vec<_>>(), ["a", "stranger"]);
            }
        }
    }

    async fn the_host_creates_conversations_and_removes_members() {
        let app = TestApp::new(Identity::Jwt);
        let put = |members: &[&str]| AdminCommand::PutConversation { conversation: conversation("7"), members: members.iter().map(|id| user(id)).collect() };
        assert_eq!(code(app.ask(&host(), put(&[])).await), Code::Invalid);
        let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
        assert_eq!(code(app.ask(&host(), put(&many.iter().map(String::as_str).collect::<Vec<_>>())).await), Code::TooLong);
        assert_eq!(app.conversation_changes(), []);
        let one_pair: Vec<&str> = ["x", "y"].into_iter().cycle().take(1_500).collect();
        let often = AdminCommand::PutConversation { conversation: conversation("8"), members: one_pair.into_iter().map(user).collect() };
        app.ask(&host(), often).await.expect("repeated users count once");
        let before = app.wait_for_changes(1).await.len();

        app.ask(&host(), put(&["b", "a", "b", "c"])).await.expect("put");
        app.ask(&host(), put(&["c", "b", "a"])).await.expect("put again");
        app.send(&by_http("c"), &conversation("7"), "hello").await;

        app.ask(&host(), put(&["a", "b"])).await.expect("put");
        let changes = app.wait_for_changes(before + 2).await;
        let receivers: Vec<_> = changes[before..].iter().map(|(_, to)| to.join(" ")).collect();
        assert_eq!(receivers, ["a b c", "a b"], "the same people in another order are no change");
        let appended = app.appended(2).await;
        assert_eq!(appended[1].0, ["a", "b", "c"], "a removed member gets the entry");
        for command in about(&conversation("7")) {
            let asked = format!("{command:?}");
            assert_eq!(code(app.ask(&on_socket("c", "sc"), command).await), Code::NotFound, "m15: {asked}");
        }
        let before = app.typing().len();
        app.ask(&by_http("a"), PresenceCommand::Typing { conversation: conversation("7"), is_typing: true }).await.expect("accepted");
        assert_eq!(app.typing()[before].1, ["b"], "m15: a removed member gets no typing event");
    }

    async fn in_local_the_host_adds_existing_users_only() {
        let app = TestApp::new(Identity::Local);
        app.ask(&host(), AdminCommand::PutProfile(named("a", "Ada"))).await.expect("written");
        let put = |members: &[&str]| AdminCommand::PutConversation { conversation: conversation("7"), members: members.iter().map(|id| user(id)).collect() };
        let refusal = app.ask(&host(), put(&["a", "stranger"])).await.expect_err("a refusal");
        assert_eq!(refusal.code, Code::NotFound);
        assert!(refusal.message.contains("stranger"), "the refusal names the user: {}", refusal.message);
        assert_eq!(app.conversation_changes(), [], "no conversation was created");
        app.ask(&host(), put(&["a"])).await.expect("put");
    }

    async fn outside_local_the_host_adds_a_thousand_unknown_users() {
        for identity in [Identity::Jwt, Identity::Open] {
            let app = TestApp::new(identity);
            let members = (0..1_000).map(|n| user(&n.to_string())).collect();
            app.ask(&host(), AdminCommand::PutConversation { conversation: conversation("7"), members }).await.expect("put");
            let find = AccountCommand::ListUsers { query: "999".into(), cursor: None, limit: 10 };
            let Ok(Reply::Accounts(AccountReply::Users(page))) = app.ask(&by_http("0"), find).await else { panic!("people") };
            assert_eq!(page.items, [named("999", "999")], "with bare profiles");
            assert_eq!(app.wait_for_changes(1).await.len(), 1);
        }
    }

    async fn a_new_name_is_published_to_the_users_who_can_see_it() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (on_socket("a", "sa"), on_socket("b", "sb"));
        app.join(&a).await;
        let with_b = app.open_with(&a, "b").await;
        app.open_with(&b, "c").await;
        let before = (app.conversation_changes().len(), app.presence_changes().len());
        for _ in 0..2 {
            app.ask(&host(), AdminCommand::PutProfile(named("a", "Ada"))).await.expect("written");
        }
        let changes = app.wait_for_changes(before.0 + 1).await.split_off(before.0);
        assert_eq!(changes.len(), 1, "once, for the one conversation");
        assert_eq!(changes[0].0, with_b);
        let presence = app.presence_changes().split_off(before.1);
        assert!(matches!(&presence[..], [Change::Updated(shown)] if &*shown.profile.name == "Ada"), "{presence:?}");
    }

    async fn an_activity_may_name_a_conversation_of_its_user() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        app.join(&a).await;
        let own = app.open_with(&a, "b").await;
        let activity = Activity { kind: "in_call".into(), label: None, conversation: Some(own) };
        assert!(app.ask(&a, PresenceCommand::SetActivity(Some(activity))).await.is_ok());
    }

    async fn an_unknown_cursor_is_invalid() {
        let app = TestApp::new(Identity::Jwt);
        let a = by_http("a");
        let cursor = || Some("not a cursor!".to_owned());
        for command in [
            Command::from(ConversationCommand::List { filter: None, cursor: cursor(), limit: 10 }),
            PresenceCommand::ListOnline { exclude: None, count_only: false, cursor: cursor(), limit: 10 }.into(),
            AccountCommand::ListUsers { query: String::new(), cursor: cursor(), limit: 10 }.into(),
        ] {
            let asked = format!("{command:?}");
            let refusal: Refusal = app.ask(&a, command).await.expect_err("a refusal");
            assert_eq!(refusal.code, Code::Invalid, "{asked}");
        }
        let long = AccountCommand::ListUsers { query: "x".repeat(201), cursor: None, limit: 10 };
        assert_eq!(code(app.ask(&a, long).await), Code::Invalid);
    }
}

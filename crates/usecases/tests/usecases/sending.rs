//! Sends, read marks, and sync.

use crate::support::*;
use futures_util::future::join_all;
use lamplight_domain::identity::ConnectionId;
use lamplight_domain::message::SendKey;
use lamplight_usecases::ports::Range;
use lamplight_usecases::quotas::Quotas;
use lamplight_usecases::{
    Code, ConversationCommand, ConversationReply, Identity, MessageCommand, MessageReply, Reply,
    Settings,
};

fn unlimited() -> TestApp {
    TestApp::with(Settings {
        identity: Identity::Jwt,
        quotas: Quotas {
            sends: 0,
            ..Quotas::default()
        },
        ..Settings::default()
    })
}

usecase_tests! {
    async fn m1_a_client_message_id_is_stored_once_over_any_transport_and_a_restart() {
        let app = unlimited();
        let (socket, http) = (on_socket("a", "sa"), by_http("a"));
        let place = app.open_with(&socket, "b").await;
        let first = sent(app.ask(&socket, send_as(&place, "hello", "k1")).await);
        assert!(!first.1);
        assert_eq!(sent(app.ask(&http, send_as(&place, "hello", "k1")).await), (first.0.clone(), true));
        let app = app.restart().await;
        assert_eq!(sent(app.ask(&socket, send_as(&place, "hello", "k1")).await), (first.0, true));
        assert_eq!(app.appended(0).await, [], "a duplicate is not sent again");
        assert_eq!(code(app.ask(&socket, send_as(&place, "other words", "k1")).await), Code::Conflict);
        assert!(!sent(app.ask(&by_http("b"), send_as(&place, "hello", "k1")).await).1, "ids of another sender do not collide");
    }

    async fn m1_a_temp_id_is_echoed_and_two_tabs_may_use_the_same() {
        let app = unlimited();
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let temp = |content: &str| MessageCommand::Send {
            conversation: place.clone(),
            content: content.to_owned(),
            reply_to: None,
            mentions: vec![],
            attachments: Vec::new(),
            key: Some(SendKey::TempId("temp-1".into())),
            temp_id: Some("temp-1".into()),
        };
        let mut seqs = Vec::new();
        for content in ["one", "two", "one"] {
            let Ok(Reply::Messages(MessageReply::Sent { entry: message, temp_id, .. })) = app.ask(&a, temp(content)).await else { panic!("sent") };
            assert_eq!(temp_id.as_deref(), Some("temp-1"));
            assert_eq!(message.client_message_id, None, "only the sender sees it");
            seqs.push(message.seq);
        }
        assert_eq!(seqs, [1, 2, 1]);
    }

    async fn m5_one_senders_messages_keep_the_order_of_the_calls() {
        let app = unlimited();
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let sends = (0..100).map(|n| app.ask(&a, send(&place, &n.to_string())));
        let sent: Vec<_> = join_all(sends).await.into_iter().map(|answer| sent(answer).0).collect();
        for (n, message) in sent.iter().enumerate() {
            assert_eq!((message.seq, message.content().unwrap().as_str()), (n as u64 + 1, &*n.to_string()));
        }
    }

    async fn m10_a_message_is_sent_to_every_member_except_the_sending_socket() {
        let app = unlimited();
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        app.send(&a, &place, "hello").await;
        app.send(&by_http("a"), &place, "from nowhere").await;
        let both = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(app.appended(2).await, [(both.clone(), Some(ConnectionId::trusted("sa"))), (both, None)]);
    }

    async fn invalid_messages_are_refused_and_cost_nothing() {
        let app = TestApp::new(Identity::Jwt);
        let a = by_http("a");
        let place = app.open_with(&a, "b").await;
        for _ in 0..30 {
            assert_eq!(code(app.ask(&a, send(&place, " \n\t\u{2003}")).await), Code::EmptyMessage);
            assert_eq!(code(app.ask(&a, send(&place, &"x".repeat(8_001))).await), Code::TooLong);
        }
        let message = app.send(&a, &place, "  as typed \n").await;
        assert_eq!((message.seq, message.content().unwrap().as_str()), (1, "  as typed \n"));
        assert_eq!(app.send(&a, &place, &"😀".repeat(8_000)).await.seq, 2);
    }

    async fn m9_the_read_mark_only_grows_and_is_published_when_it_moves() {
        let app = unlimited();
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        for n in 0..5 {
            app.send(&a, &place, &n.to_string()).await;
        }
        let before = app.receipts().len();
        for (seq, read) in [(3, 3), (2, 3), (3, 3), (99, 5), (5, 5)] {
            let Ok(Reply::Messages(MessageReply::Read { read_seq, .. })) = app.ask(&b, MessageCommand::MarkRead { conversation: place.clone(), seq }).await else { panic!("read") };
            assert_eq!(read_seq, read, "after {seq}");
        }
        let reads: Vec<_> = app.receipts().split_off(before).into_iter().map(|receipt| (receipt.user, receipt.read_seq)).collect();
        assert_eq!(reads, [(user("b"), 3), (user("b"), 5)]);
        let changed = app.conversation_changes();
        assert_eq!(changed.iter().filter(|(_, to)| to == &["b"]).count(), 2, "every device of the reader gets the change");
    }

    async fn m9_a_users_own_messages_are_never_unread() {
        let app = unlimited();
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        app.send(&b, &place, "hi").await;
        app.send(&a, &place, "hello").await;
        let mut unread = Vec::new();
        for who in [&a, &b] {
            let Ok(Reply::Conversations(ConversationReply::Page { page, .. })) = app.ask(who, ConversationCommand::List { filter: None, cursor: None, limit: 10 }).await else { panic!("listed") };
            unread.push((page.items[0].unread, page.items[0].read_seq, page.items[0].head_seq));
        }
        assert_eq!(unread, [(0, 2, 2), (1, 1, 2)]);
    }

    async fn m6_sync_returns_missed_entries_and_reports_more() {
        let app = unlimited();
        let (a, b) = (by_http("a"), by_http("b"));
        let long = app.open_with(&a, "b").await;
        let other = app.open_with(&b, "c").await;
        for n in 0..205 {
            app.send(&a, &long, &n.to_string()).await;
        }
        let Ok(Reply::Messages(MessageReply::Synced { conversations, added, .. })) = app.ask(&b, MessageCommand::Sync { have: vec![(long.clone(), 2).into()], refused: vec![] }).await else { panic!("synced") };
        let page = conversations[0].1.as_ref().expect("a page");
        assert_eq!((page.entries.len(), page.head_seq, page.has_more, page.first_seq), (200, 205, true, 1));
        assert!(page.entries.iter().zip(3..).all(|(entry, seq)| entry.seq == seq));
        assert_eq!(added.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [other]);

        let all = MessageCommand::Sync { have: vec![(long.clone(), 205).into()], refused: vec![] };
        let Ok(Reply::Messages(MessageReply::Synced { conversations, .. })) = app.ask(&b, all).await else { panic!("synced") };
        assert!(conversations[0].1.as_ref().is_some_and(|page| page.entries.is_empty() && !page.has_more && !page.reset));
        let many = (0..101).map(|n| (conversation(&n.to_string()), 0).into()).collect();
        assert_eq!(code(app.ask(&b, MessageCommand::Sync { have: many, refused: vec![] }).await), Code::TooLong);
    }

    async fn fetched_messages_are_marked_as_delivered() {
        let app = unlimited();
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        for n in 0..3 {
            app.send(&a, &place, &n.to_string()).await;
        }
        app.flush().await;
        let marks = |app: &TestApp| -> Vec<_> { app.receipts().into_iter().filter(|one| one.user == user("b")).map(|one| one.delivered_seq).collect() };
        assert_eq!(marks(&app), [0_u64; 0]);
        let range = Range::Before(3);
        app.ask(&b, MessageCommand::History { conversation: place.clone(), range, limit: 10 }).await.expect("a part");
        app.flush().await;
        assert_eq!(marks(&app), [2]);
        app.ask(&b, MessageCommand::Sync { have: vec![(place.clone(), 0).into()], refused: vec![] }).await.expect("synced");
        app.delivered(&user("b"), &place, 1);
        app.flush().await;
        app.ask(&b, MessageCommand::History { conversation: place.clone(), range, limit: 10 }).await.expect("a part");
        app.flush().await;
        assert_eq!(marks(&app), [2, 3], "marks never decrease, and are published only when they move");
    }
}

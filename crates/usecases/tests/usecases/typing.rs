//! Typing, and invisible users who type.

use crate::support::*;
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::presence::{ManualStatus, OfflineReason};
use lamplight_usecases::ports::{Blocks as _, Messages as _};
use lamplight_usecases::{
    BlockCommand, Identity, MessageCommand, MessageReply, PresenceCommand, Reply,
};
use std::time::Duration;

fn typing(conversation: &ConversationId, is_typing: bool) -> PresenceCommand {
    PresenceCommand::Typing {
        conversation: conversation.clone(),
        is_typing,
    }
}

fn notice(who: &str, to: &str, is_typing: bool) -> (String, Vec<String>, bool) {
    (who.to_owned(), vec![to.to_owned()], is_typing)
}

const SECOND: Duration = Duration::from_secs(1);

usecase_tests! {
    async fn typing_is_sent_to_the_other_members_and_ends_after_six_seconds() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        assert_eq!(app.typing(), [notice("a", "b", true)]);
        let until = app.events().into_iter().find_map(|event| if let Event::Typing { expires_at, .. } = event { Some(expires_at) } else { None });
        assert_eq!(until.map(|until| until.0 - app.now().0), Some(6_000));

        app.pass(4 * SECOND);
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.pass(5 * SECOND);
        assert_eq!(app.typing(), [notice("a", "b", true), notice("a", "b", true)], "a repetition restarts the six seconds");
        app.pass(2 * SECOND);
        assert_eq!(app.typing()[2..], [notice("a", "b", false)]);
        app.pass(20 * SECOND);
        app.ask(&a, typing(&place, false)).await.expect("nothing");
        assert_eq!(app.typing().len(), 3, "the end is published once");
    }

    async fn p9_a_jump_of_the_wall_clock_does_not_end_typing() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.clock.jump(3_600_000);
        app.pass(5 * SECOND);
        app.clock.jump(-7_200_000);
        assert_eq!(app.typing().len(), 1);
        app.pass(2 * SECOND);
        assert_eq!(app.typing().len(), 2);
    }

    async fn m15_a_removed_member_does_not_receive_the_end_of_typing() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let members = ["a", "b", "c"].map(user);
        let place = ConversationId::trusted("hosted");
        app.store.put_conversation(&place, &members, app.now()).await.expect("a conversation");
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.handler.members_left(&place, &[user("c")]);
        app.pass(7 * SECOND);
        let from_a = |to: &[&str], is_typing| ("a".to_owned(), to.iter().map(ToString::to_string).collect(), is_typing);
        assert_eq!(app.typing(), [from_a(&["b", "c"], true), from_a(&["b"], false)]);
    }

    /// A later end would reveal whether a block happened before it.
    async fn m15_typing_ends_before_a_block_and_is_not_sent_after_it() {
        for (by, whom) in [("a", "b"), ("b", "a")] {
            let app = TestApp::new(Identity::Jwt);
            let a = on_socket("a", "sa");
            app.join(&a).await;
            let place = app.open_with(&a, "b").await;
            app.ask(&a, typing(&place, true)).await.expect("accepted");
            app.ask(&by_http(by), BlockCommand::Block(user(whom))).await.expect("blocked");
            let expected = [notice("a", "b", true), notice("a", "b", false)];
            assert_eq!(app.typing(), expected);
            let events = app.events();
            let position = |is_it: fn(&Event) -> bool| events.iter().position(is_it).expect("published");
            let end = position(|event| matches!(event, Event::Typing { is_typing: false, .. }));
            let first = position(|event| matches!(event, Event::TypingEnds { is_published: true, .. }));
            let last = position(|event| matches!(event, Event::TypingEnds { is_published: false, .. }));
            let change = position(|event| matches!(event, Event::BlockersChanged { .. }));
            assert!(end < last && first < last && last < change);
            app.pass(10 * SECOND);
            for is_typing in [true, false] {
                app.ask(&a, typing(&place, is_typing)).await.expect("accepted");
            }
            app.ask(&a, PresenceCommand::Leave { reason: OfflineReason::Closed }).await.expect("gone");
            assert_eq!(app.typing(), expected);
        }
    }

    /// On another node than the one that blocks.
    async fn m15_typing_during_a_block_on_another_node_ends_silently() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b, c) = (on_socket("a", "sa"), on_socket("b", "sb"), on_socket("c", "sc"));
        let place = app.open_with(&a, "b").await;
        let other = app.open_with(&c, "a").await;
        let between = ["b", "a"].map(user);
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.ask(&a, typing(&other, true)).await.expect("accepted");
        app.handler.end_typing(&between, true);
        assert_eq!(app.typing()[2..], [notice("a", "b", false)]);
        app.ask(&b, typing(&place, true)).await.expect("accepted");
        app.store.block(&user("b"), &user("a"), 10, app.now()).await.expect("blocked");
        app.handler.end_typing(&between, false);
        app.ask(&b, typing(&place, false)).await.expect("accepted");
        app.pass(10 * SECOND);
        assert_eq!(app.typing()[3..], [notice("b", "a", true), notice("a", "c", false)], "typing to others continues");
    }

    async fn the_end_of_typing_is_not_sent_after_a_block_of_another_node() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.store.block(&user("b"), &user("a"), 10, app.now()).await.expect("blocked");
        app.ask(&a, typing(&place, false)).await.expect("accepted");
        assert_eq!(app.typing(), [notice("a", "b", true)]);
        assert_eq!(app.handler.table_sizes().typing, 0);
    }

    async fn in_a_group_that_shrank_to_two_blocks_do_not_stop_typing() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = ConversationId::trusted("group");
        for members in [["a", "b", "c"].as_slice(), &["a", "b"]] {
            let members: Vec<_> = members.iter().map(|id| user(id)).collect();
            app.store.put_conversation(&place, &members, app.now()).await.expect("a conversation");
        }
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.ask(&by_http("b"), BlockCommand::Block(user("a"))).await.expect("blocked");
        for is_typing in [true, false] {
            app.ask(&a, typing(&place, is_typing)).await.expect("accepted");
        }
        assert_eq!(app.typing(), [true, true, false].map(|is_typing| notice("a", "b", is_typing)));
    }

    async fn a_message_ends_typing_without_an_event() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.send(&a, &place, "hello").await;
        app.pass(10 * SECOND);
        assert_eq!(app.typing(), [notice("a", "b", true)]);
    }

    async fn leaving_ends_typing() {
        for going in [PresenceCommand::Leave { reason: OfflineReason::Closed }, PresenceCommand::SignOut] {
            let app = TestApp::new(Identity::Jwt);
            let a = on_socket("a", "sa");
            app.join(&a).await;
            let place = app.open_with(&a, "b").await;
            app.ask(&a, typing(&place, true)).await.expect("accepted");
            app.ask(&a, going).await.expect("gone");
            assert_eq!(app.typing(), [notice("a", "b", true), notice("a", "b", false)], "at once");
            app.pass(10 * SECOND);
            assert_eq!(app.typing().len(), 2);
        }
    }

    async fn p11_typing_of_invisible_users_is_not_sent() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        app.join(&a).await;
        let place = app.open_with(&a, "b").await;
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        app.set_status(&a, ManualStatus::Invisible).await;
        assert_eq!(app.typing(), [notice("a", "b", true), notice("a", "b", false)], "as if the user had left");
        assert!(app.ask(&a, typing(&place, true)).await.is_ok(), "the invisible user gets no error");
        app.ask(&a, typing(&place, false)).await.expect("nothing");
        app.pass(10 * SECOND);
        assert_eq!(app.typing().len(), 2);
        app.set_status(&a, ManualStatus::Online).await;
        app.ask(&a, typing(&place, true)).await.expect("accepted");
        assert_eq!(app.typing().len(), 3);
    }

    async fn p11_delivered_marks_of_invisible_users_are_withheld_and_catch_up() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (on_socket("a", "sa"), on_socket("b", "sb"));
        app.join(&b).await;
        let place = app.open_with(&a, "b").await;
        let marks = |app: &TestApp| -> Vec<_> { app.receipts().into_iter().filter(|one| one.user == user("b")).map(|one| one.delivered_seq).collect() };
        for n in 1..=4 {
            if n == 2 {
                app.set_status(&b, ManualStatus::Invisible).await;
            }
            let seq = app.send(&a, &place, &n.to_string()).await.seq;
            app.delivered(&user("b"), &place, seq);
            app.flush().await;
        }
        app.pass(10 * SECOND);
        app.flush().await;
        assert_eq!(marks(&app), [1]);
        let Ok(Reply::Messages(MessageReply::Synced { conversations, .. })) = app.ask(&a, MessageCommand::Sync { have: vec![(place.clone(), 0).into()], refused: vec![] }).await else { panic!("synced") };
        let receipts = &conversations[0].1.as_ref().expect("a page").receipts;
        assert_eq!(receipts.iter().find(|one| one.user == user("b")).map(|one| one.delivered_seq), Some(1), "a sync does not reveal it either");

        app.set_status(&b, ManualStatus::Busy).await;
        app.flush().await;
        assert_eq!(marks(&app), [1, 4]);
    }
}

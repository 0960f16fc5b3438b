//! Changes of messages: edits, reactions, pins, deletions.

use crate::support::*;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::fold::{Message, fold};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::SendKey;
use lamplight_usecases::ports::Range;
use lamplight_usecases::{
    AdminCommand, Caller, Code, Identity, MessageChange, MessageCommand, MessageReply, Reply,
    Settings,
};
use std::time::Duration;

fn change(place: &ConversationId, message: &MessageId, change: MessageChange) -> MessageCommand {
    MessageCommand::Change {
        conversation: place.clone(),
        message: message.clone(),
        change,
        key: None,
    }
}

fn edit(content: &str) -> MessageChange {
    MessageChange::Edit {
        content: content.to_owned(),
        mentions: vec![],
    }
}

fn react(emoji: &str, added: bool) -> MessageChange {
    MessageChange::React {
        emoji: emoji.to_owned(),
        added,
    }
}

/// A message with mentions.
fn naming(
    place: &ConversationId,
    reply_to: Option<&MessageId>,
    mentions: Vec<UserId>,
) -> MessageCommand {
    MessageCommand::Send {
        conversation: place.clone(),
        content: "hello".into(),
        reply_to: reply_to.cloned(),
        mentions,
        attachments: Vec::new(),
        key: None,
        temp_id: None,
    }
}

/// The `seq` of the entry, and whether it existed already.
fn changed(answer: Answer) -> (u64, bool) {
    match answer.expect("changed") {
        Reply::Messages(MessageReply::Changed { entry, duplicate }) => (entry.seq, duplicate),
        other => panic!("{other:?}"),
    }
}

async fn now(app: &TestApp, caller: &Caller, place: &ConversationId) -> Vec<Message> {
    let command = MessageCommand::History {
        conversation: place.clone(),
        range: Range::Newest,
        limit: 200,
    };
    match app.ask(caller, command).await.expect("a page") {
        Reply::Messages(MessageReply::History(page)) => page.messages,
        other => panic!("{other:?}"),
    }
}

usecase_tests! {
    async fn a_message_is_changed_by_entries_and_shown_in_its_current_form() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        let id = app.send(&a, &place, "first").await.id.clone();
        for (caller, wanted, expected) in [
            (&a, edit("second"), (2, false)),
            (&b, react("👍", true), (3, false)),
            (&a, react("👍", true), (4, false)),
            (&b, react("👍", true), (3, true)),
            (&b, MessageChange::Pin { pinned: true }, (5, false)),
            (&a, MessageChange::Pin { pinned: true }, (5, true)),
            (&a, edit("second"), (2, true)),
        ] {
            assert_eq!(changed(app.ask(caller, change(&place, &id, wanted.clone())).await), expected, "{wanted:?}");
        }
        let messages = now(&app, &b, &place).await;
        let [message] = &messages[..] else { panic!("one message") };
        assert_eq!(message.content(), "second");
        assert_eq!((message.reactions.len(), message.reactions[0].count), (1, 2));
        assert!(message.reactions[0].is_mine && message.pinned_at.is_some() && message.edited_at.is_some());
        let command = MessageCommand::Entries { conversation: place.clone(), range: Range::Newest, limit: 200 };
        let Ok(Reply::Messages(MessageReply::Entries(log))) = app.ask(&b, command).await else { panic!("the log") };
        assert_eq!(log.entries.len(), 5);
        assert_eq!(fold(&log.entries, &user("b")), messages);
        assert_eq!(app.appended(5).await.len(), 5, "changes without effect are not published");
    }

    async fn a_deletion_is_published_and_a_repeated_send_is_still_a_duplicate() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (on_socket("a", "sa"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        let (entry, _) = sent(app.ask(&a, send_as(&place, "secret", "id-1")).await);
        let before = app.conversation_changes().len();
        assert_eq!(changed(app.ask(&a, change(&place, &entry.id, MessageChange::Delete)).await), (2, false));
        assert_eq!(changed(app.ask(&a, change(&place, &entry.id, MessageChange::Delete)).await), (2, true));
        let published = app.appended(2).await;
        assert_eq!(published[1].1, a.session, "every connection except the deleting one");
        let published = async || loop {
            match app.conversation_changes().split_off(before) {
                none if none.is_empty() => tokio::time::sleep(Duration::from_millis(5)).await,
                changes => break changes,
            }
        };
        let changes = tokio::time::timeout(Duration::from_secs(20), published()).await.expect("published");
        assert_eq!(changes, [(place.clone(), vec!["a".to_owned(), "b".to_owned()])]);
        assert_eq!(now(&app, &b, &place).await[0].content(), "");
        match app.ask(&a, send_as(&place, "secret", "id-1")).await.expect("sent") {
            Reply::Messages(MessageReply::Sent { entry: again, now, duplicate, .. }) => {
                assert!(duplicate && again.id == entry.id);
                assert!(now.expect("the current message").deleted_at.is_some());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(code(app.ask(&a, send_as(&place, "another", "id-1")).await), Code::Conflict);
    }

    async fn forbidden_changes_are_refused_with_their_codes() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        let other_place = app.open_with(&a, "c").await;
        let theirs = app.send(&a, &other_place, "elsewhere").await.id.clone();
        let id = app.send(&a, &place, "first").await.id.clone();
        let gone = app.send(&a, &place, "gone").await.id.clone();
        app.ask(&a, change(&place, &gone, MessageChange::Delete)).await.expect("deleted");
        let nothing = MessageId::trusted("nothing");
        app.clock.pass(Duration::from_secs(1));
        for (caller, command, expected) in [
            (&b, change(&place, &id, edit("mine now")), Code::Forbidden),
            (&b, change(&place, &id, MessageChange::Delete), Code::Forbidden),
            (&a, change(&place, &gone, edit("back")), Code::NotFound),
            (&b, change(&place, &gone, react("👍", true)), Code::NotFound),
            (&b, change(&place, &nothing, react("👍", true)), Code::NotFound),
            (&a, change(&place, &theirs, edit("through another")), Code::NotFound),
            (&b, change(&other_place, &theirs, react("👍", true)), Code::NotFound),
            (&a, change(&place, &id, edit(" \n")), Code::EmptyMessage),
            (&a, change(&place, &id, edit(&"x".repeat(8_001))), Code::TooLong),
            (&b, change(&place, &id, react("ok", true)), Code::Invalid),
            (&b, change(&place, &id, react("👍👍", false)), Code::Invalid),
            (&a, naming(&place, Some(&gone), vec![]), Code::Invalid),
            (&a, naming(&place, Some(&theirs), vec![]), Code::Invalid),
            (&a, naming(&place, None, vec![user("c")]), Code::Invalid),
            (&a, naming(&place, None, (0..101).map(|n| user(&n.to_string())).collect()), Code::TooLong),
        ] {
            assert_eq!(code(app.ask(caller, command.clone()).await), expected, "{command:?}");
        }
        app.ask(&b, naming(&place, Some(&id), vec![user("a")])).await.expect("answered");
    }

    async fn edits_are_possible_within_the_configured_time() {
        let app = TestApp::with(Settings { identity: Identity::Jwt, edit_window: Some(Duration::from_secs(60)), ..Settings::default() });
        let a = by_http("a");
        let place = app.open_with(&a, "b").await;
        let id = app.send(&a, &place, "first").await.id.clone();
        app.clock.pass(Duration::from_secs(60));
        let keyed = MessageCommand::Change {
            conversation: place.clone(),
            message: id.clone(),
            change: edit("second"),
            key: Some(SendKey::ClientMessageId("e1".into())),
        };
        assert_eq!(changed(app.ask(&a, keyed.clone()).await), (2, false));
        app.clock.pass(Duration::from_millis(1));
        assert_eq!(code(app.ask(&a, change(&place, &id, edit("third"))).await), Code::Forbidden);
        assert_eq!(changed(app.ask(&a, keyed).await), (2, true), "a repetition adds no edit");
        assert_eq!(changed(app.ask(&a, change(&place, &id, MessageChange::Delete)).await), (3, false));
    }

    async fn h2_changes_and_messages_share_one_limit() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        let id = app.send(&a, &place, "first").await.id.clone();
        for n in 1..20 {
            app.ask(&a, change(&place, &id, edit(&n.to_string()))).await.expect("edited");
        }
        assert_eq!(code(app.ask(&a, send(&place, "one more")).await), Code::RateLimited);
        assert_eq!(code(app.ask(&a, change(&place, &id, edit("more"))).await), Code::RateLimited);
        app.ask(&b, change(&place, &id, react("👍", true))).await.expect("another user's limit is their own");
    }

    async fn members_of_a_hosted_conversation_have_no_admin_rights() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = conversation("three");
        let members = ["a", "b", "c"].map(user).to_vec();
        app.ask(&host(), AdminCommand::PutConversation { conversation: place.clone(), members }).await.expect("made");
        let id = app.send(&a, &place, "first").await.id.clone();
        let pin = || change(&place, &id, MessageChange::Pin { pinned: true });
        assert_eq!(code(app.ask(&a, pin()).await), Code::Forbidden);
        assert_eq!(code(app.ask(&b, pin()).await), Code::Forbidden);
        let entry = app.ask(&b, change(&place, &id, react("👍", true))).await.expect("a reaction");
        let Reply::Messages(MessageReply::Changed { entry, .. }) = entry else { panic!("changed") };
        assert!(matches!(&entry.change().expect("a change").action, MessageAction::React { added: true, .. }));
    }
}

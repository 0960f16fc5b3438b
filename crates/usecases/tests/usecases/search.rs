//! Searches of messages.

use crate::support::*;
use lamplight_domain::identity::ConversationId;
use lamplight_usecases::ports::MessageSearch;
use lamplight_usecases::{Code, Identity, MessageQuery, Reply, SearchCommand, SearchReply};

fn search(query: &str, conversation: Option<&ConversationId>) -> SearchCommand {
    search_from(query, conversation, None)
}

fn search_from(
    query: &str,
    conversation: Option<&ConversationId>,
    cursor: Option<&str>,
) -> SearchCommand {
    SearchCommand::Messages(MessageQuery {
        query: query.to_owned(),
        conversation: conversation.cloned(),
        sender: None,
        before: None,
        after: None,
        cursor: cursor.map(str::to_owned),
        limit: 20,
    })
}

fn found(answer: Answer) -> SearchReply {
    match answer.expect("found") {
        Reply::Search(reply) => reply,
        other => panic!("{other:?}"),
    }
}

usecase_tests! {
    async fn a_search_finds_messages_with_the_parts_that_match() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        app.send(&a, &place, "😀 Hello and hello").await;
        app.send(&a, &place, "another").await;
        while app.store.advance(100).await.expect("a step").is_behind {}
        let reply = found(app.ask(&b, search("hel", None)).await);
        let [one] = &reply.found[..] else { panic!("one message") };
        assert_eq!(one.message.content(), "😀 Hello and hello");
        assert_eq!(one.highlights, [(3, 8), (13, 18)]);
        assert_eq!(reply.next, None);
        assert_eq!(found(app.ask(&b, search("hel", Some(&place))).await).found.len(), 1);
        assert_eq!(found(app.ask(&by_http("c"), search("hel", None)).await).found.len(), 0);
    }

    async fn a_search_that_cannot_be_answered_is_refused() {
        let app = TestApp::new(Identity::Jwt);
        let (a, c) = (by_http("a"), by_http("c"));
        let place = app.open_with(&a, "b").await;
        for query in ["", "  ", "👍", &"x".repeat(201)] {
            assert_eq!(code(app.ask(&a, search(query, None)).await), Code::Invalid, "{query}");
        }
        assert_eq!(code(app.ask(&c, search("x", Some(&place))).await), Code::NotFound);
        let bad = search_from("x", None, Some("no cursor"));
        assert_eq!(code(app.ask(&a, bad).await), Code::Invalid);
        let mut refused = false;
        for _ in 0..50 {
            refused |= app.ask(&a, search("x", None)).await.is_err_and(|refusal| refusal.code == Code::RateLimited);
        }
        assert!(refused, "searches have a separate limit");
    }
}

//! Edits, deletions and replies.

use super::{act, contents, done, edit, log, now, pin, react, refused, send, unchanged};
use crate::messages::{fresh, put};
use crate::{Subject, client_id, message, user};
use lamplight_domain::entry::{Entry, MessageAction};
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::Content;
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{AppendError, Messages};

/// An edit changes the current message, and not the entry of the send.
pub async fn an_edited_message_has_its_last_content_and_the_log_has_all<S: Messages>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let one = send(store, "c", "a", "one").await;
    let two = send(store, "c", "a", "two").await;
    assert_eq!(done(store, "c", "a", &one, edit("first")).await, 3);
    assert_eq!(done(store, "c", "a", &one, edit("first\u{0}!")).await, 4);
    let messages = now(store, "b", "c").await;
    assert_eq!(contents(&messages), ["first\u{0}!", "two"]);
    assert!(messages[0].edited_at.is_some());
    assert_eq!(messages[1].edited_at, None);
    assert_eq!(messages[0].entry.id, one);
    let log = log(store, "b", "c").await;
    assert_eq!(log[0].content().map(Content::as_str), Some("one"));
    let change = log[2].change().expect("an edit");
    assert_eq!((&change.message, change.message_seq), (&one, 1));
    assert_eq!(change.action, edit("first"));
    // The same content again changes nothing; the entry that made it answers.
    let again = store.append(act("c", "a", &one, edit("first\u{0}!")), None);
    assert_eq!(unchanged(again.await), 4);
    let same = store.append(act("c", "a", &two, edit("two")), None);
    assert_eq!(unchanged(same.await), 2);
    subject.events.exactly(4).await;
}

/// A deletion empties the message and its edits everywhere, and takes the reactions, the pin and the
/// excerpts with it. The entries keep their places.
pub async fn a_deleted_message_is_in_no_answer<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let one = send(store, "c", "a", "secret one").await;
    done(store, "c", "a", &one, edit("secret two")).await;
    done(store, "c", "b", &one, react("👍", true)).await;
    done(store, "c", "b", &one, pin(true)).await;
    let answer = reply("c", "b", "answer", &one, &["a"]);
    assert_eq!(fresh(store.append(answer, None).await), 5);
    assert_eq!(done(store, "c", "a", &one, MessageAction::Delete).await, 6);
    let messages = now(store, "b", "c").await;
    assert_eq!(contents(&messages), ["", "answer"]);
    assert!(messages[0].deleted_at.is_some());
    assert_eq!(
        (
            messages[0].edited_at,
            messages[0].pinned_at,
            messages[0].reactions.len()
        ),
        (None, None, 0)
    );
    let log = log(store, "b", "c").await;
    let seqs: Vec<u64> = log.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    assert!(!format!("{log:?}{messages:?}").contains("secret"));
    assert_eq!(
        log[1].change().map(|change| &change.action),
        Some(&edit(""))
    );
    let quote = log[4].extras().and_then(|extras| extras.reply_to.as_ref());
    assert_eq!(
        quote.map(|quote| (&quote.id, &*quote.excerpt)),
        Some((&one, ""))
    );
    // Nothing can be done to it any more, and deleting it again changes nothing.
    let again = store.append(act("c", "a", &one, MessageAction::Delete), None);
    assert_eq!(unchanged(again.await), 6);
    for action in [
        edit("back"),
        react("👍", true),
        react("👍", false),
        pin(true),
    ] {
        let outcome = store.append(act("c", "a", &one, action), None).await;
        assert_eq!(refused(outcome), WriteRefused::NoMessage);
    }
    let late = store.append(reply("c", "b", "late", &one, &[]), None).await;
    assert_eq!(refused(late), WriteRefused::UnknownReply);
}

fn reply(place: &str, sender: &str, content: &str, to: &MessageId, mentions: &[&str]) -> NewEntry {
    NewEntry {
        write: Write::Message {
            content: Content::trusted(content),
            reply_to: Some(to.clone()),
            mentions: mentions.iter().map(|id| user(id)).collect(),
            attachments: Vec::new(),
        },
        ..message(place, sender, "")
    }
}

/// A reply names the quoted message, with an excerpt of its current text. Only members are mentioned.
pub async fn replies_quote_the_current_text<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b", "d"]).await;
    put(store, "other", &["a", "b"]).await;
    let one = send(store, "c", "a", "first\nline").await;
    let elsewhere = send(store, "other", "a", "elsewhere").await;
    let answer = reply("c", "b", "yes", &one, &["d", "a"]);
    let sent = store.append(answer, None).await.expect("a reply");
    let quoted = |entry: &Entry| {
        let extras = entry.extras().expect("extras").clone();
        let quote = extras.reply_to.expect("a reply");
        let mentions: Vec<_> = extras
            .mentions
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect();
        (
            quote.id,
            quote.seq,
            quote.sender,
            quote.excerpt.to_string(),
            mentions,
        )
    };
    let expected = |excerpt: &str| {
        let mentions = vec!["d".to_owned(), "a".to_owned()];
        (one.clone(), 1, user("a"), excerpt.to_owned(), mentions)
    };
    assert_eq!(quoted(&sent.entry), expected("first line"));
    let published = subject.events.exactly(3).await;
    assert_eq!(published[2].0, sent.entry, "with the excerpt");
    done(store, "c", "a", &one, edit("edited")).await;
    assert_eq!(
        quoted(&now(store, "d", "c").await[1].entry),
        expected("edited")
    );
    assert_eq!(quoted(&log(store, "d", "c").await[1]), expected("edited"));
    // An edit of the reply keeps its quote and replaces its mentions.
    let reworded = MessageAction::Edit {
        content: Content::trusted("no"),
        mentions: vec![user("b")],
    };
    done(store, "c", "b", &sent.entry.id, reworded).await;
    let reworded = quoted(&now(store, "d", "c").await[1].entry);
    assert_eq!(
        (reworded.0, reworded.4),
        (one.clone(), vec!["b".to_owned()])
    );

    let to =
        |on: &MessageId, mentions: &[&str]| store.append(reply("c", "b", "x", on, mentions), None);
    for on in [&elsewhere, &MessageId::trusted("unknown")] {
        assert_eq!(refused(to(on, &[]).await), WriteRefused::UnknownReply);
    }
    assert_eq!(
        refused(to(&one, &["a", "s"]).await),
        WriteRefused::UnknownMention
    );
    let mention = MessageAction::Edit {
        content: Content::trusted("x"),
        mentions: vec![user("s")],
    };
    let mention = store.append(act("c", "a", &one, mention), None).await;
    assert_eq!(refused(mention), WriteRefused::UnknownMention);
    // Replies to own messages and to replies are allowed.
    assert_eq!(fresh(to(&sent.entry.id, &[]).await), 5);
}

/// A repetition is recognised after any changes of the message, and another write under the same
/// key is a conflict.
pub async fn m1_and_m2_repetitions_are_recognised_after_edits_and_deletions<S: Messages>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let keyed = |entry: NewEntry, key: &str| NewEntry {
        key: client_id(key),
        ..entry
    };
    let first = || keyed(message("c", "a", "hello"), "one");
    let sent = store.append(first(), None).await.expect("a message");
    let id = sent.entry.id.clone();
    let of_edit = || keyed(act("c", "a", &id, edit("changed")), "two");
    assert_eq!(fresh(store.append(of_edit(), None).await), 2);
    let repeated = store.append(first(), None).await.expect("a repetition");
    assert!(repeated.duplicate);
    assert_eq!(repeated.entry, sent.entry);
    assert_eq!(repeated.message.expect("as it is now").content(), "changed");
    assert_eq!(unchanged(store.append(of_edit(), None).await), 2);
    let of_reaction = || keyed(act("c", "a", &id, react("👍", true)), "three");
    assert_eq!(fresh(store.append(of_reaction(), None).await), 3);
    let of_deletion = || keyed(act("c", "a", &id, MessageAction::Delete), "four");
    assert_eq!(fresh(store.append(of_deletion(), None).await), 4);

    let repeated = store.append(first(), None).await.expect("a repetition");
    assert!(repeated.duplicate);
    assert_eq!((&repeated.entry.id, repeated.entry.seq), (&id, 1));
    let message_now = repeated.message.expect("as it is now");
    assert_eq!(message_now.content(), "");
    assert!(message_now.deleted_at.is_some());
    assert_eq!(unchanged(store.append(of_edit(), None).await), 2);
    assert_eq!(unchanged(store.append(of_reaction(), None).await), 3);
    assert_eq!(unchanged(store.append(of_deletion(), None).await), 4);
    for conflict in [
        keyed(message("c", "a", ""), "one"),
        keyed(message("c", "a", "other"), "one"),
        keyed(message("c", "a", "changed"), "two"),
        keyed(act("c", "a", &id, edit("")), "two"),
        keyed(act("c", "a", &id, react("❤️", true)), "three"),
        keyed(act("c", "a", &id, react("👍", false)), "three"),
        keyed(act("c", "a", &id, pin(true)), "four"),
    ] {
        let outcome = store.append(conflict, None).await;
        assert!(matches!(outcome, Err(AppendError::Conflict)), "{outcome:?}");
    }
    assert_eq!(log(store, "b", "c").await.len(), 4);
    subject.events.exactly(4).await;
}

//! Sending, exactly once and in order.

use super::{fresh, put, text};
use crate::{Subject, client_id, conversation, message, temp_id, user};
use futures_util::future::join_all;
use lamplight_domain::identity::ConnectionId;
use lamplight_usecases::ports::{AppendError, Messages, Range};

/// However often it is sent, there is one entry and one answer.
pub async fn m1_a_client_message_id_is_stored_once_and_answered_the_same_each_time<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    let mut first = message("c", "a", "hello");
    first.key = client_id("one");
    let first = store.append(first, None).await.expect("the first");
    assert!(!first.duplicate);
    assert_eq!(first.entry.client_message_id.as_deref(), Some("one"));
    for _ in 0..3 {
        let mut again = message("c", "a", "hello");
        again.key = client_id("one");
        let again = store.append(again, None).await.expect("a repetition");
        assert!(again.duplicate);
        assert_eq!(
            again.entry, first.entry,
            "the first answer, its id and time included"
        );
    }
    let log = store
        .history(&user("b"), &conversation("c"), Range::Newest, 10)
        .await
        .expect("a log")
        .expect("a member");
    assert_eq!(log.entries, [(*first.entry).clone()]);
    subject.events.exactly(1).await;
}

/// A client that reuses an id gets an error, and nothing is stored.
pub async fn m1_the_same_client_message_id_with_other_content_is_a_conflict<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    for (content, is_first) in [("hello", true), ("hello!", false), ("Hello", false)] {
        let mut sent = message("c", "a", content);
        sent.key = client_id("one");
        let outcome = store.append(sent, None).await;
        assert!(
            if is_first {
                outcome.is_ok()
            } else {
                matches!(outcome, Err(AppendError::Conflict))
            },
            "{content}"
        );
    }
    assert_eq!(
        fresh(store.append(message("c", "a", "next"), None).await),
        2
    );
}

/// The same id from another sender or in another conversation is another message.
pub async fn m1_client_message_ids_are_the_senders_own_in_each_conversation<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    put(&**store, "d", &["a", "b"]).await;
    for (place, sender, seq) in [("c", "a", 1), ("c", "b", 2), ("d", "a", 1), ("d", "b", 2)] {
        let mut sent = message(place, sender, "hello");
        sent.key = client_id("one");
        assert_eq!(fresh(store.append(sent, None).await), seq);
    }
    // A temporary id never equals a client message id, even with the same text.
    let mut sent = message("c", "a", "hello");
    sent.key = temp_id("one");
    assert_eq!(fresh(store.append(sent, None).await), 3);
}

/// Two tabs can generate the same temporary id.
pub async fn m1_a_temp_id_stands_for_its_content_only<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    let mut seqs = Vec::new();
    for (content, duplicate) in [
        ("one", false),
        ("two", false),
        ("one", true),
        ("two", true),
        ("three", false),
    ] {
        let mut sent = message("c", "a", content);
        sent.key = temp_id("temp-1700000000000");
        let appended = store.append(sent, None).await.expect("an append");
        assert_eq!(appended.duplicate, duplicate, "{content}");
        assert_eq!(text(&appended.entry), content);
        assert_eq!(
            appended.entry.client_message_id, None,
            "a temporary id is not published"
        );
        seqs.push(appended.entry.seq);
    }
    assert_eq!(seqs, [1, 2, 1, 2, 3]);
}

/// A retry can overtake the first attempt.
pub async fn m1_and_m10_concurrent_duplicates_are_stored_and_published_once<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    let sends = (0..50).map(|_| {
        let mut sent = message("c", "a", "hello");
        sent.key = client_id("one");
        tokio::spawn(store.append(sent, None))
    });
    let answers = join_all(sends).await;
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.expect("a task").expect("an append"))
        .collect();
    assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.entry == answers[0].entry)
    );
    subject.events.exactly(1).await;
}

/// Deduplication does not depend on a cache.
pub async fn m2_a_repetition_is_recognised_after_many_other_messages<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    let mut first = message("c", "a", "hello");
    first.key = client_id("one");
    let first = store.append(first, None).await.expect("the first");
    let between = (0..500).map(|number| store.append(message("c", "b", &number.to_string()), None));
    assert!(join_all(between).await.iter().all(Result::is_ok));
    let mut again = message("c", "a", "hello");
    again.key = client_id("one");
    let again = store.append(again, None).await.expect("a repetition");
    assert!(again.duplicate);
    assert_eq!(again.entry, first.entry);
}

/// The `seq`s are 1 to 200, and the events come in that order.
pub async fn m4_two_hundred_at_once_are_numbered_without_a_gap_and_published_in_order<
    S: Messages,
>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    let sends = (0..200).map(|number| {
        let sender = if number % 2 == 0 { "a" } else { "b" };
        tokio::spawn(store.append(message("c", sender, &number.to_string()), None))
    });
    let mut seqs: Vec<u64> = join_all(sends)
        .await
        .into_iter()
        .map(|sent| fresh(sent.expect("a task")))
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=200).collect::<Vec<u64>>());
    let published: Vec<u64> = subject
        .events
        .exactly(200)
        .await
        .iter()
        .map(|(message, ..)| message.seq)
        .collect();
    assert_eq!(published, (1..=200).collect::<Vec<u64>>());
    let log = store
        .history(&user("a"), &conversation("c"), Range::After(0), 200)
        .await
        .expect("a log")
        .expect("a member");
    assert_eq!(
        log.entries
            .iter()
            .map(|entry| entry.seq)
            .collect::<Vec<u64>>(),
        published
    );
    assert!(!log.has_more);
}

/// Ten conversations in one batch do not share a counter.
pub async fn m4_conversations_are_numbered_each_on_its_own<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    for number in 0..10 {
        put(&**store, &number.to_string(), &["a", "b"]).await;
    }
    let sends = (0..100)
        .map(|number| store.append(message(&(number % 10).to_string(), "a", "hello"), None));
    let mut seqs: Vec<u64> = join_all(sends).await.into_iter().map(fresh).collect();
    seqs.sort_unstable();
    assert_eq!(
        seqs,
        (0..100).map(|number| number / 10 + 1).collect::<Vec<u64>>()
    );
}

/// Messages keep the order of the calls, even if the futures are polled in the opposite order.
pub async fn m5_the_call_and_not_the_poll_settles_the_order<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    let mut sends: Vec<_> = (1..=50)
        .map(|number| store.append(message("c", "a", &number.to_string()), None))
        .collect();
    sends.reverse();
    let mut answers = join_all(sends).await;
    answers.reverse();
    for (number, answer) in (1..).zip(answers) {
        let answer = answer.expect("an append");
        assert_eq!(
            (answer.entry.seq, text(&answer.entry)),
            (number, number.to_string().as_str())
        );
    }
}

/// A send counts even if the socket closes right after it.
pub async fn m5_an_append_whose_future_is_dropped_still_happens<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    drop(store.append(message("c", "a", "first"), None));
    assert_eq!(
        fresh(store.append(message("c", "a", "second"), None).await),
        2
    );
    subject.events.exactly(2).await;
}

/// A sender's own messages are never unread.
pub async fn m9_a_senders_own_message_is_read_and_delivered<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    store
        .append(message("c", "b", "hello"), None)
        .await
        .expect("an append");
    store
        .append(message("c", "a", "hello yourself"), None)
        .await
        .expect("an append");
    let mine = store
        .conversation(&user("a"), &conversation("c"))
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!((mine.head_seq, mine.read_seq, mine.unread), (2, 2, 0));
    let theirs = store
        .conversation(&user("b"), &conversation("c"))
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!((theirs.head_seq, theirs.read_seq, theirs.unread), (2, 1, 1));
    let pages = store
        .sync(&user("b"), &[(conversation("c"), 2).into()], 10)
        .await
        .expect("pages");
    let receipts = pages[0].as_ref().expect("a member").receipts.clone();
    let marks: Vec<_> = receipts
        .iter()
        .map(|receipt| {
            (
                receipt.user.as_str(),
                receipt.delivered_seq,
                receipt.read_seq,
            )
        })
        .collect();
    assert_eq!(marks, [("a", 2, 2), ("b", 1, 1)]);
}

/// Refusals change nothing.
pub async fn m10_a_refused_append_is_not_published_and_leaves_no_trace<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    put(&**store, "d", &["x", "y"]).await;
    for (place, sender) in [("c", "x"), ("c", "nobody"), ("nowhere", "a")] {
        let mut sent = message(place, sender, "hello");
        sent.key = client_id("one");
        assert!(
            matches!(store.append(sent, None).await, Err(AppendError::NotFound)),
            "{sender} in {place}"
        );
    }
    let seen = store
        .conversation(&user("a"), &conversation("c"))
        .await
        .expect("a view")
        .expect("a member");
    assert_eq!((seen.head_seq, seen.last_message), (0, None));
    subject.events.exactly(0).await;
}

/// The event suffices for delivery without another read.
pub async fn m10_an_event_names_every_member_and_the_socket_to_leave_out<S: Messages>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    put(&**store, "c", &["b", "c", "a"]).await;
    let socket = ConnectionId::trusted("socket");
    let appended = store
        .append(message("c", "a", "hello"), Some(socket.clone()))
        .await
        .expect("an append");
    store
        .append(message("c", "b", "hello"), None)
        .await
        .expect("an append");
    let published = subject.events.exactly(2).await;
    let (entry, to, except) = &published[0];
    assert_eq!(**entry, *appended.entry);
    assert_eq!(**to, [user("a"), user("b"), user("c")]);
    assert_eq!(*except, Some(socket));
    assert_eq!(published[1].2, None);
}

/// Refused messages take no `seq`; the others are numbered without a gap.
pub async fn m14_refused_items_among_many_fail_alone<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    put(&**store, "c", &["a", "b"]).await;
    let mut first = message("c", "a", "first");
    first.key = client_id("taken");
    assert_eq!(fresh(store.append(first, None).await), 1);
    let sends: Vec<_> = (0..60)
        .map(|number| {
            let mut sent = message("c", "a", &number.to_string());
            match number % 3 {
                0 => {}
                1 => sent.sender = user("stranger"),
                _ => sent.key = client_id("taken"),
            }
            store.append(sent, None)
        })
        .collect();
    let mut seqs = Vec::new();
    for (number, answer) in join_all(sends).await.into_iter().enumerate() {
        match number % 3 {
            0 => seqs.push(fresh(answer)),
            1 => assert!(matches!(answer, Err(AppendError::NotFound))),
            _ => assert!(matches!(answer, Err(AppendError::Conflict))),
        }
    }
    assert_eq!(seqs, (2..=21).collect::<Vec<u64>>());
}

/// No character is changed.
pub async fn content_round_trips<S: Messages>(subject: Subject<S>) {
    let store = &subject.store;
    let (place, sender) = ("'; DROP TABLE entries; --", "💡\u{202e}\" or 1=1");
    put(&**store, place, &[sender, "b"]).await;
    let longest = "😀".repeat(8_000);
    let contents = [
        "  two\nlines\t ",
        "<script>alert(1)</script>",
        "'; DROP TABLE entries; --",
        "%_\\",
        "e\u{301} é",
        &longest,
    ];
    for content in contents {
        store
            .append(message(place, sender, content), None)
            .await
            .expect("an append");
    }
    let log = store
        .history(&user("b"), &conversation(place), Range::Newest, 10)
        .await
        .expect("a log")
        .expect("a member");
    assert_eq!(log.entries.iter().map(text).collect::<Vec<_>>(), contents);
    assert!(
        log.entries
            .iter()
            .all(|entry| entry.sender == user(sender) && entry.conversation == conversation(place))
    );
}

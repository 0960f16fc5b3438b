//! Reactions, pins, and refused changes.

use super::{act, contents, done, edit, log, now, pin, react, refused, send, unchanged};
use crate::messages::{fresh, put};
use crate::{Subject, at, conversation, user};
use lamplight_domain::entry::MessageAction;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::MessageId;
use lamplight_domain::message_rules::{
    MAX_OWN_REACTIONS, MAX_PINS, MAX_REACTION_KINDS, WriteRefused,
};
use lamplight_usecases::ports::{AppendError, Messages};

/// Membership comes first, then the rules of each action; a refused change has no effect.
pub async fn m10_refused_changes_leave_no_trace<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    put(store, "other", &["a", "b"]).await;
    put(store, "team", &["a", "b", "d"]).await;
    let one = send(store, "c", "a", "one").await;
    let team = send(store, "team", "a", "to all").await;
    let reaction = store
        .append(act("c", "b", &one, react("👍", true)), None)
        .await;
    let reaction = reaction.expect("a reaction").entry.id.clone();
    let unknown = MessageId::trusted("unknown");
    let attempt = |place: &str, sender: &str, on: &MessageId, action| {
        store.append(act(place, sender, on, action), None)
    };
    for action in [
        edit("x"),
        MessageAction::Delete,
        react("👍", true),
        pin(true),
    ] {
        let stranger = attempt("c", "s", &one, action.clone()).await;
        assert!(matches!(stranger, Err(AppendError::NotFound)), "{action:?}");
        let nowhere = attempt("nowhere", "a", &one, action.clone()).await;
        assert!(matches!(nowhere, Err(AppendError::NotFound)), "{action:?}");
        // No such message in this log: of another one, of none, of another kind.
        for (place, on) in [("other", &one), ("c", &unknown), ("c", &reaction)] {
            let outcome = attempt(place, "a", on, action.clone()).await;
            assert_eq!(refused(outcome), WriteRefused::NoMessage, "{action:?}");
        }
    }
    let others = attempt("c", "b", &one, edit("x")).await;
    assert_eq!(refused(others), WriteRefused::NotTheAuthor);
    let others = attempt("c", "b", &one, MessageAction::Delete).await;
    assert_eq!(refused(others), WriteRefused::NotTheAuthor);
    let member = attempt("team", "a", &team, pin(true)).await;
    assert_eq!(refused(member), WriteRefused::NotAnAdmin);
    let mut late = act("c", "a", &one, edit("x"));
    late.editable_since = Some(at(i64::MAX / 4));
    let late = store.append(late, None).await;
    assert_eq!(refused(late), WriteRefused::TooLateToEdit);
    assert_eq!(log(store, "a", "c").await.len(), 2);
    assert_eq!(log(store, "a", "other").await.len(), 0);
    assert_eq!(contents(&now(store, "a", "c").await), ["one"]);
    assert_eq!(done(store, "c", "a", &one, edit("x")).await, 3);
    subject.events.exactly(4).await;
}

/// A reaction is there once for each user and emoji.
pub async fn reactions_are_sets_of_users_by_emoji<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b", "d"]).await;
    let one = send(store, "c", "a", "one").await;
    let ask = |sender: &str, emoji: &str, added| {
        store.append(act("c", sender, &one, react(emoji, added)), None)
    };
    assert_eq!(fresh(ask("b", "👍", true).await), 2);
    assert_eq!(fresh(ask("a", "👍", true).await), 3);
    assert_eq!(fresh(ask("b", "❤️", true).await), 4);
    assert_eq!(unchanged(ask("b", "👍", true).await), 2);
    assert_eq!(
        unchanged(ask("d", "👍", false).await),
        1,
        "it was never there"
    );
    let shown = |messages: &[Message]| -> Vec<(String, u64, bool, Vec<String>)> {
        let of = messages[0].reactions.iter().map(|of| {
            let users = of.users.iter().map(|id| id.as_str().to_owned()).collect();
            (of.emoji.as_str().to_owned(), of.count, of.is_mine, users)
        });
        of.collect()
    };
    let names = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let expected = [
        ("👍".to_owned(), 2, true, names(&["b", "a"])),
        ("❤️".to_owned(), 1, false, names(&["b"])),
    ];
    assert_eq!(shown(&now(store, "a", "c").await), expected);
    // Taken back and added again, it is the last.
    assert_eq!(fresh(ask("b", "👍", false).await), 5);
    assert_eq!(fresh(ask("b", "👍", true).await), 6);
    let expected = [
        ("👍".to_owned(), 2, false, names(&["a", "b"])),
        ("❤️".to_owned(), 1, false, names(&["b"])),
    ];
    assert_eq!(shown(&now(store, "d", "c").await), expected);
    subject.events.exactly(6).await;
}

/// Twenty kinds on a message, five by one user.
pub async fn reactions_have_limits<S: Messages>(subject: Subject<S>) {
    const EMOJI: [&str; 21] = [
        "😀", "😁", "😂", "😃", "😄", "😅", "😆", "😇", "😈", "😉", "😊", "😋", "😌", "😍", "😎",
        "😏", "😐", "😑", "😒", "😓", "😔",
    ];
    let store = &*subject.store;
    put(store, "c", &["a", "b", "d", "e", "f"]).await;
    let one = send(store, "c", "a", "one").await;
    let ask =
        |sender: &str, emoji: &str| store.append(act("c", sender, &one, react(emoji, true)), None);
    for (of, sender) in EMOJI[..MAX_REACTION_KINDS]
        .chunks(MAX_OWN_REACTIONS)
        .zip(["a", "b", "d", "e"])
    {
        for emoji in of {
            fresh(ask(sender, emoji).await);
        }
    }
    assert_eq!(
        refused(ask("a", EMOJI[6]).await),
        WriteRefused::TooManyOwnReactions
    );
    assert_eq!(
        refused(ask("f", EMOJI[20]).await),
        WriteRefused::TooManyReactionKinds
    );
    fresh(ask("f", EMOJI[0]).await);
    // Removing the last reaction with an emoji makes room for another emoji.
    let last = store.append(act("c", "e", &one, react(EMOJI[19], false)), None);
    fresh(last.await);
    fresh(ask("f", EMOJI[20]).await);
}

/// Fifty pinned messages in a conversation.
pub async fn pins_have_a_limit_and_deletions_free_them<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let mut sent = Vec::new();
    for number in 0..=MAX_PINS {
        sent.push(send(store, "c", "a", &number.to_string()).await);
    }
    for id in &sent[..MAX_PINS] {
        done(store, "c", "b", id, pin(true)).await;
    }
    let pin_last = || store.append(act("c", "b", &sent[MAX_PINS], pin(true)), None);
    assert_eq!(refused(pin_last().await), WriteRefused::TooManyPins);
    let pinned = store.append(act("c", "a", &sent[0], pin(true)), None);
    assert_eq!(unchanged(pinned.await), 52);
    done(store, "c", "a", &sent[0], MessageAction::Delete).await;
    fresh(pin_last().await);
    assert_eq!(
        refused(
            store
                .append(
                    act("c", "b", &send(store, "c", "a", "more").await, pin(true)),
                    None
                )
                .await
        ),
        WriteRefused::TooManyPins
    );
    done(store, "c", "a", &sent[1], pin(false)).await;
    let messages = now(store, "a", "c").await;
    let pins = messages
        .iter()
        .filter(|message| message.pinned_at.is_some());
    assert_eq!(pins.count(), MAX_PINS - 1);
}

/// Wherever they are in the log, without those that were deleted or are not pinned any more.
pub async fn pinned_messages_are_listed_in_their_current_form<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let mut sent = Vec::new();
    for number in 1..=12 {
        sent.push(send(store, "c", "a", &number.to_string()).await);
    }
    let pins = async |viewer: &str, before, limit| {
        let (viewer, place) = (user(viewer), conversation("c"));
        let page = store.pinned(&viewer, &place, before, limit).await;
        page.expect("an answer")
    };
    assert_eq!(
        pins("a", u64::MAX, 10).await.expect("a member").messages,
        []
    );
    for at in [1, 3, 6, 8, 10] {
        done(store, "c", "b", &sent[at], pin(true)).await;
    }
    done(store, "c", "a", &sent[1], edit("changed")).await;
    done(store, "c", "b", &sent[8], react("\u{1f44d}", true)).await;
    done(store, "c", "a", &sent[3], MessageAction::Delete).await;
    let head = done(store, "c", "b", &sent[6], pin(false)).await;
    let expected: Vec<Message> = now(store, "b", "c").await;
    let expected: Vec<Message> = expected
        .into_iter()
        .filter(|message| message.pinned_at.is_some())
        .collect();
    assert_eq!(expected.len(), 3);
    let page = pins("b", u64::MAX, 10).await.expect("a member");
    assert_eq!((page.messages, page.has_more), (expected.clone(), false));
    assert_eq!(page.as_of_seq, head);
    let page = pins("b", u64::MAX, 2).await.expect("a member");
    assert_eq!((&page.messages[..], page.has_more), (&expected[1..], true));
    let before = page.messages[0].entry.seq;
    let page = pins("b", before, 2).await.expect("a member");
    assert_eq!((&page.messages[..], page.has_more), (&expected[..1], false));
    assert!(pins("x", u64::MAX, 10).await.is_none());
    let (viewer, nowhere) = (user("a"), conversation("nowhere"));
    let page = store.pinned(&viewer, &nowhere, u64::MAX, 10).await;
    assert!(page.expect("an answer").is_none());
}

/// The same reaction from several devices at once is there once.
pub async fn m1_concurrent_changes_end_in_one_state<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let one = send(store, "c", "a", "one").await;
    let at_once = (0..20).map(|number| {
        let (sender, action) = match number % 4 {
            0 => ("b", react("👍", true)),
            1 => ("a", edit(&format!("edit {}", number % 3))),
            2 => ("b", pin(true)),
            _ => ("a", react("👍", true)),
        };
        store.append(act("c", sender, &one, action), None)
    });
    let outcomes = futures_util::future::join_all(at_once).await;
    let appended = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().is_ok_and(|done| !done.duplicate));
    let messages = now(store, "b", "c").await;
    assert_eq!(log(store, "b", "c").await.len(), 1 + appended.count());
    assert_eq!(messages[0].reactions.len(), 1);
    assert_eq!(messages[0].reactions[0].count, 2);
    assert!(messages[0].pinned_at.is_some());
    let deletions = (0..5).map(|_| store.append(act("c", "a", &one, MessageAction::Delete), None));
    let outcomes = futures_util::future::join_all(deletions).await;
    let fresh = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().is_ok_and(|done| !done.duplicate));
    assert_eq!(fresh.count(), 1);
    assert_eq!(contents(&now(store, "b", "c").await), [""]);
}

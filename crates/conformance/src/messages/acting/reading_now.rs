//! The effects of changes on lists, pages and marks.

use super::{act, done, edit, log, now, page, react, send};
use crate::messages::put;
use crate::{Subject, at, client_id, conversation, message, user};
use lamplight_domain::entry::{EntryKind, MessageAction};
use lamplight_domain::event::Event;
use lamplight_domain::fold::Message;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{Messages, Range};

/// A deleted message is neither unread nor the last message, in every read.
pub async fn m9_deletions_change_unread_and_the_last_message<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let mut sent = Vec::new();
    for content in ["1", "2", "3", "4"] {
        sent.push(send(store, "c", "a", content).await);
    }
    assert_eq!(view(store, "b").await, (4, Some((4, "4".into()))));
    done(store, "c", "a", &sent[1], MessageAction::Delete).await;
    assert_eq!(view(store, "b").await, (3, Some((4, "4".into()))));
    done(store, "c", "a", &sent[3], edit("four")).await;
    assert_eq!(view(store, "b").await, (3, Some((4, "four".into()))));
    done(store, "c", "a", &sent[2], react("👍", true)).await;
    done(store, "c", "a", &sent[3], MessageAction::Delete).await;
    assert_eq!(view(store, "b").await, (2, Some((3, "3".into()))));
    store
        .mark_read(&user("b"), &conversation("c"), 1, at(0))
        .await
        .expect("an answer");
    assert_eq!(view(store, "b").await, (1, Some((3, "3".into()))));
    // The last one is found past those that were deleted before it.
    done(store, "c", "a", &sent[2], MessageAction::Delete).await;
    assert_eq!(view(store, "b").await, (0, Some((1, "1".into()))));
    done(store, "c", "a", &sent[0], MessageAction::Delete).await;
    assert_eq!(view(store, "b").await, (0, None));
    let five = send(store, "c", "a", "5").await;
    assert_eq!(view(store, "b").await, (1, Some((11, "5".into()))));
    done(store, "c", "a", &five, MessageAction::Delete).await;
    assert_eq!(view(store, "b").await, (0, None));
    // A mark past all of it.
    store
        .mark_read(&user("b"), &conversation("c"), 12, at(0))
        .await
        .expect("an answer");
    send(store, "c", "a", "6").await;
    assert_eq!(view(store, "b").await, (1, Some((13, "6".into()))));
}

/// The unread count and the last message, which must be the same in every read.
async fn view<S: Messages>(store: &S, viewer: &str) -> (u64, Option<(u64, String)>) {
    let viewer = user(viewer);
    let one = store.conversation(&viewer, &conversation("c")).await;
    let one = one.expect("an answer").expect("a conversation");
    let summary = store.summary(&viewer, &conversation("c")).await;
    let summary = summary.expect("an answer").expect("a conversation");
    let details = store.details(&conversation("c")).await;
    let details = details.expect("an answer").expect("a conversation");
    assert_eq!(summary.clone().with_details(details), one);
    let list = store
        .conversations(&viewer, None, None, 10)
        .await
        .expect("a page")
        .items;
    assert_eq!(list, std::slice::from_ref(&one));
    let others = store.others(&viewer, &[], 10).await.expect("a list");
    assert_eq!(others, std::slice::from_ref(&one));
    let direct = store.direct(&viewer, &user("a")).await.expect("an answer");
    assert_eq!(direct.as_ref(), Some(&one));
    let last = one
        .last_message
        .map(|last| (last.entry.seq, last.content().to_owned()));
    (one.unread, last)
}

/// Changes move neither marks of their authors nor conversations in the list.
pub async fn m9_only_messages_move_marks_and_the_list<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    put(store, "later", &["a", "b"]).await;
    let one = send(store, "c", "a", "one").await;
    send(store, "later", "a", "x").await;
    done(store, "c", "b", &one, react("👍", true)).await;
    done(store, "c", "a", &one, edit("two")).await;
    let list = store
        .conversations(&user("b"), None, None, 10)
        .await
        .expect("a page");
    let seen: Vec<_> = list
        .items
        .iter()
        .map(|one| (one.id.as_str(), one.unread, one.read_seq, one.head_seq))
        .collect();
    assert_eq!(seen, [("later", 1, 0, 1), ("c", 1, 0, 3)]);
}

/// After a deletion all members get a change of the conversation.
pub async fn m10_a_deletion_sends_conversation_changed_to_every_member<S: Messages>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let one = send(store, "c", "a", "one").await;
    done(store, "c", "a", &one, edit("two")).await;
    done(store, "c", "a", &one, MessageAction::Delete).await;
    let published = subject.events.exactly(3).await;
    assert!(
        published
            .iter()
            .all(|(_, to, _)| **to == [user("a"), user("b")])
    );
    assert!(matches!(&published[2].0.kind, EntryKind::Change(_)));
    // On some buses the events of a commit come one after the other.
    let change_count = || {
        let events = subject.events.events();
        let after = events
            .iter()
            .skip_while(|event| !matches!(event, Event::Appended { entry, .. } if entry.seq == 3));
        after
            .filter(|event| {
                matches!(event, Event::ConversationChanged { to, .. } if **to == [user("a"), user("b")])
            })
            .count()
    };
    for _ in 0..500 {
        if change_count() > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(change_count(), 1);
}

/// Pages have messages only, say which part of the log they cover, and have no hole between them.
pub async fn m7_pages_of_messages_cover_the_log_without_a_hole<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    put(store, "empty", &["a", "b"]).await;
    let mut sent = Vec::new();
    for number in 0..12 {
        sent.push(send(store, "c", "a", &number.to_string()).await);
        for turn in 0..number % 3 {
            let on = &sent[number / 2];
            done(store, "c", "a", on, edit(&format!("{number} {turn}"))).await;
            let reaction = act("c", "b", on, react("👍", number % 2 == 0));
            store.append(reaction, None).await.expect("an answer");
        }
    }
    let whole = now(store, "b", "c").await;
    let head = log(store, "b", "c").await.len() as u64;
    // From the newest backwards.
    let (mut range, mut collected, mut to) = (Range::Newest, Vec::new(), head);
    loop {
        let page = page(store, "b", "c", range, 5).await;
        assert!(page.messages.len() <= 5);
        assert_eq!((page.to_seq, page.as_of_seq), (to, head));
        collected.splice(0..0, page.messages);
        to = page.from_seq - 1;
        range = Range::Before(page.from_seq);
        if !page.has_more {
            assert_eq!(page.from_seq, 1);
            break;
        }
    }
    assert_eq!(collected, whole);
    // From the first one forwards.
    let (mut after, mut collected) = (0, Vec::new());
    loop {
        let page = page(store, "b", "c", Range::After(after), 5).await;
        assert_eq!((page.from_seq, page.as_of_seq), (after + 1, head));
        collected.extend(page.messages);
        after = page.to_seq;
        if !page.has_more {
            assert_eq!(after, head);
            break;
        }
    }
    assert_eq!(collected, whole);
    // Around each place, of a message or not.
    for seq in 1..=head {
        let page = page(store, "b", "c", Range::Around(seq), 4).await;
        assert_eq!(page.messages.len(), 4);
        assert!((page.from_seq..=page.to_seq).contains(&seq), "{seq}");
        let inside =
            |message: &&Message| (page.from_seq..=page.to_seq).contains(&message.entry.seq);
        let expected: Vec<Message> = whole.iter().filter(inside).cloned().collect();
        assert_eq!(page.messages, expected, "around {seq}");
        let around = page.around.expect("both sides");
        assert_eq!(
            (around.before, around.after),
            (page.from_seq > 1, page.to_seq < head)
        );
    }
    let empty = page(store, "b", "empty", Range::Newest, 5).await;
    assert_eq!(
        (empty.messages.len(), empty.as_of_seq, empty.has_more),
        (0, 0, false)
    );
    let stranger = store
        .messages(&user("s"), &conversation("c"), Range::Newest, 5)
        .await;
    assert!(stranger.expect("an answer").is_none());
}

/// Of many reactions the first are named, all are counted, and one's own is known wherever it stands.
pub async fn messages_with_many_reactions_are_the_fold_of_the_log<S: Messages>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let people: Vec<String> = (0..60).map(|n| format!("u{n:02}")).collect();
    let members: Vec<&str> = people.iter().map(String::as_str).collect();
    put(store, "c", &members).await;
    let keyed = || NewEntry {
        key: client_id("liked"),
        ..message("c", "u00", "liked")
    };
    let liked = store.append(keyed(), None).await.expect("a message");
    let liked = liked.entry.id.clone();
    let few = send(store, "c", "u00", "seen by few").await;
    done(store, "c", "u07", &few, react("👀", true)).await;
    // The order of entries is neither that of people nor that of emoji.
    for (n, who) in members.iter().rev().enumerate() {
        done(store, "c", who, &liked, react("👍", true)).await;
        let other = ["❤️", "🎉", "😀"][n % 3];
        done(store, "c", who, &liked, react(other, true)).await;
    }
    done(store, "c", "u59", &liked, react("👍", false)).await;
    for viewer in ["u00", "u01", "u30", "u58", "u59"] {
        let page = now(store, viewer, "c").await;
        let of: Vec<(u64, usize)> = page[0]
            .reactions
            .iter()
            .map(|of| (of.count, of.users.len()))
            .collect();
        assert_eq!(of.iter().map(|(count, _)| count).sum::<u64>(), 119);
        assert!(of.contains(&(59, 20)), "{of:?}");
        let thumb = page[0]
            .reactions
            .iter()
            .find(|of| of.emoji.as_str() == "👍");
        assert_eq!(thumb.expect("it is there").is_mine, viewer != "u59");
    }
    let again = store.append(keyed(), None).await.expect("a repetition");
    let page = now(store, "u00", "c").await;
    let again = again.message.expect("as it is now");
    assert_eq!(again.reactions, page[0].reactions);
}

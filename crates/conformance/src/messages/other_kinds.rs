//! Entries that are not messages, as a newer version writes them to the same store. A store has no
//! port to write them through, so its own tests call [`other_kinds`] with a function that does.

use super::{fresh, put};
use crate::{Subject, conversation, message, user};
use lamplight_domain::conversation::Conversation;
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_usecases::ports::{Messages, Range};

/// They take their place in the log and change neither the unread count nor which message is the
/// last, in the list, in `others`, in the view of one conversation, in pages and in a catch-up.
///
/// `append_other` appends an entry of a kind that this version does not know to a conversation, in
/// the name of a member, and moves none of the member's marks.
///
/// # Panics
/// When the store does otherwise.
pub async fn other_kinds<S: Messages>(
    subject: Subject<S>,
    append_other: impl AsyncFn(&S, &str, &str),
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    put(store, "later", &["a", "b"]).await;

    append_other(store, "c", "a").await;
    assert_eq!(
        views(store, "b").await,
        (0, 1, None),
        "a log without messages"
    );

    assert_eq!(fresh(store.append(message("c", "a", "one"), None).await), 2);
    assert_eq!(fresh(store.append(message("c", "a", "two"), None).await), 3);
    append_other(store, "c", "b").await;
    append_other(store, "c", "a").await;
    assert_eq!(
        fresh(store.append(message("c", "a", "three"), None).await),
        6
    );
    append_other(store, "c", "b").await;
    assert_eq!(views(store, "b").await, (3, 7, Some(6)));
    assert_eq!(
        views(store, "a").await,
        (0, 7, Some(6)),
        "the sender has read up to their last message"
    );

    // A read mark on, before and after each of them.
    for (seq, unread) in [(1, 3), (2, 2), (3, 1), (4, 1), (5, 1), (6, 0), (7, 0)] {
        store
            .mark_read(&user("b"), &conversation("c"), seq, crate::at(0))
            .await
            .expect("an answer")
            .expect("a mark");
        assert_eq!(views(store, "b").await, (unread, 7, Some(6)), "read {seq}");
    }

    // Only messages move a conversation in the list.
    assert_eq!(
        fresh(store.append(message("later", "a", "x"), None).await),
        1
    );
    append_other(store, "c", "a").await;
    let list = store.conversations(&user("b"), None, None, 10).await;
    let order: Vec<String> = list
        .expect("a page")
        .items
        .iter()
        .map(|one| one.id.as_str().to_owned())
        .collect();
    assert_eq!(order, ["later", "c"]);

    // Pages and catch-ups have every place of the log.
    let log = store
        .history(&user("b"), &conversation("c"), Range::Newest, 10)
        .await
        .expect("an answer")
        .expect("a log");
    let expected = [
        (1, false),
        (2, true),
        (3, true),
        (4, false),
        (5, false),
        (6, true),
        (7, false),
        (8, false),
    ];
    assert_eq!(places(&log.entries), expected);
    assert_eq!(log.entries[0].kind, EntryKind::Unknown);
    assert_eq!(log.entries[3].sender, user("b"));
    let page = store
        .sync(&user("b"), &[(conversation("c"), 3).into()], 10)
        .await
        .expect("an answer")
        .remove(0)
        .expect("a page");
    assert_eq!(
        (places(&page.entries), page.head_seq),
        (expected[3..].to_vec(), 8)
    );

    // Later messages are counted as before.
    assert_eq!(
        fresh(store.append(message("c", "a", "four"), None).await),
        9
    );
    assert_eq!(views(store, "b").await, (1, 9, Some(9)));
}

fn places(entries: &[Entry]) -> Vec<(u64, bool)> {
    entries
        .iter()
        .map(|entry| (entry.seq, entry.kind.is_message()))
        .collect()
}

/// Unread, head and the last message's `seq` of the conversation "c", the same by every way there
/// is to it.
async fn views<S: Messages>(store: &S, viewer: &str) -> (u64, u64, Option<u64>) {
    let seen = |one: &Conversation| {
        let last = one.last_message.as_ref();
        assert!(last.is_none_or(|last| last.entry.kind.is_message()));
        (one.unread, one.head_seq, last.map(|last| last.entry.seq))
    };
    let viewer = user(viewer);
    let one = store
        .conversation(&viewer, &conversation("c"))
        .await
        .expect("an answer")
        .expect("a conversation");
    let lists = [
        store
            .conversations(&viewer, None, None, 10)
            .await
            .expect("a page")
            .items,
        store.others(&viewer, &[], 10).await.expect("a list"),
    ];
    for list in &lists {
        let listed = list.iter().find(|listed| listed.id == one.id);
        assert_eq!(seen(listed.expect("listed")), seen(&one));
    }
    seen(&one)
}

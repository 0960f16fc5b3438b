//! The suite for `LogFollower`, on a store that is `Messages` too.

use crate::{Subject, conversation, message, user};
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::{
    AppendError, CommitPosition, CommittedEntry, LogFollower, Messages,
};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Joins the suite: `follower_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! follower_suite {
    ($factory:path) => {
        $crate::suite!(
            follower,
            $factory,
            [
                m10_a_follower_reads_every_entry_once_in_the_order_of_commits,
                m10_a_position_never_passes_an_entry_that_commits_later,
                m10_positions_are_stored_by_name_and_never_decrease,
                m10_a_refused_append_is_not_followed,
                m10_a_new_follower_begins_where_it_wants_to,
                m10_a_waiting_follower_is_woken_by_a_commit,
                m10_pages_of_a_follower_are_bounded_in_bytes,
                m10_a_page_of_numbers_has_the_entries_of_a_page,
            ]
        );
    };
}

const LONG: Duration = Duration::from_secs(20);

async fn put<S: Messages>(store: &S, id: &str) {
    let members = [user("a"), user("b")];
    store
        .put_conversation(&conversation(id), &members, crate::at(0))
        .await
        .expect("a conversation");
}

async fn send<S: Messages>(store: &S, id: &str, sender: &str, content: &str) {
    let sent = store.append(message(id, sender, content), None).await;
    assert!(!sent.expect("an append").duplicate);
}

async fn read<S: LogFollower>(
    store: &S,
    after: CommitPosition,
    limit: usize,
) -> Vec<CommittedEntry> {
    store.read(after, limit).await.expect("a page")
}

/// Reads in pages of `limit` until nothing follows.
async fn read_all<S: LogFollower>(
    store: &S,
    mut after: CommitPosition,
    limit: usize,
) -> Vec<CommittedEntry> {
    let mut all = Vec::new();
    loop {
        let page = read(store, after, limit).await;
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return all };
        after = last.position;
        all.extend(page);
    }
}

/// Fails unless positions grow and each conversation's entries are there from `seq` 1 on, without a
/// gap or a repetition. Answers with how many there are of each.
fn check_order(entries: &[CommittedEntry]) -> HashMap<String, u64> {
    let mut heads: HashMap<String, u64> = HashMap::new();
    let mut before = CommitPosition::default();
    for one in entries {
        assert!(one.position > before, "positions grow");
        before = one.position;
        let head = heads
            .entry(one.entry.conversation.as_str().to_owned())
            .or_default();
        *head += 1;
        assert_eq!(one.entry.seq, *head, "{}", one.entry.conversation);
    }
    heads
}

/// Pages of any length, from the start.
pub async fn m10_a_follower_reads_every_entry_once_in_the_order_of_commits<
    S: Messages + LogFollower,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    assert_eq!(read_all(store, CommitPosition::default(), 5).await, []);
    for id in ["c", "d"] {
        put(store, id).await;
    }
    let order = ["c", "d", "d", "c", "c", "d", "c"];
    for (number, id) in order.iter().enumerate() {
        send(store, id, "a", &number.to_string()).await;
    }
    let all = read_all(store, CommitPosition::default(), 100).await;
    let places: Vec<&str> = all
        .iter()
        .map(|one| one.entry.conversation.as_str())
        .collect();
    assert_eq!(places, order);
    let contents: Vec<&str> = all
        .iter()
        .map(|one| one.entry.content().expect("a message").as_str())
        .collect();
    assert_eq!(contents, ["0", "1", "2", "3", "4", "5", "6"]);
    check_order(&all);
    for limit in 1..=8 {
        assert_eq!(
            read_all(store, CommitPosition::default(), limit).await,
            all,
            "in pages of {limit}"
        );
    }
    assert_eq!(read_all(store, all[3].position, 2).await, all[4..]);
    let head = store.head().await.expect("a head");
    assert_eq!(head, all.last().expect("entries").position);
    assert_eq!(read(store, head, 5).await, []);
}

/// While many writers append at once, a follower that continues from its last position finds every
/// entry.
pub async fn m10_a_position_never_passes_an_entry_that_commits_later<
    S: Messages + LogFollower + Send + Sync + 'static,
>(
    subject: Subject<S>,
) {
    const WRITERS: usize = 8;
    const EACH: usize = 50;
    let places = ["c", "d", "e"];
    for id in places {
        put(&*subject.store, id).await;
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&subject.store);
            tokio::spawn(async move {
                for number in 0..EACH {
                    let id = places[(writer + number) % places.len()];
                    send(&*store, id, "a", "hello").await;
                }
            })
        })
        .collect();
    let follow = async {
        let mut seen: Vec<CommittedEntry> = Vec::new();
        while seen.len() < WRITERS * EACH {
            let after = seen.last().map(|one| one.position).unwrap_or_default();
            subject.store.changed(after).await;
            seen.extend(read(&*subject.store, after, 7).await);
        }
        seen
    };
    let seen = tokio::time::timeout(LONG, follow)
        .await
        .expect("every entry is found");
    for writer in writers {
        writer.await.expect("a writer");
    }
    let after = seen.last().expect("entries").position;
    assert_eq!(read(&*subject.store, after, 7).await, [], "none came twice");
    let counted: u64 = check_order(&seen).values().sum();
    assert_eq!(counted, (WRITERS * EACH) as u64);
}

/// Each follower has its own, also where two confirm at once or late.
pub async fn m10_positions_are_stored_by_name_and_never_decrease<S: Messages + LogFollower>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c").await;
    for content in ["1", "2", "3"] {
        send(store, "c", "a", content).await;
    }
    let all = read_all(store, CommitPosition::default(), 10).await;
    let position = async |name: &str| store.position(name).await.expect("an answer");
    let confirm = async |name: &str, up_to| store.confirm(name, up_to).await.expect("kept");
    confirm("search", all[1].position).await;
    confirm("push", all[0].position).await;
    assert_eq!(position("search").await, Some(all[1].position));
    assert_eq!(position("push").await, Some(all[0].position));
    assert_eq!(position("webhooks").await, None);
    confirm("search", all[0].position).await;
    assert_eq!(
        position("search").await,
        Some(all[1].position),
        "never back"
    );
    confirm("search", all[2].position).await;
    assert_eq!(position("search").await, Some(all[2].position));
    assert_eq!(position("push").await, Some(all[0].position));
}

/// Nor is a repeated send followed twice.
pub async fn m10_a_refused_append_is_not_followed<S: Messages + LogFollower>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c").await;
    let mut first = message("c", "a", "hello");
    first.key = crate::client_id("one");
    store.append(first.clone(), None).await.expect("an append");
    let refused = store.append(message("c", "stranger", "x"), None).await;
    assert!(matches!(refused, Err(AppendError::NotFound)));
    let again = store.append(first, None).await.expect("an append");
    assert!(again.duplicate);
    send(store, "c", "b", "after").await;
    let all = read_all(store, CommitPosition::default(), 10).await;
    let senders: Vec<&UserId> = all.iter().map(|one| &one.entry.sender).collect();
    assert_eq!(senders, [&user("a"), &user("b")]);
    assert_eq!(all[0].entry, *again.entry);
}

/// At the end, or where the log begins.
pub async fn m10_a_new_follower_begins_where_it_wants_to<S: Messages + LogFollower>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let empty = store.head().await.expect("a head");
    assert_eq!(read(store, empty, 5).await, []);
    put(store, "c").await;
    send(store, "c", "a", "before").await;
    let head = store.head().await.expect("a head");
    store.confirm("late", head).await.expect("kept");
    store
        .confirm("early", CommitPosition::default())
        .await
        .expect("kept");
    send(store, "c", "a", "after").await;
    for (name, count) in [("late", 1), ("early", 2)] {
        let position = store.position(name).await.expect("an answer");
        let entries = read_all(store, position.expect("a position"), 10).await;
        assert_eq!(entries.len(), count, "{name}");
    }
    let entries = read_all(store, empty, 10).await;
    assert_eq!(entries.len(), 2, "the head of an empty store is its start");
}

/// At once where something is there already.
pub async fn m10_a_waiting_follower_is_woken_by_a_commit<S: Messages + LogFollower>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c").await;
    send(store, "c", "a", "1").await;
    let wait = async |after| {
        let waited = tokio::time::timeout(LONG, store.changed(after)).await;
        waited.expect("woken");
    };
    wait(CommitPosition::default()).await;
    for content in ["2", "3"] {
        let head = store.head().await.expect("a head");
        let ((), ()) = tokio::join!(wait(head), send(store, "c", "a", content));
        assert_eq!(read(store, head, 5).await.len(), 1);
    }
}

/// So that a follower of long messages needs little memory.
pub async fn m10_pages_of_a_follower_are_bounded_in_bytes<S: Messages + LogFollower>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c").await;
    let long = "\u{1f4a1}".repeat(8_000);
    for _ in 0..40 {
        send(store, "c", "a", &long).await;
    }
    let page = read(store, CommitPosition::default(), 100).await;
    let bytes: usize = page.iter().map(|one| weight::entry(&one.entry)).sum();
    assert!(!page.is_empty() && bytes <= ANSWER_BYTES, "{bytes}");
    assert!(page.len() < 40);
    let all = read_all(store, CommitPosition::default(), 100).await;
    assert_eq!(check_order(&all)["c"], 40);
}

/// Pages of any length, by their numbers.
pub async fn m10_a_page_of_numbers_has_the_entries_of_a_page<S: Messages + LogFollower>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for id in ["c", "d", "e"] {
        put(store, id).await;
    }
    let start = CommitPosition::default();
    let none = store.read_seqs(start, 5).await.expect("a page");
    assert_eq!(none, []);
    for id in ["c", "d", "d", "c", "e", "c", "d", "c"] {
        send(store, id, "a", "hello").await;
    }
    let all = read_all(store, start, 100).await;
    for limit in 1..=9 {
        let mut after = start;
        let mut seen = Vec::new();
        loop {
            let page = store.read_seqs(after, limit).await.expect("a page");
            let Some(last) = page.iter().map(|one| one.position).max() else {
                break;
            };
            let (from, to) = (after, last);
            let is_here = |one: &&CommittedEntry| one.position > from && one.position <= to;
            let entries: Vec<&CommittedEntry> = all.iter().filter(is_here).collect();
            assert!(entries.len() <= limit && !entries.is_empty());
            for one in &page {
                let of_place = entries
                    .iter()
                    .filter(|entry| entry.entry.conversation == one.conversation);
                let of_place: Vec<_> = of_place.collect();
                let numbers: Vec<u64> = of_place.iter().map(|entry| entry.entry.seq).collect();
                assert_eq!(one.seqs.clone().collect::<Vec<_>>(), numbers);
                let newest = of_place.iter().map(|entry| entry.entry.created_at).max();
                assert_eq!(Some(one.created_at), newest);
                assert_eq!(
                    Some(one.position),
                    of_place.last().map(|entry| entry.position)
                );
            }
            let count: u64 = page.iter().map(|one| one.seqs.clone().count() as u64).sum();
            assert_eq!(count, entries.len() as u64);
            seen.extend(page);
            after = last;
        }
        let count: usize = seen.iter().map(|one| one.seqs.clone().count()).sum();
        assert_eq!(count, all.len(), "in pages of {limit}");
    }
}

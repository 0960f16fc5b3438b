//! Followers of the log over a crash.

mod support;

use lamplight_embedded::messages::SqliteStore;
use lamplight_usecases::ports::{CommitPosition, LogFollower as _, Messages as _};
use std::collections::BTreeSet;
use support::{at, conversation, crash, message, open, user};

const NAME: &str = "search";

async fn send(store: &SqliteStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let sent = message("c", "a", "hello", &format!("m{number}"));
        store.append(sent, None).await.expect("an append");
    }
}

/// Handles pages of three until `stop` entries are handled or none follows; confirms each page once
/// it is handled, but not the last one where it stops. Returns the `seq`s that were handled.
async fn follow(store: &SqliteStore, stop: usize) -> Vec<u64> {
    let position = store.position(NAME).await.expect("an answer");
    let mut after = position.unwrap_or_default();
    let mut handled = Vec::new();
    loop {
        let page = store.read(after, 3).await.expect("a page");
        let Some(last) = page.last() else {
            return handled;
        };
        after = last.position;
        handled.extend(page.iter().map(|one| one.entry.seq));
        if handled.len() >= stop {
            return handled;
        }
        store.confirm(NAME, after).await.expect("kept");
    }
}

/// Crashes again and again, at any page, between handling it and confirming it.
#[tokio::test]
async fn m10_a_follower_misses_nothing_over_a_crash() {
    let mut directory = tempfile::tempdir().expect("a directory");
    let (mut store, _) = open(directory.path());
    let members = [user("a"), user("b")];
    store
        .put_conversation(&conversation("c"), &members, at(0))
        .await
        .expect("a conversation");
    let mut handled: Vec<Vec<u64>> = Vec::new();
    for round in 0..5_u64 {
        send(&store, round * 10..round * 10 + 10).await;
        let stop = 1 + 4 * usize::try_from(round).expect("a number");
        let seen = follow(&store, stop).await;
        assert!(seen.is_sorted() && !seen.is_empty());
        handled.push(seen);
        // The current state of the disk is that after a kill.
        let left = crash(directory.path());
        let confirmed = store.position(NAME).await.expect("an answer");
        store.close().await;
        directory = left;
        (store, _) = open(directory.path());
        let kept = store.position(NAME).await.expect("an answer");
        assert_eq!(kept, confirmed, "what was confirmed is durable");
    }
    handled.push(follow(&store, usize::MAX).await);
    let all: BTreeSet<u64> = handled.iter().flatten().copied().collect();
    assert_eq!(all, (1..=50).collect());
    for pair in handled.windows(2) {
        let again = pair[1].first().expect("entries");
        let last = pair[0].last().expect("entries");
        assert!(*again <= last + 1, "no entry is skipped");
        assert!(last - again < 3, "only the page in hand is handled again");
    }
    assert_eq!(
        follow(&store, usize::MAX).await,
        [0_u64; 0],
        "all is confirmed"
    );
    store.close().await;
}

/// A follower that waits over a restart is woken by what came before it looked.
#[tokio::test]
async fn m10_entries_committed_before_a_restart_wake_a_follower_after_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    store
        .put_conversation(&conversation("c"), &[user("a"), user("b")], at(0))
        .await
        .expect("a conversation");
    send(&store, 0..1).await;
    store.close().await;
    let (store, _) = open(directory.path());
    let wait = store.changed(CommitPosition::default());
    tokio::time::timeout(std::time::Duration::from_secs(20), wait)
        .await
        .expect("woken");
    store.close().await;
}

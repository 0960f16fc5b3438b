//! The tokens of the search index, the same in all stores. Each consists of a conversation and a
//! term, so that a search reads nothing of other conversations.

use crate::deadline::STORE_DEADLINE;
use crate::ports::{
    CommitPosition, IndexProgress, IndexStep, LogFollower, MessageSearch, StoreResult,
};
use crate::throttle::{self, Due};
use lamplight_domain::search_terms::{QueryTerm, terms};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The most conversations that one search looks at.
pub const MOST_CONVERSATIONS: usize = 2_000;

/// Entries that one step handles, at most.
const STEP: usize = 1_024;
/// The time from the beginning of one step to that of the next: entries are batched, since a step is
/// expensive and a further entry in it cheap. With [`SETTLE`] this is how long a message waits.
const EVERY: Duration = Duration::from_millis(800);
/// How long a step waits after the commit that caused it, where the last one is long ago: commits
/// come in bursts.
const SETTLE: Duration = Duration::from_millis(50);
/// How often a step is tried without a commit: another program may have emptied the index.
const POLL: Duration = Duration::from_secs(3);
/// How often a node checks whether the node that maintains the index still does.
const WATCH: Duration = Duration::from_secs(3);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// The pause between two steps of an index that is behind: messages go first.
const PAUSE: Duration = Duration::from_millis(2);

/// The form of a term in an index: separators become characters of the private use area, which no
/// term has, so that no index splits it.
fn encoded(term: &str) -> impl Iterator<Item = char> + '_ {
    term.chars().map(|c| {
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            c
        } else {
            char::from_u32(0xe000 + u32::from(c)).unwrap_or('\u{e000}')
        }
    })
}

/// The terms of a text, encoded and separated by spaces: an index stores them of a message, to be able
/// to remove it.
#[must_use]
pub fn index_text(text: &str) -> String {
    let mut joined = String::new();
    for term in terms(text) {
        if !joined.is_empty() {
            joined.push(' ');
        }
        if term.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            joined.push_str(&term);
        } else {
            joined.extend(encoded(&term));
        }
    }
    joined
}

/// The tokens of a message from its [`index_text`], by the rows of its conversation and sender,
/// separated by spaces.
#[must_use]
pub fn tokens(text: &str, conversation: i64, sender: i64) -> String {
    let prefix = format!("{conversation}x");
    let terms = text.bytes().filter(|byte| *byte == b' ').count() + 1;
    let mut tokens = String::with_capacity(text.len() + terms * prefix.len() + 24);
    for term in text.split(' ') {
        tokens.push_str(&prefix);
        tokens.push_str(term);
        tokens.push(' ');
    }
    tokens.push_str(&sender_token(conversation, sender));
    tokens
}

/// The token of all messages of a sender in a conversation.
#[must_use]
pub fn sender_token(conversation: i64, sender: i64) -> String {
    format!("{conversation}s{sender}")
}

/// The token that a term of a query stands for, or that tokens begin with.
#[must_use]
pub fn query_token(conversation: i64, term: &QueryTerm) -> String {
    let mut token = format!("{conversation}x");
    token.extend(encoded(&term.text));
    token
}

/// The part of this node in keeping the index.
#[derive(Default)]
pub struct SearchIndexer {
    position: AtomicU64,
    newest: AtomicU64,
}

impl SearchIndexer {
    /// The entries up to here are in the index, as far as this node knows.
    #[must_use]
    pub fn position(&self) -> CommitPosition {
        CommitPosition(self.position.load(Ordering::Relaxed))
    }

    /// Positions of the log that are committed and not indexed, as far as this node knows.
    #[must_use]
    pub fn behind(&self) -> u64 {
        let newest = self.newest.load(Ordering::Relaxed);
        newest.saturating_sub(self.position.load(Ordering::Relaxed))
    }

    /// Follows the log for as long as it is polled. One node maintains the index; the others
    /// look now and then whether it does, and nothing else.
    pub async fn run(&self, search: Arc<dyn MessageSearch>, follower: Arc<dyn LogFollower>) {
        // Where the index was when another node was seen to move it, or at the last look.
        let mut watched: Option<CommitPosition> = None;
        // Where the last step left it. The node that moved it last never finds it elsewhere.
        let mut left_at: Option<CommitPosition> = None;
        loop {
            if watched.is_some() {
                sleep(WATCH).await;
            }
            if watched.is_some() || left_at.is_some() {
                let Some(now) = bounded(search.index_progress()).await else {
                    sleep(RETRY).await;
                    continue;
                };
                self.note(&now);
                let is_kept = match watched {
                    Some(seen) => !now.is_behind || now.position != seen,
                    None => left_at != Some(now.position),
                };
                if is_kept {
                    watched = Some(now.position);
                    continue;
                }
            }
            let began = Instant::now();
            let Some(progress) = bounded(search.advance(STEP)).await else {
                sleep(RETRY).await;
                continue;
            };
            self.note(&progress);
            left_at = Some(progress.position);
            watched = None;
            match progress.step {
                IndexStep::Outrun => {
                    watched = Some(progress.position);
                    continue;
                }
                IndexStep::Full => {
                    sleep(PAUSE).await;
                    continue;
                }
                IndexStep::Moved | IndexStep::Idle => {}
            }
            let changed = follower.changed(progress.position);
            if timeout(POLL, changed).await.is_ok() {
                sleep_until((began + EVERY).max(Instant::now() + SETTLE)).await;
            }
        }
    }

    fn note(&self, progress: &IndexProgress) {
        self.newest.store(progress.newest.0, Ordering::Relaxed);
        self.position.store(progress.position.0, Ordering::Relaxed);
    }
}

/// `None` where the store fails or does not answer in time.
async fn bounded<T>(answer: impl Future<Output = StoreResult<T>>) -> Option<T> {
    match timeout(STORE_DEADLINE, answer).await {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(error)) => failed(&error.to_string()),
        Err(_) => failed("the store did not answer in time"),
    }
    None
}

fn failed(error: &str) {
    if let Some(Due { left_out }) = throttle::due("search index", error, None) {
        tracing::warn!(error, left_out, "messages cannot be indexed; trying again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::search_terms::query_terms;

    #[test]
    fn tokens_stand_for_one_conversation_and_have_no_separators() {
        let text = index_text("Hello ⑴ world");
        assert_eq!(text, "\u{e028}1\u{e029} hello world");
        assert_eq!(
            tokens(&text, 12, 3),
            "12x\u{e028}1\u{e029} 12xhello 12xworld 12s3"
        );
        let query: Vec<String> = query_terms("hel ⑴")
            .iter()
            .map(|term| query_token(12, term))
            .collect();
        assert_eq!(query, ["12xhel", "12x\u{e028}1\u{e029}"]);
        assert_eq!(index_text("👍!"), "");
    }
}

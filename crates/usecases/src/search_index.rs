//! What the stores' indexes of messages hold, the same in all of them: tokens, each made of a
//! conversation and a term. So the places where a term stands are kept by conversation, and a search
//! reads nothing of other conversations.

use crate::deadline::STORE_DEADLINE;
use crate::ports::{CommitPosition, LogFollower, MessageSearch};
use crate::throttle::{self, Due};
use lamplight_domain::search_terms::{QueryTerm, terms};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The most conversations that one search looks at.
pub const MOST_CONVERSATIONS: usize = 2_000;

/// Entries that are indexed at a time: few enough that writes between two steps wait for some
/// milliseconds only.
const STEP: usize = 128;
/// How long commits are gathered for one step.
const GATHER: Duration = Duration::from_millis(200);
/// How often the log is looked at without being woken.
const POLL: Duration = Duration::from_secs(2);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// The pause between two steps of an index that is behind: messages go first.
const PAUSE: Duration = Duration::from_millis(2);

/// A term as an index has it: what stands between words becomes a character of the private use
/// area, which no term has, so that no index splits it.
fn encoded(term: &str) -> impl Iterator<Item = char> + '_ {
    term.chars().map(|c| {
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            c
        } else {
            char::from_u32(0xe000 + u32::from(c)).unwrap_or('\u{e000}')
        }
    })
}

/// The terms of a text, encoded and separated by spaces: what an index keeps of a message, to be able
/// to remove it.
#[must_use]
pub fn index_text(text: &str) -> String {
    let mut joined = String::new();
    for term in terms(text) {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.extend(encoded(&term));
    }
    joined
}

/// The tokens of a message from its [`index_text`], by the rows of its conversation and sender.
pub fn tokens(text: &str, conversation: i64, sender: i64) -> impl Iterator<Item = String> + '_ {
    text.split(' ')
        .map(move |term| format!("{conversation}x{term}"))
        .chain(std::iter::once(sender_token(conversation, sender)))
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

    /// Follows the log for as long as it is polled.
    pub async fn run(&self, search: Arc<dyn MessageSearch>, follower: Arc<dyn LogFollower>) {
        loop {
            let progress = match timeout(STORE_DEADLINE, search.advance(STEP)).await {
                Ok(Ok(progress)) => progress,
                Ok(Err(error)) => {
                    failed(&error.to_string());
                    sleep(RETRY).await;
                    continue;
                }
                Err(_) => {
                    failed("the store did not answer in time");
                    sleep(RETRY).await;
                    continue;
                }
            };
            self.newest.store(progress.newest.0, Ordering::Relaxed);
            let before = self.position.swap(progress.position.0, Ordering::Relaxed);
            let moved = progress.position.0.saturating_sub(before);
            // A smaller step reached the end of what can be read: the rest is gathered, or waits for
            // a transaction that is open.
            if progress.is_behind && moved >= STEP as u64 {
                sleep(PAUSE).await;
                continue;
            }
            let changed = follower.changed(progress.position);
            if timeout(POLL, changed).await.is_ok() {
                // Commits come in bursts: one step for each burst.
                sleep(GATHER).await;
            }
        }
    }
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
        let of: Vec<String> = tokens(&text, 12, 3).collect();
        assert_eq!(of, ["12x\u{e028}1\u{e029}", "12xhello", "12xworld", "12s3"]);
        let query: Vec<String> = query_terms("hel ⑴")
            .iter()
            .map(|term| query_token(12, term))
            .collect();
        assert_eq!(query, ["12xhel", "12x\u{e028}1\u{e029}"]);
        assert_eq!(index_text("👍!"), "");
    }
}

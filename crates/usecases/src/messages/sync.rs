//! Sync: what a client missed while it was away.

use super::command::MessageReply;
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::{SyncPage, SyncPosition};
use crate::refusal::{Code, Refusal};
use crate::weight;
use lamplight_domain::conversation::Conversation;
use lamplight_domain::identity::{ConversationId, UserId};
use std::sync::Arc;

/// The most conversations that one sync may name.
pub(crate) const SYNC_CONVERSATIONS: usize = 100;
/// The most entries of each conversation.
pub(crate) const SYNC_ENTRIES: usize = 200;
/// The most bytes of one reply as JSON, except for the fixed part of each conversation and for a
/// single item that is larger by itself; `hasMore` announces the rest. A reply of this size and a
/// list of those online fit into a socket's send queue together.
pub(crate) const SYNC_BYTES: usize = 400_000;
/// The part of these bytes that is reserved for conversations that the client did not name. They
/// also get what the others leave.
const ADDED_BYTES: usize = SYNC_BYTES / 4;
/// The most bytes of the names that are not valid ids.
const REFUSED_BYTES: usize = 100_000;
/// The most conversations in a reply that the client did not name.
pub(crate) const SYNC_ADDED: usize = 100;

/// The bytes that a reply may still take.
struct ByteBudget {
    left: usize,
    is_untouched: bool,
}

impl ByteBudget {
    fn new(bytes: usize) -> Self {
        Self {
            left: bytes,
            is_untouched: true,
        }
    }

    /// Takes the bytes of an item, if they are left. The first item always fits, so that every sync
    /// makes progress.
    fn takes(&mut self, weight: usize) -> bool {
        if weight > self.left && !self.is_untouched {
            return false;
        }
        self.left = self.left.saturating_sub(weight);
        self.is_untouched = false;
        true
    }

    /// Takes the bytes of what the reply has in any case.
    fn reserve(&mut self, weight: usize) {
        self.left = self.left.saturating_sub(weight);
    }

    /// The most entries worth reading from the store.
    fn entries(&self) -> usize {
        SYNC_ENTRIES.min(self.left / weight::ENTRY + usize::from(self.is_untouched))
    }
}

impl MessageService {
    pub(super) async fn sync(
        &self,
        caller: &Caller,
        have: Vec<SyncPosition>,
        refused: Vec<(Arc<str>, Refusal)>,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if have.len() + refused.len() > SYNC_CONVERSATIONS {
            return Err(Refusal::new(
                Code::TooLong,
                "A sync names at most 100 conversations.",
            ));
        }
        // The reply repeats these names, which are not bounded as ids are.
        if refused.iter().map(|(named, _)| named.len()).sum::<usize>() > REFUSED_BYTES {
            return Err(Refusal::new(
                Code::TooLong,
                "The conversation ids of this sync are too long.",
            ));
        }
        let known: Vec<ConversationId> =
            have.iter().map(|have| have.conversation.clone()).collect();
        let mut budget = ByteBudget::new(SYNC_BYTES - ADDED_BYTES);
        let pages = self.catch_up(user, &have, &mut budget).await?;
        let others = deadline::store(self.messages.others(user, &known, SYNC_ADDED)).await?;
        let added = fitting(others, &mut ByteBudget::new(ADDED_BYTES + budget.left));
        for (conversation, page) in known.iter().zip(&pages) {
            if let Some(newest) = page.as_ref().and_then(|page| page.entries.last()) {
                self.marks.record(user, conversation, newest.seq);
            }
        }
        Ok(Reply::Messages(MessageReply::Synced {
            conversations: known.into_iter().zip(pages).collect(),
            refused,
            added,
        }))
    }

    /// Reads one conversation after the other, so that memory holds at most one page past the limit.
    async fn catch_up(
        &self,
        user: &UserId,
        have: &[SyncPosition],
        budget: &mut ByteBudget,
    ) -> Result<Vec<Option<SyncPage>>, Refusal> {
        budget.reserve(
            have.iter()
                .map(|have| weight::bare_page(&have.conversation))
                .sum(),
        );
        let mut pages = Vec::with_capacity(have.len());
        for one in have {
            let page = deadline::store(self.messages.sync(
                user,
                std::slice::from_ref(one),
                budget.entries(),
            ))
            .await?;
            pages.extend(
                page.into_iter()
                    .map(|page| page.map(|page| within(page, budget))),
            );
        }
        Ok(pages)
    }
}

/// Cuts a page to the budget: entries first, since the client shows them, then receipts. A reset
/// keeps the newest entries, since the client loads older ones as history; if not even one fits, the
/// client has to sync again.
fn within(mut page: SyncPage, budget: &mut ByteBudget) -> SyncPage {
    if page.reset {
        let kept = page
            .entries
            .iter()
            .rev()
            .take_while(|entry| budget.takes(weight::entry(entry)))
            .count();
        page.entries.drain(..page.entries.len() - kept);
        page.has_more = kept == 0 && page.head_seq > 0;
    } else {
        let kept = page
            .entries
            .iter()
            .take_while(|entry| budget.takes(weight::entry(entry)))
            .count();
        page.has_more |= kept < page.entries.len();
        page.entries.truncate(kept);
    }
    if !budget.takes(weight::receipts(&page.receipts)) {
        page.receipts = Vec::new();
        page.has_more = true;
    }
    page
}

/// The conversations that fit into the budget, newest first.
fn fitting(mut others: Vec<Conversation>, budget: &mut ByteBudget) -> Vec<Conversation> {
    let kept = others
        .iter()
        .take_while(|other| budget.takes(weight::conversation(other)))
        .count();
    others.truncate(kept);
    others
}

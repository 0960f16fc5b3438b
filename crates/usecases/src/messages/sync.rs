//! `sync`: what a client missed while it was away.

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

/// The most conversations one call may name.
pub(crate) const SYNC_CONVERSATIONS: usize = 100;
/// The most entries answered for each.
pub(crate) const SYNC_ENTRIES: usize = 200;
/// The most bytes of one answer, as they travel, but for what is answered of every conversation
/// asked for and for a single thing that is larger by itself. What is past it is told by `hasMore`,
/// so that nobody's catch-up is longer than what may wait for a socket, a list of who is in beside
/// it, or than what a server wants to hold for one.
pub(crate) const SYNC_BYTES: usize = 400_000;
/// Of these, what conversations that were not named have for themselves. They also get what the
/// others leave.
const ADDED_BYTES: usize = SYNC_BYTES / 4;
/// The most bytes of names that are no ids.
const REFUSED_BYTES: usize = 100_000;
/// The most conversations answered that were not named.
pub(crate) const SYNC_ADDED: usize = 100;

/// What an answer may still have.
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

    /// Whether something of this weight goes into the answer. The first always does, so that every
    /// call brings a client on.
    fn takes(&mut self, weight: usize) -> bool {
        if weight > self.left && !self.is_untouched {
            return false;
        }
        self.left = self.left.saturating_sub(weight);
        self.is_untouched = false;
        true
    }

    /// Takes up room with what is answered in any case.
    fn lose(&mut self, weight: usize) {
        self.left = self.left.saturating_sub(weight);
    }

    /// How many entries may be worth fetching.
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
                "At most 100 conversations can be asked for at once.",
            ));
        }
        // What is refused is answered as it was named, which an id does in little.
        if refused.iter().map(|(named, _)| named.len()).sum::<usize>() > REFUSED_BYTES {
            return Err(Refusal::new(
                Code::TooLong,
                "The names of the conversations asked for are too long for ids.",
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

    /// One conversation after the other, so that no more than one page past the limit is ever held.
    async fn catch_up(
        &self,
        user: &UserId,
        have: &[SyncPosition],
        budget: &mut ByteBudget,
    ) -> Result<Vec<Option<SyncPage>>, Refusal> {
        budget.lose(
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

/// Cuts a page to what there is room for: entries first, since a log is shown, then how far
/// everyone has got. A reset keeps the newest entries, for older ones are fetched as history is;
/// one with no entry at all has to be asked for again.
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

/// As many as there is room for, the newest first.
fn fitting(mut others: Vec<Conversation>, budget: &mut ByteBudget) -> Vec<Conversation> {
    let kept = others
        .iter()
        .take_while(|other| budget.takes(weight::conversation(other)))
        .count();
    others.truncate(kept);
    others
}

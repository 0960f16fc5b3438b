//! `sync`: what a client missed while it was away.

use crate::command::{Caller, Reply};
use crate::handler::Handler;
use crate::ports::SyncPage;
use crate::refusal::{Code, Refusal};
use lamplight_domain::identity::{ConversationId, UserId};
use std::sync::Arc;

/// The most conversations one call may name.
pub(crate) const SYNC_CONVERSATIONS: usize = 100;
/// The most entries answered for each.
pub(crate) const SYNC_ENTRIES: usize = 200;
/// About the most bytes of content answered in all. What is past it is told by `hasMore`, so that nobody's catch-up is longer than
/// what may wait for a socket, or than what a server wants to hold for one.
pub(crate) const SYNC_BYTES: usize = 400_000;
/// The most conversations answered that were not named.
pub(crate) const SYNC_ADDED: usize = 100;

impl Handler {
    pub(crate) async fn sync(
        &self,
        caller: &Caller,
        have: Vec<(ConversationId, u64)>,
        refused: Vec<(Arc<str>, Refusal)>,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if have.len() + refused.len() > SYNC_CONVERSATIONS {
            return Err(Refusal::new(Code::TooLong, "At most 100 conversations can be asked for at once."));
        }
        let known: Vec<ConversationId> = have.iter().map(|(conversation, _)| conversation.clone()).collect();
        let pages = self.catch_up(user, &have).await?;
        let added = self.store(self.ports.messages.others(user, &known, SYNC_ADDED)).await?;
        for (conversation, page) in known.iter().zip(&pages) {
            if let Some(newest) = page.as_ref().and_then(|page| page.entries.last()) {
                self.note_delivered(user, conversation, newest.seq);
            }
        }
        Ok(Reply::Synced { conversations: known.into_iter().zip(pages).collect(), refused, added })
    }

    /// One conversation after the other, so that no more than one page past the limit is ever held.
    async fn catch_up(&self, user: &UserId, have: &[(ConversationId, u64)]) -> Result<Vec<Option<SyncPage>>, Refusal> {
        let mut pages = Vec::with_capacity(have.len());
        let mut left = SYNC_BYTES;
        for (index, one) in have.iter().enumerate() {
            if left == 0 {
                // Heads and marks of the others in one go: without entries these are small.
                pages.extend(self.store(self.ports.messages.sync(user, &have[index..], 0)).await?);
                break;
            }
            let page = self.store(self.ports.messages.sync(user, std::slice::from_ref(one), SYNC_ENTRIES)).await?;
            pages.extend(page.into_iter().map(|page| page.map(|page| within(page, &mut left))));
        }
        Ok(pages)
    }
}

/// Cuts a page to what is left, but never to nothing: every call brings a client on.
fn within(mut page: SyncPage, left: &mut usize) -> SyncPage {
    let mut kept = 0;
    for entry in &page.entries {
        if *left == 0 {
            break;
        }
        *left = left.saturating_sub(entry.content.as_str().len());
        kept += 1;
    }
    if kept < page.entries.len() {
        page.entries.truncate(kept);
        page.has_more = true;
    }
    page
}

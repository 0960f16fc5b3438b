//! `sync`: what a client missed while it was away.

use crate::command::{Caller, Reply};
use crate::handler::Handler;
use crate::refusal::{Code, Refusal};
use lamplight_domain::identity::ConversationId;

/// The most conversations one call may name.
pub(crate) const SYNC_CONVERSATIONS: usize = 100;
/// The most entries answered for each.
pub(crate) const SYNC_ENTRIES: usize = 200;
/// The most conversations answered that were not named.
pub(crate) const SYNC_ADDED: usize = 100;

impl Handler {
    pub(crate) async fn sync(&self, caller: &Caller, have: Vec<(ConversationId, u64)>) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if have.len() > SYNC_CONVERSATIONS {
            return Err(Refusal::new(Code::TooLong, "At most 100 conversations can be asked for at once."));
        }
        let known: Vec<ConversationId> = have.iter().map(|(conversation, _)| conversation.clone()).collect();
        let pages = self.store(self.ports.messages.sync(user, &have, SYNC_ENTRIES)).await?;
        let added = self.store(self.ports.messages.others(user, &known, SYNC_ADDED)).await?;
        for (conversation, page) in known.iter().zip(&pages) {
            if let Some(newest) = page.as_ref().and_then(|page| page.entries.last()) {
                self.note_delivered(user, conversation, newest.seq);
            }
        }
        Ok(Reply::Synced { conversations: known.into_iter().zip(pages).collect(), added })
    }
}

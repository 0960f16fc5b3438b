//! The users who are online, in pages.

use super::command::PresenceReply;
use super::service::PresenceService;
use crate::blocks::hidden::hidden_from;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::refusal::Refusal;
use crate::weight;
use lamplight_domain::identity::UserId;
use std::collections::{HashMap, HashSet};

/// The most entries of one answer: as many of the shortest as fit into it.
const MOST: usize = weight::ANSWER_BYTES / 150;

impl PresenceService {
    pub(super) async fn list_online(
        &self,
        caller: &Caller,
        exclude: Option<UserId>,
        count_only: bool,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let degraded = self.store.is_degraded();
        let hidden = self.hidden_users(caller).await?;
        let hidden_online = if hidden.is_empty() {
            0
        } else {
            let hidden: Vec<UserId> = hidden.iter().cloned().collect();
            deadline::store(self.store.states(&hidden))
                .await?
                .iter()
                .filter(|state| state.shown.is_some())
                .count()
        };
        let excluded = match &exclude {
            Some(user) if hidden.contains(user) => false,
            Some(user) => deadline::store(self.store.get(user)).await?.is_some(),
            None => false,
        };
        // The excluded user may go offline between the two reads.
        let count = deadline::store(self.store.count())
            .await?
            .saturating_sub(hidden_online + usize::from(excluded));
        if count_only {
            return Ok(Reply::Presence(PresenceReply::OnlineCount {
                count,
                degraded,
            }));
        }
        let mut except = hidden;
        except.extend(exclude);
        let page = self.store.list(cursor, limit.min(MOST), &except);
        let page = deadline::store(page).await?;
        Ok(Reply::Presence(PresenceReply::Online {
            users: page.items,
            count,
            next: page.next,
            degraded,
        }))
    }

    /// The users who have blocked the caller.
    async fn hidden_users(&self, caller: &Caller) -> Result<HashSet<UserId>, Refusal> {
        let Ok(user) = caller.user() else {
            return Ok(HashSet::new());
        };
        let users = std::slice::from_ref(user);
        let hidden = hidden_from(&*self.blocks, self.identity, users).await?;
        Ok(hidden.into_values().flat_map(HashMap::into_keys).collect())
    }
}

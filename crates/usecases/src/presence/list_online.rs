//! The users who are online, in pages.

use super::command::PresenceReply;
use super::service::PresenceService;
use crate::command::Reply;
use crate::deadline;
use crate::refusal::Refusal;
use crate::weight;
use lamplight_domain::identity::UserId;

/// The most entries of one answer: as many of the shortest as fit into it.
const MOST: usize = weight::ANSWER_BYTES / 150;

impl PresenceService {
    pub(super) async fn list_online(
        &self,
        exclude: Option<UserId>,
        count_only: bool,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let degraded = self.store.is_degraded();
        let excluded = match &exclude {
            Some(user) => deadline::store(self.store.get(user)).await?.is_some(),
            None => false,
        };
        // The excluded user may go offline between the two reads.
        let count = deadline::store(self.store.count())
            .await?
            .saturating_sub(usize::from(excluded));
        if count_only {
            return Ok(Reply::Presence(PresenceReply::OnlineCount {
                count,
                degraded,
            }));
        }
        let page =
            deadline::store(self.store.list(cursor, limit.min(MOST), exclude.as_ref())).await?;
        Ok(Reply::Presence(PresenceReply::Online {
            users: page.items,
            count,
            next: page.next,
            degraded,
        }))
    }
}

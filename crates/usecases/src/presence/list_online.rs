//! The users who are online, in pages.

use super::command::PresenceReply;
use crate::command::Reply;
use crate::handler::Handler;
use crate::refusal::Refusal;
use crate::weight;
use lamplight_domain::identity::UserId;

/// The most entries of one answer: as many of the shortest as fit into it.
const MOST: usize = weight::ANSWER_BYTES / 150;

impl Handler {
    pub(crate) async fn list_online(
        &self,
        exclude: Option<UserId>,
        count_only: bool,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let degraded = self.ports.presence.is_degraded();
        let excluded = match &exclude {
            Some(user) => self.store(self.ports.presence.get(user)).await?.is_some(),
            None => false,
        };
        // The excluded user may go offline between the two reads.
        let count = self
            .store(self.ports.presence.count())
            .await?
            .saturating_sub(usize::from(excluded));
        if count_only {
            return Ok(Reply::Presence(PresenceReply::OnlineCount {
                count,
                degraded,
            }));
        }
        let page = self
            .store(
                self.ports
                    .presence
                    .list(cursor, limit.min(MOST), exclude.as_ref()),
            )
            .await?;
        Ok(Reply::Presence(PresenceReply::Online {
            users: page.items,
            count,
            next: page.next,
            degraded,
        }))
    }
}

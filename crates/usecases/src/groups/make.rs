//! Makes a group.

use super::command::Wanted;
use super::service::GroupService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::conversations::ConversationReply;
use crate::deadline::STORE_DEADLINE;
use crate::ports::ProfileSource;
use crate::refusal::Refusal;
use lamplight_domain::group::NewGroup;
use lamplight_domain::identity::{Profile, UserId};

impl GroupService {
    pub(super) async fn make(&self, caller: &Caller, wanted: Wanted) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let mut members = wanted.members;
        members.push(user.clone());
        members.sort();
        members.dedup();
        if members.len() < 2 {
            return Err(Refusal::invalid(
                "A group has at least two members: memberIds names no other user.",
            ));
        }
        self.check_count(members.len())?;
        // A group appears in the lists of all its members.
        self.limits.conversation(user)?;
        let others: Vec<UserId> = members.iter().filter(|one| *one != user).cloned().collect();
        self.check_known(&others).await?;
        self.profiles
            .ensure_profile(Profile::bare(user.clone()), ProfileSource::Nobody, None)
            .await?;
        let created_at = self.now();
        let new = NewGroup {
            conversation: self.ids.conversation(created_at),
            entry: self.ids.message(created_at),
            owner: user.clone(),
            members,
            name: wanted.name,
            avatar_url: wanted.avatar_url,
            history: wanted.history,
            client_id: wanted.client_id,
            created_at,
        };
        let made = tokio::time::timeout(STORE_DEADLINE, self.groups.make_group(new))
            .await
            .map_err(|_| Refusal::unavailable())?
            .map_err(|error| self.refusal(error))?;
        let (conversation, created) = made.ok_or_else(Refusal::no_conversation)?;
        Ok(Reply::Conversations(ConversationReply::One {
            conversation: Box::new(conversation),
            created,
        }))
    }
}

//! Changes of a group: its members, their roles, and its details.

use super::command::GroupReply;
use super::service::GroupService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline::STORE_DEADLINE;
use crate::ports::GroupError;
use crate::refusal::{Code, Refusal};
use lamplight_domain::group::{GroupAction, GroupRefused, GroupWrite};
use lamplight_domain::identity::ConversationId;
use lamplight_domain::message::SendKey;

impl GroupService {
    pub(super) async fn change(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        action: GroupAction,
        key: Option<SendKey>,
    ) -> Result<Reply, Refusal> {
        let sender = caller.user_or_host()?;
        if !sender.is_host() {
            // Everyone in the group gets a change as they get a message.
            self.limits.send(&sender)?;
        }
        if let GroupAction::Add(users) = &action {
            if users.is_empty() {
                return Err(Refusal::invalid("userIds is empty."));
            }
            self.check_count(users.len())?;
            if !sender.is_host() {
                // The group appears in their lists.
                self.limits.conversation(&sender)?;
            }
            self.check_known(users).await?;
        }
        let created_at = self.now();
        let write = GroupWrite {
            id: self.ids.message(created_at),
            conversation,
            sender,
            action,
            key,
            created_at,
            limit: self.limit,
        };
        let changing = self.groups.change_group(write, caller.session.clone());
        let changed = tokio::time::timeout(STORE_DEADLINE, changing)
            .await
            .map_err(|_| Refusal::unavailable())?
            .map_err(|error| self.refusal(error))?;
        Ok(Reply::Groups(GroupReply::Changed {
            entry: changed.entry,
            duplicate: changed.duplicate,
        }))
    }

    pub(super) fn refusal(&self, error: GroupError) -> Refusal {
        match error {
            GroupError::Blocked(user) => Refusal::new(
                Code::Forbidden,
                format!("You cannot add {user} to a group."),
            ),
            // The same refusal as for users whom the directory does not have.
            GroupError::Deleted(user) => Refusal::no_such_user(&user),
            GroupError::NotFound => Refusal::no_conversation(),
            GroupError::Conflict => Refusal::new(
                Code::Conflict,
                "This clientMessageId was used for another write. Use a new one.",
            ),
            GroupError::Refused(GroupRefused::TooManyMembers) => self.too_many(),
            GroupError::Refused(why) => refused(why),
            GroupError::Store(error) => error.into(),
        }
    }
}

pub(crate) fn refused(why: GroupRefused) -> Refusal {
    let forbidden = |message: &'static str| Refusal::new(Code::Forbidden, message);
    match why {
        GroupRefused::NotAGroup => Refusal::invalid(
            "This is a conversation of two people. Make a group to have others in it.",
        ),
        GroupRefused::NotAnAdmin => forbidden("Only an admin of this group can do this."),
        GroupRefused::NotAnOwner => forbidden("Only an owner of this group can do this."),
        GroupRefused::IsAnOwner => forbidden("Only an owner can remove an owner of this group."),
        GroupRefused::NoMember => {
            Refusal::new(Code::NotFound, "There is no such member in this group.")
        }
        GroupRefused::LastOwner => Refusal::invalid(
            "This is the last owner of the group. Make another member an owner first.",
        ),
        GroupRefused::TooManyMembers => Refusal::new(Code::TooLong, "The group is full."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_group_has_its_code() {
        for (why, code) in [
            (GroupRefused::NotAGroup, Code::Invalid),
            (GroupRefused::NotAnAdmin, Code::Forbidden),
            (GroupRefused::NotAnOwner, Code::Forbidden),
            (GroupRefused::IsAnOwner, Code::Forbidden),
            (GroupRefused::NoMember, Code::NotFound),
            (GroupRefused::LastOwner, Code::Invalid),
            (GroupRefused::TooManyMembers, Code::TooLong),
        ] {
            assert_eq!(refused(why).code, code, "{why:?}");
        }
    }
}

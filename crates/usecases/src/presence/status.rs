//! `set_status` and `set_activity`.

use super::command::PresenceReply;
use super::service::PresenceService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::conversations::members::members_for;
use crate::deadline;
use crate::messages::receipts;
use crate::refusal::Refusal;
use lamplight_domain::presence::{Activity, ManualStatus, StatusOverride};

impl PresenceService {
    /// Sets the manual status of all the user's devices; it outlives restarts.
    pub(super) async fn set_status(
        &self,
        caller: &Caller,
        chosen: StatusOverride,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if chosen.until.is_some_and(|until| until <= self.now()) {
            return Err(Refusal::invalid(
                "The status would have ended already: until is in the past.",
            ));
        }
        // The lock keeps a change of the profile, which is not published while its user is
        // invisible, from reading the status before this and being published after it.
        let set = self.locks.with(user, async {
            let set = self.directory.set_status(user, chosen.clone(), self.now());
            let (saved, marks) = deadline::store(set).await?;
            if chosen.status == ManualStatus::Invisible {
                // A user who looks offline is not typing.
                self.typing.stop_all(user);
            }
            // A device on another node may have set a newer status meanwhile: the revision lets the
            // presence store end with the one that the directory has.
            deadline::store(self.store.set_status(user, saved)).await?;
            Ok(marks)
        });
        let marks = set.await?;
        // Marks that advanced while the user was invisible become visible with the user.
        for update in marks {
            receipts::publish(&*self.bus, update);
        }
        Ok(Reply::Presence(PresenceReply::Status(chosen)))
    }

    /// Sets what the user is doing. The activity ends with this session.
    pub(super) async fn set_activity(
        &self,
        caller: &Caller,
        activity: Option<Activity>,
    ) -> Result<Reply, Refusal> {
        let (user, session) = caller.on_socket()?;
        if let Some(conversation) = activity
            .as_ref()
            .and_then(|activity| activity.conversation.as_ref())
        {
            // The refusal must not reveal whether a conversation exists that the caller may not see.
            members_for(&*self.messages, user, conversation).await?;
        }
        // Do not show the conversation: all viewers get the same state, and some of them are not
        // members of it.
        let activity = activity.map(|activity| Activity {
            conversation: None,
            ..activity
        });
        deadline::store(self.store.set_activity(session, activity)).await?;
        Ok(Reply::Done)
    }
}

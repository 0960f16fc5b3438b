//! `set_status` and `set_activity`.

use super::command::PresenceReply;
use crate::caller::Caller;
use crate::command::Reply;
use crate::handler::Handler;
use crate::refusal::Refusal;
use lamplight_domain::presence::{Activity, ManualStatus, StatusOverride};

impl Handler {
    /// The manual status, for all of the user's devices, kept over restarts.
    pub(crate) async fn set_status(
        &self,
        caller: &Caller,
        chosen: StatusOverride,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if chosen.until.is_some_and(|until| until <= self.wall()) {
            return Err(Refusal::invalid(
                "The status would be over already: until is in the past.",
            ));
        }
        let directory = &self.ports.directory;
        let saved = directory.set_status(user, chosen.clone(), self.wall());
        let (saved, marks) = self.store(saved).await?;
        if chosen.status == ManualStatus::Invisible {
            // A user who looks offline is not typing.
            self.stop_typing_of(user);
        }
        // Another device, on this node or on another, may have set a newer status meanwhile: the
        // revision lets the presence store end with the one that the directory has.
        self.store(self.ports.presence.set_status(user, saved))
            .await?;
        // What the user read and received while invisible becomes visible with them.
        for marked in marks {
            self.tell(marked);
        }
        Ok(Reply::Presence(PresenceReply::Status(chosen)))
    }

    /// What the person is doing, held by this session and gone with it.
    pub(crate) async fn set_activity(
        &self,
        caller: &Caller,
        activity: Option<Activity>,
    ) -> Result<Reply, Refusal> {
        let (user, session) = caller.on_socket()?;
        if let Some(conversation) = activity
            .as_ref()
            .and_then(|activity| activity.conversation.as_ref())
        {
            // The activity is shown to everyone, so it may not name what the caller themselves may
            // not see.
            self.members_for(user, conversation).await?;
        }
        self.store(self.ports.presence.set_activity(session, activity))
            .await?;
        Ok(Reply::Done)
    }
}

//! Opens the conversation of two people.

use super::command::ConversationReply;
use crate::caller::Caller;
use crate::command::Reply;
use crate::handler::Handler;
use crate::ports::ProfileSource;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId};

impl Handler {
    pub(crate) async fn open_conversation(
        &self,
        caller: &Caller,
        other: &UserId,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if user == other {
            return Err(Refusal::invalid(
                "You cannot start a conversation with yourself.",
            ));
        }
        // Nearly always it is there. Making one is limited, since each is shown to the other one.
        if let Some(conversation) = self.store(self.ports.messages.direct(user, other)).await? {
            return Ok(Reply::Conversations(ConversationReply::One {
                conversation,
                created: false,
            }));
        }
        self.limits.conversation(user)?;
        self.known(other).await?;
        self.ensure_profile(Profile::bare(user.clone()), ProfileSource::Nobody, None)
            .await?;
        let at = self.wall();
        let new = self.ports.ids.conversation(at);
        let (conversation, created) = self
            .store(self.ports.messages.ensure_direct(user, other, new, at))
            .await?;
        if created {
            let to = [user.clone(), other.clone()].into();
            self.ports.bus.publish(Event::ConversationChanged {
                conversation: conversation.id.clone(),
                to,
            });
        }
        Ok(Reply::Conversations(ConversationReply::One {
            conversation,
            created,
        }))
    }

    /// Where accounts are ours, someone unknown does not exist; elsewhere the host application
    /// knows them, and we make a bare profile.
    async fn known(&self, user: &UserId) -> Result<(), Refusal> {
        if self.settings.identity == Identity::Local {
            let person = self.store(self.ports.directory.person(user)).await?;
            return person
                .map(drop)
                .ok_or_else(|| Refusal::new(Code::NotFound, "There is no such user."));
        }
        self.ensure_profile(Profile::bare(user.clone()), ProfileSource::Nobody, None)
            .await
    }
}

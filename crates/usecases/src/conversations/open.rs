//! Opens the conversation of two people.

use super::command::ConversationReply;
use super::service::ConversationService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::ProfileSource;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId};

impl ConversationService {
    pub(super) async fn open(&self, caller: &Caller, other: &UserId) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if user == other {
            return Err(Refusal::invalid(
                "You cannot start a conversation with yourself.",
            ));
        }
        // It nearly always exists. Creating one is limited, since it appears in the other user's list.
        if let Some(conversation) = deadline::store(self.messages.direct(user, other)).await? {
            return Ok(Reply::Conversations(ConversationReply::One {
                conversation: Box::new(conversation),
                created: false,
            }));
        }
        // A new one would appear in the list of the other user.
        let blocked = self.blocks.between(user, std::slice::from_ref(other));
        if !deadline::store(blocked).await?.is_empty() {
            return Err(Refusal::no_writing());
        }
        self.limits.conversation(user)?;
        self.ensure_exists(other).await?;
        self.profiles
            .ensure_profile(Profile::bare(user.clone()), ProfileSource::Nobody, None)
            .await?;
        let at = self.now();
        let new = self.ids.conversation(at);
        let ensured = deadline::store(self.messages.ensure_direct(user, other, new, at)).await?;
        // Deleted since it was looked for.
        let (conversation, created) = ensured.ok_or_else(Refusal::deleted_account)?;
        if created {
            let to = [user.clone(), other.clone()].into();
            self.bus.publish(Event::ConversationChanged {
                conversation: conversation.id.clone(),
                to,
            });
        }
        Ok(Reply::Conversations(ConversationReply::One {
            conversation: Box::new(conversation),
            created,
        }))
    }

    /// With local accounts, an unknown user does not exist. Otherwise the host application knows its
    /// users, and the directory gets a bare profile.
    async fn ensure_exists(&self, user: &UserId) -> Result<(), Refusal> {
        if self.identity == Identity::Local {
            let person = deadline::store(self.directory.person(user)).await?;
            return match person {
                Some(person) if person.profile.is_deleted() => Err(Refusal::deleted_account()),
                Some(_) => Ok(()),
                None => Err(Refusal::new(Code::NotFound, "There is no such user.")),
            };
        }
        self.profiles
            .ensure_profile(Profile::bare(user.clone()), ProfileSource::Nobody, None)
            .await
    }
}

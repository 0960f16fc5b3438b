//! `typing`: told to the others, and over by itself.

use crate::caller::Caller;
use crate::command::Reply;
use crate::handler::Handler;
use crate::refusal::Refusal;
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_domain::time::{Moment, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// After how long without another word someone has stopped typing.
pub(crate) const TYPING_LASTS: Duration = Duration::from_secs(6);

struct Entry {
    until: Moment,
    to: Members,
    /// The socket it is typed on, so that closing one tab does not end the typing in another.
    session: Option<ConnectionId>,
}

/// Who is typing where.
#[derive(Default)]
pub(crate) struct TypingTable(Mutex<HashMap<UserId, HashMap<ConversationId, Entry>>>);

impl TypingTable {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().values().map(HashMap::len).sum()
    }
}

impl Handler {
    pub(crate) async fn set_typing(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        is_typing: bool,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        self.limits.typing(user)?;
        let to = self.members_for(user, &conversation).await?;
        if is_typing && self.store(self.ports.presence.is_invisible(user)).await? {
            return Ok(Reply::Done); // Accepted and told to nobody: someone offline does not type.
        }
        if is_typing {
            let now = self.ports.clock.now();
            let entry = Entry {
                until: now.moment.plus(TYPING_LASTS),
                to: Members::clone(&to),
                session: caller.session.clone(),
            };
            self.typing
                .0
                .lock()
                .entry(user.clone())
                .or_default()
                .insert(conversation.clone(), entry);
            let expires_at = Timestamp(
                now.wall
                    .0
                    .saturating_add(i64::try_from(TYPING_LASTS.as_millis()).unwrap_or(0)),
            );
            self.publish_typing(user, conversation, to, true, expires_at);
        } else if self.forget_typing(user, &conversation) {
            self.publish_typing(user, conversation, to, false, self.wall());
        }
        Ok(Reply::Done)
    }

    /// A message takes the place of the notice that it was coming, without an event: the message
    /// itself says so.
    pub(crate) fn sent_instead_of_typing(&self, user: &UserId, conversation: &ConversationId) {
        self.forget_typing(user, conversation);
    }

    /// Someone is not to be seen typing any more.
    pub(crate) fn stop_typing_of(&self, user: &UserId) {
        self.stop_typing_where(user, |_| true);
    }

    /// A socket is gone, and with it what was typed there.
    pub(crate) fn stop_typing_on(&self, user: &UserId, session: &ConnectionId) {
        self.stop_typing_where(user, |entry| entry.session.as_ref() == Some(session));
    }

    fn stop_typing_where(&self, user: &UserId, ends: impl Fn(&Entry) -> bool) {
        let mut table = self.typing.0.lock();
        let Some(conversations) = table.get_mut(user) else {
            return;
        };
        let stopped: Vec<_> = conversations.extract_if(|_, entry| ends(entry)).collect();
        if conversations.is_empty() {
            table.remove(user);
        }
        drop(table);
        for (conversation, entry) in stopped {
            self.publish_typing(user, conversation, entry.to, false, self.wall());
        }
    }

    /// Ends what has gone on without another word. Call it about twice a second.
    pub fn expire_typing(&self) {
        let now = self.ports.clock.now();
        let mut over = Vec::new();
        self.typing.0.lock().retain(|user, conversations| {
            let ended = conversations.extract_if(|_, entry| entry.until <= now.moment);
            over.extend(ended.map(|(conversation, entry)| (user.clone(), conversation, entry.to)));
            !conversations.is_empty()
        });
        for (user, conversation, to) in over {
            self.publish_typing(&user, conversation, to, false, now.wall);
        }
    }

    fn forget_typing(&self, user: &UserId, conversation: &ConversationId) -> bool {
        let mut table = self.typing.0.lock();
        let Some(conversations) = table.get_mut(user) else {
            return false;
        };
        let was = conversations.remove(conversation).is_some();
        if conversations.is_empty() {
            table.remove(user);
        }
        was
    }

    fn publish_typing(
        &self,
        user: &UserId,
        conversation: ConversationId,
        to: Members,
        is_typing: bool,
        expires_at: Timestamp,
    ) {
        let to = to
            .iter()
            .filter(|member| *member != user)
            .cloned()
            .collect();
        self.ports.bus.publish(Event::Typing {
            conversation,
            user: user.clone(),
            is_typing,
            expires_at,
            to,
        });
    }
}

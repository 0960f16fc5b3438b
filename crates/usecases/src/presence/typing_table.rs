//! Who is typing where.

use crate::ports::{Clock, EventBus};
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_domain::time::{Moment, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Typing ends by itself after this long without another notice.
const TYPING_LASTS: Duration = Duration::from_secs(6);

struct Typing {
    until: Moment,
    to: Members,
    /// The socket that the notice came by, so that closing one tab does not end the typing in
    /// another.
    session: Option<ConnectionId>,
}

/// The typing notices in force. Publishes when one starts and stops.
pub(crate) struct TypingTable {
    clock: Arc<dyn Clock>,
    bus: Arc<dyn EventBus>,
    users: Mutex<HashMap<UserId, HashMap<ConversationId, Typing>>>,
}

impl TypingTable {
    pub(crate) fn new(clock: &Arc<dyn Clock>, bus: &Arc<dyn EventBus>) -> Self {
        Self {
            clock: Arc::clone(clock),
            bus: Arc::clone(bus),
            users: Mutex::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.users.lock().values().map(HashMap::len).sum()
    }

    pub(crate) fn start(
        &self,
        user: &UserId,
        conversation: ConversationId,
        to: Members,
        session: Option<ConnectionId>,
    ) {
        let now = self.clock.now();
        let typing = Typing {
            until: now.moment.plus(TYPING_LASTS),
            to: Members::clone(&to),
            session,
        };
        self.users
            .lock()
            .entry(user.clone())
            .or_default()
            .insert(conversation.clone(), typing);
        let lasts = i64::try_from(TYPING_LASTS.as_millis()).unwrap_or(0);
        let expires_at = Timestamp(now.wall.0.saturating_add(lasts));
        self.publish(user, conversation, to, true, expires_at);
    }

    pub(crate) fn stop(&self, user: &UserId, conversation: ConversationId, to: Members) {
        if self.remove(user, &conversation) {
            self.publish(user, conversation, to, false, self.clock.now().wall);
        }
    }

    /// Ends a notice without an event. Returns whether there was one.
    ///
    /// A message replaces the notice of its sender this way: receivers end it on the message.
    pub(crate) fn remove(&self, user: &UserId, conversation: &ConversationId) -> bool {
        let mut users = self.users.lock();
        let Some(conversations) = users.get_mut(user) else {
            return false;
        };
        let was = conversations.remove(conversation).is_some();
        if conversations.is_empty() {
            users.remove(user);
        }
        was
    }

    /// Who has left a conversation does not hear that typing ends in it.
    pub(crate) fn left(&self, conversation: &ConversationId, gone: &[UserId]) {
        for typing in self.users.lock().values_mut() {
            if let Some(typing) = typing.get_mut(conversation) {
                let is_left = |user: &&UserId| !gone.contains(user);
                typing.to = typing.to.iter().filter(is_left).cloned().collect();
            }
        }
    }

    pub(crate) fn stop_all(&self, user: &UserId) {
        self.stop_where(user, |_| true);
    }

    pub(crate) fn stop_on_socket(&self, user: &UserId, session: &ConnectionId) {
        self.stop_where(user, |typing| typing.session.as_ref() == Some(session));
    }

    fn stop_where(&self, user: &UserId, ends: impl Fn(&Typing) -> bool) {
        let mut users = self.users.lock();
        let Some(conversations) = users.get_mut(user) else {
            return;
        };
        let stopped: Vec<_> = conversations.extract_if(|_, typing| ends(typing)).collect();
        if conversations.is_empty() {
            users.remove(user);
        }
        drop(users);
        for (conversation, typing) in stopped {
            self.publish(user, conversation, typing.to, false, self.clock.now().wall);
        }
    }

    /// Ends the notices that are too old. To be called about twice a second.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        let mut expired = Vec::new();
        self.users.lock().retain(|user, conversations| {
            let ended = conversations.extract_if(|_, typing| typing.until <= now.moment);
            expired.extend(
                ended.map(|(conversation, typing)| (user.clone(), conversation, typing.to)),
            );
            !conversations.is_empty()
        });
        for (user, conversation, to) in expired {
            self.publish(&user, conversation, to, false, now.wall);
        }
    }

    fn publish(
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
        self.bus.publish(Event::Typing {
            conversation,
            user: user.clone(),
            is_typing,
            expires_at,
            to,
        });
    }
}

//! The users who are typing, by conversation.

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

/// A notice that a user types.
pub(crate) struct Notice {
    /// The members of the conversation.
    pub(crate) to: Members,
    /// The socket that the notice came by, so that closing one tab does not end the typing in
    /// another.
    pub(crate) session: Option<ConnectionId>,
    /// Whether blocks apply in the conversation.
    pub(crate) is_direct: bool,
}

struct Typing {
    until: Moment,
    notice: Notice,
}

#[derive(Default)]
struct State {
    users: HashMap<UserId, HashMap<ConversationId, Typing>>,
    /// How many blocks were made so far.
    blocks_made: u64,
}

/// The typing notices in force. Publishes when one starts and stops.
pub(crate) struct TypingTable {
    clock: Arc<dyn Clock>,
    bus: Arc<dyn EventBus>,
    state: Mutex<State>,
}

impl TypingTable {
    pub(crate) fn new(clock: &Arc<dyn Clock>, bus: &Arc<dyn EventBus>) -> Self {
        Self {
            clock: Arc::clone(clock),
            bus: Arc::clone(bus),
            state: Mutex::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().users.values().map(HashMap::len).sum()
    }

    /// For [`start`](Self::start): read it before the check for blocks.
    pub(crate) fn blocks_made(&self) -> u64 {
        self.state.lock().blocks_made
    }

    /// `false`, without an effect, if a block was made since `blocks_made` was read.
    pub(crate) fn start(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        notice: Notice,
        blocks_made: u64,
    ) -> bool {
        let now = self.clock.now();
        let to = Members::clone(&notice.to);
        let typing = Typing {
            until: now.moment.plus(TYPING_LASTS),
            notice,
        };
        let mut state = self.state.lock();
        if state.blocks_made != blocks_made {
            return false;
        }
        let conversations = state.users.entry(user.clone()).or_default();
        conversations.insert(conversation.clone(), typing);
        drop(state);
        let lasts = i64::try_from(TYPING_LASTS.as_millis()).unwrap_or(0);
        let expires_at = Timestamp(now.wall.0.saturating_add(lasts));
        self.publish(user, conversation.clone(), to, true, expires_at);
        true
    }

    /// Ends the notices of two users in their direct conversations, because one of them blocks the
    /// other. Before the block the end `is_published`; after it no event passes, and notices that
    /// started meanwhile expire at the receivers.
    pub(crate) fn end_between(&self, one: &UserId, other: &UserId, is_published: bool) {
        let mut state = self.state.lock();
        state.blocks_made += u64::from(!is_published);
        let mut ended = Vec::new();
        for (user, other) in [(one, other), (other, one)] {
            let Some(conversations) = state.users.get_mut(user) else {
                continue;
            };
            let is_theirs = |_: &ConversationId, typing: &mut Typing| {
                typing.notice.is_direct && typing.notice.to.contains(other)
            };
            let theirs = conversations.extract_if(is_theirs);
            ended.extend(theirs.map(|(place, typing)| (user, place, typing.notice.to)));
            if conversations.is_empty() {
                state.users.remove(user);
            }
        }
        drop(state);
        for (user, conversation, to) in ended.into_iter().filter(|_| is_published) {
            self.publish(user, conversation, to, false, self.clock.now().wall);
        }
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
        let mut state = self.state.lock();
        let Some(conversations) = state.users.get_mut(user) else {
            return false;
        };
        let was = conversations.remove(conversation).is_some();
        if conversations.is_empty() {
            state.users.remove(user);
        }
        was
    }

    /// Former members do not receive the end of typing.
    pub(crate) fn left(&self, conversation: &ConversationId, gone: &[UserId]) {
        for typing in self.state.lock().users.values_mut() {
            if let Some(typing) = typing.get_mut(conversation) {
                let is_left = |user: &&UserId| !gone.contains(user);
                let to = &mut typing.notice.to;
                *to = to.iter().filter(is_left).cloned().collect();
            }
        }
    }

    pub(crate) fn stop_all(&self, user: &UserId) {
        self.stop_where(user, |_| true);
    }

    pub(crate) fn stop_on_socket(&self, user: &UserId, session: &ConnectionId) {
        self.stop_where(user, |typing| {
            typing.notice.session.as_ref() == Some(session)
        });
    }

    fn stop_where(&self, user: &UserId, ends: impl Fn(&Typing) -> bool) {
        let mut state = self.state.lock();
        let Some(conversations) = state.users.get_mut(user) else {
            return;
        };
        let stopped: Vec<_> = conversations.extract_if(|_, typing| ends(typing)).collect();
        if conversations.is_empty() {
            state.users.remove(user);
        }
        drop(state);
        for (conversation, typing) in stopped {
            let to = typing.notice.to;
            self.publish(user, conversation, to, false, self.clock.now().wall);
        }
    }

    /// Ends the notices that are too old. To be called about twice a second.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        let mut expired = Vec::new();
        self.state.lock().users.retain(|user, conversations| {
            let ended = conversations.extract_if(|_, typing| typing.until <= now.moment);
            expired.extend(
                ended.map(|(conversation, typing)| (user.clone(), conversation, typing.notice.to)),
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

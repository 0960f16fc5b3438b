//! What happened, and who is to be told.

use crate::conversation::{Members, Receipt};
use crate::entry::Entry;
use crate::identity::{ConnectionId, ConversationId, UserId};
use crate::presence::Change;
use crate::time::Timestamp;
use std::sync::Arc;

/// Something that happened. Every node is told; each tells the sockets it holds.
#[derive(Clone, Debug)]
pub enum Event {
    /// A log has grown. In the order of `seq` within a conversation.
    Appended {
        entry: Arc<Entry>,
        /// The members of the conversation.
        to: Members,
        /// The socket that sent it and has its acknowledgement instead.
        except: Option<ConnectionId>,
    },
    /// Someone began or stopped typing.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Began, or stopped.
        is_typing: bool,
        /// When it is over if nothing more is heard.
        expires_at: Timestamp,
        /// The others in it.
        to: Members,
    },
    /// Someone's marks moved.
    Receipt {
        /// Where.
        conversation: ConversationId,
        /// Whose, and to where.
        receipt: Receipt,
        /// The one whose marks moved, and who is to know: everyone in it, or in a large one the
        /// authors of what is newly covered.
        to: Members,
    },
    /// A conversation is new, or looks different, to these members; each is shown it as they see
    /// it.
    ConversationChanged {
        /// Which.
        conversation: ConversationId,
        /// To whom.
        to: Members,
    },
    /// Someone's presence changed.
    Presence(Change),
    /// A session of local accounts ended; its sockets are to be closed.
    SignedOut {
        /// The user.
        user: UserId,
        /// Which sessions: all that were opened with this credential.
        credential: Arc<str>,
    },
}

//! Ids and secrets.

use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::Timestamp;

/// Ids and secrets.
pub trait Ids: Send + Sync + 'static {
    /// An id for a message taken at `at`; later ones sort after earlier ones.
    fn message(&self, at: Timestamp) -> MessageId;
    /// An id for a new conversation.
    fn conversation(&self, at: Timestamp) -> ConversationId;
    /// An id for a new local account.
    fn user(&self, at: Timestamp) -> UserId;
    /// A secret of 256 bits from the system's random source, in URL-safe characters.
    fn secret(&self) -> String;
}

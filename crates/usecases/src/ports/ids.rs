//! Ids and secrets.

use lamplight_domain::identity::{ConversationId, FileId, MessageId, UserId};
use lamplight_domain::time::Timestamp;

/// Ids and secrets.
pub trait Ids: Send + Sync + 'static {
    /// An id for a message received at `at`; ids of later messages sort after it.
    fn message(&self, at: Timestamp) -> MessageId;
    fn conversation(&self, at: Timestamp) -> ConversationId;
    /// An id for the user of a new local account.
    fn user(&self, at: Timestamp) -> UserId;
    /// An id for a file, which cannot be guessed.
    fn file(&self) -> FileId {
        FileId::trusted(self.secret())
    }
    /// A secret of 256 bits from the system's random source, in URL-safe characters.
    fn secret(&self) -> String;
}

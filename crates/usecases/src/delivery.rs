//! Handles the transport's reports of delivered messages.

use lamplight_domain::identity::{ConversationId, UserId};

/// Learns that messages reached their receivers' connections.
pub trait DeliveryObserver: Send + Sync + 'static {
    /// The entry `seq` was written to a connection of `user`, who is not its sender. Called on the
    /// thread that wrote it, for each connection, so it must not block.
    fn delivered(&self, user: &UserId, conversation: &ConversationId, seq: u64);
}

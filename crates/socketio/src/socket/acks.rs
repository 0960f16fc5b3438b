//! The acknowledgements that a socket awaits.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::AckReply;

/// The acknowledgements that a socket awaits.
#[derive(Default)]
pub(super) struct Acks {
    pub(super) last: u64,
    pub(super) waiting: HashMap<u64, oneshot::Sender<AckReply>>,
}

//! What a connection runs on.

use crate::{TransportKind, websocket::WebSocket};

/// The transport of a connection, as its driver has it.
pub(crate) enum Link {
    Polling,
    WebSocket(WebSocket),
}

impl Link {
    pub(crate) fn kind(&self) -> TransportKind {
        match self {
            Self::Polling => TransportKind::Polling,
            Self::WebSocket(_) => TransportKind::WebSocket,
        }
    }
}

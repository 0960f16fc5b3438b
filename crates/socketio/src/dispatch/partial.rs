//! Binary packets that wait for their attachments (Socket.IO protocol 5, "Packet encoding").

use bytes::Bytes;

use crate::{codec::json::EventParts, received::Received};

/// A binary packet that is not complete.
pub(super) struct Partial {
    pub(super) namespace: Box<str>,
    /// `None` if the attachments are unwanted; they are then dropped as they arrive.
    pub(super) packet: Option<PartialPacket>,
    pub(super) attachments: Vec<Bytes>,
    /// Bytes of the packet and of the attachments that have arrived.
    pub(super) bytes: usize,
    pub(super) received: Received,
    /// Number of attachments that have not arrived yet.
    pub(super) missing: usize,
}

pub(super) enum PartialPacket {
    Event {
        text: Box<str>,
        parts: EventParts,
        ack: Option<u64>,
    },
    Ack {
        id: u64,
        args: Box<str>,
    },
}

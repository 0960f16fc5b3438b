//! What packets become on their way to this connection. Each form is kept with the packet, for the
//! next connection that wants the same.

#[cfg(feature = "deflate")]
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Item, Push, Session};
#[cfg(feature = "deflate")]
use crate::driver::Handover;
use crate::{EmitError, Packet, Parser};

impl Session {
    /// From now on compresses what it sends, if this WebSocket may. Base64 is made of frames that
    /// are not compressed.
    #[cfg(feature = "deflate")]
    pub(crate) fn compress_on(&self, websocket: &Handover, base64: bool) {
        self.compresses
            .store(websocket.compresses() && !base64, Ordering::Relaxed);
    }

    /// A packet's frames for this connection, if they are to be compressed.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressed<'a>(&self, packet: &'a Packet) -> Option<&'a Bytes> {
        let how = self
            .server
            .config
            .deflate
            .as_ref()
            .filter(|_| self.compresses.load(Ordering::Relaxed))?;
        packet.compressed(how)
    }

    #[cfg(not(feature = "deflate"))]
    pub(crate) fn compressed<'a>(&self, _: &'a Packet) -> Option<&'a Bytes> {
        None
    }

    /// The same, of frames that can be given an offset without being compressed again, which those
    /// of msgpack cannot.
    pub(crate) fn compressed_text<'a>(&self, packet: &'a Packet) -> Option<&'a Bytes> {
        self.compressed(packet)
            .filter(|_| self.server.config.parser == Parser::Json)
    }

    /// A Socket.IO packet as the clients of this server read it.
    pub(crate) fn parsed<'a>(&self, packet: &'a Packet) -> &'a Packet {
        match self.server.config.parser {
            Parser::Json => packet,
            #[cfg(feature = "msgpack")]
            Parser::MsgPack => packet.msgpack(),
        }
    }

    /// Queues a Socket.IO packet, and what is to follow its being written.
    pub(crate) fn send(&self, packet: &Packet, then: Option<Item>) -> Result<(), EmitError> {
        self.send_parsed(self.parsed(packet), then)
    }

    /// The same, of a packet that is written as the clients read it.
    pub(crate) fn send_parsed(&self, packet: &Packet, then: Option<Item>) -> Result<(), EmitError> {
        self.push(
            self.compressed(packet).unwrap_or(packet.frames()).clone(),
            then,
        )
    }

    /// The same if there is room for it at the moment: see [`Session::push_if_room`].
    pub(crate) fn send_if_room(&self, packet: &Packet) -> Result<(), EmitError> {
        let packet = self.parsed(packet);
        self.push_if_room(self.compressed(packet).unwrap_or(packet.frames()).clone())
    }

    /// The same, of what a client has missed. It was kept within limits of its own, and is counted
    /// apart from what may be queued: a client that comes back to several namespaces at once, which
    /// is none of its doing, would be cut off for it each time.
    pub(crate) fn send_missed(&self, packet: &Packet, then: Option<Item>) -> Result<(), EmitError> {
        let frames = self.compressed(packet).unwrap_or(packet.frames()).clone();
        self.queue(frames, &mut { then }, Push::Apart)
    }
}

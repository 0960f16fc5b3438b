//! The forms of a packet that a connection needs: JSON or msgpack, compressed or not. The packet
//! caches each form for the next connection.

#[cfg(feature = "deflate")]
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Item, Session, queue::PushPolicy};
#[cfg(feature = "deflate")]
use crate::websocket::WebSocket;
use crate::{EmitError, Packet, Parser};

impl Session {
    /// Starts compressing messages, if this WebSocket allows it. Base64 clients get uncompressed
    /// frames, because base64 is made from those.
    #[cfg(feature = "deflate")]
    pub(crate) fn compress_on(&self, websocket: &WebSocket, base64: bool) {
        self.compresses
            .store(websocket.compresses() && !base64, Ordering::Relaxed);
    }

    /// A packet's compressed frames, if this connection uses them.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressed<'a>(&self, packet: &'a Packet) -> Option<&'a Bytes> {
        let how = self
            .engine
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

    /// Like [`Self::compressed`], for frames that get a recovery offset: that is possible without
    /// recompression for JSON but not for msgpack.
    pub(crate) fn compressed_text<'a>(&self, packet: &'a Packet) -> Option<&'a Bytes> {
        self.compressed(packet)
            .filter(|_| self.engine.config.parser == Parser::Json)
    }

    /// A Socket.IO packet in the encoding of this server's clients.
    pub(crate) fn parsed<'a>(&self, packet: &'a Packet) -> &'a Packet {
        match self.engine.config.parser {
            Parser::Json => packet,
            #[cfg(feature = "msgpack")]
            Parser::MsgPack => packet.msgpack(),
        }
    }

    /// Queues a Socket.IO packet, and a callback for when it has been written.
    pub(crate) fn send(&self, packet: &Packet, callback: Option<Item>) -> Result<(), EmitError> {
        self.send_parsed(self.parsed(packet), callback)
    }

    /// Like [`Self::send`], for a packet that already has the clients' encoding.
    pub(crate) fn send_parsed(
        &self,
        packet: &Packet,
        callback: Option<Item>,
    ) -> Result<(), EmitError> {
        self.push(
            self.compressed(packet).unwrap_or(packet.frames()).clone(),
            callback,
        )
    }

    /// Like [`Self::send`], if the queue has space now: see [`Session::try_push_now`].
    pub(crate) fn try_send_now(&self, packet: &Packet) -> Result<(), EmitError> {
        let packet = self.parsed(packet);
        self.try_push_now(self.compressed(packet).unwrap_or(packet.frames()).clone())
    }

    /// Queues the events that a client has missed. They have limits of their own and do not count
    /// towards the queue's: a client that resumes several namespaces at once would otherwise be
    /// disconnected each time through no fault of its own.
    pub(crate) fn send_missed(
        &self,
        packet: &Packet,
        callback: Option<Item>,
    ) -> Result<(), EmitError> {
        let frames = self.compressed(packet).unwrap_or(packet.frames()).clone();
        self.queue(frames, &mut { callback }, PushPolicy::Uncounted)
    }
}

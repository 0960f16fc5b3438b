//! Outgoing packets: encoded once, shared by all receivers.

#[cfg(any(feature = "deflate", feature = "msgpack"))]
use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use serde::{Serialize, ser::SerializeStruct};

use crate::codec::frame::{self, OpCode};
#[cfg(feature = "msgpack")]
use crate::codec::msgpack;
#[cfg(feature = "deflate")]
use crate::{Deflate, codec::deflate};

/// One or more encoded Socket.IO packets, ready to be sent. A clone costs a reference count, so one
/// packet can be sent to any number of sockets of its namespace without encoding it again.
///
/// Internally it is a sequence of complete WebSocket frames; polling payloads are cut from the same
/// bytes.
#[derive(Debug, Clone)]
pub struct Packet {
    frames: Bytes,
    /// Compressed when the first connection needs it, then shared by all.
    #[cfg(feature = "deflate")]
    compressed: OnceLock<Option<Bytes>>,
    /// Converted when the first connection needs it ([`crate::Parser::MsgPack`]), then shared by
    /// all.
    #[cfg(feature = "msgpack")]
    msgpack: OnceLock<Box<Packet>>,
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.frames == other.frames
    }
}

impl Eq for Packet {}

impl Packet {
    /// Wraps encoded frames.
    pub(crate) fn of(frames: Bytes) -> Self {
        Self {
            frames,
            #[cfg(feature = "deflate")]
            compressed: OnceLock::new(),
            #[cfg(feature = "msgpack")]
            msgpack: OnceLock::new(),
        }
    }

    /// Encodes an EVENT. `args` is the JSON text of the arguments as it appears between the
    /// brackets of an array: separated by commas, empty for none. The text is not validated.
    pub fn event(namespace: &str, name: &str, args: &str) -> Self {
        Self::encode_event(namespace, None, name, args, &[])
    }

    /// Encodes an EVENT with one argument.
    ///
    /// # Errors
    /// If the value does not serialize to JSON.
    pub fn event_of<T: Serialize + ?Sized>(
        namespace: &str,
        name: &str,
        arg: &T,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::event(namespace, name, &serde_json::to_string(arg)?))
    }

    /// Encodes a BINARY_EVENT. [`Placeholder`]s in `args` mark the positions of the attachments.
    pub fn binary_event(namespace: &str, name: &str, args: &str, attachments: &[Bytes]) -> Self {
        Self::encode_event(namespace, None, name, args, attachments)
    }

    /// Joins several packets into one that is queued, counted and written as a unit, in this order.
    pub fn batch<I: IntoIterator<Item = Packet>>(packets: I) -> Self {
        let mut packets = packets.into_iter();
        let Some(first) = packets.next() else {
            return Self::of(Bytes::new());
        };
        let Some(second) = packets.next() else {
            return first;
        };
        let mut all = BytesMut::from(&first.frames[..]);
        all.extend_from_slice(&second.frames);
        packets.for_each(|packet| all.extend_from_slice(&packet.frames));
        Self::of(all.freeze())
    }

    /// The encoded bytes, to be sent to another node that runs the same version of this library.
    pub fn to_bytes(&self) -> Bytes {
        self.frames.clone()
    }

    /// Restores a packet from the bytes of [`Self::to_bytes`]. Returns `None` unless they consist
    /// of complete events.
    pub fn from_bytes(frames: Bytes) -> Option<Self> {
        let mut length = 0;
        for (opcode, data) in frame::server_frames(&frames) {
            length += frame::server_header(opcode, data.len()).1 + data.len();
            let fits = match opcode {
                OpCode::Text => {
                    (data.starts_with(b"42") || data.starts_with(b"45")) && data.ends_with(b"]")
                }
                OpCode::Binary => true,
                _ => false,
            };
            if !fits {
                return None;
            }
        }
        (length == frames.len()).then(|| Self::of(frames))
    }

    /// Size in bytes on a WebSocket and in a queue.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether the packet contains nothing to send, as an empty batch does.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(crate) fn encode_event(
        namespace: &str,
        ack: Option<u64>,
        name: &str,
        args: &str,
        attachments: &[Bytes],
    ) -> Self {
        let kind = if attachments.is_empty() { '2' } else { '5' };
        let mut text = Writer::new(name.len() + args.len() + namespace.len() + 32);
        text.head(kind, attachments.len(), namespace, ack);
        text.push("[");
        text.push_string(name);
        if !args.is_empty() {
            text.push(",");
            text.push(args);
        }
        text.push("]");
        text.finish(attachments)
    }

    pub(crate) fn ack(namespace: &str, id: u64, args: &str, attachments: &[Bytes]) -> Self {
        let kind = if attachments.is_empty() { '3' } else { '6' };
        let mut text = Writer::new(args.len() + namespace.len() + 48);
        text.head(kind, attachments.len(), namespace, Some(id));
        text.push("[");
        text.push(args);
        text.push("]");
        text.finish(attachments)
    }

    pub(crate) fn connected(namespace: &str, id: &str, pid: Option<&str>) -> Self {
        let mut text = Writer::new(96);
        text.head('0', 0, namespace, None);
        text.push("{\"sid\":");
        text.push_string(id);
        if let Some(pid) = pid {
            text.push(",\"pid\":");
            text.push_string(pid);
        }
        text.push("}");
        text.finish(&[])
    }

    pub(crate) fn disconnect(namespace: &str) -> Self {
        let mut text = Writer::new(namespace.len() + 16);
        text.head('1', 0, namespace, None);
        text.finish(&[])
    }

    pub(crate) fn connect_error(namespace: &str, message: &str, data: Option<&str>) -> Self {
        let mut text = Writer::new(128);
        text.head('4', 0, namespace, None);
        text.push("{\"message\":");
        text.push_string(message);
        if let Some(data) = data {
            text.push(",\"data\":");
            text.push(data);
        }
        text.push("}");
        text.finish(&[])
    }

    /// An Engine.IO text packet.
    pub(crate) fn engine(text: &str) -> Self {
        let mut bytes = BytesMut::with_capacity(text.len() + 10);
        frame::encode(&mut bytes, OpCode::Text, text.as_bytes());
        Self::of(bytes.freeze())
    }

    /// An Engine.IO binary message.
    pub(crate) fn engine_binary(data: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(data.len() + 10);
        frame::encode(&mut bytes, OpCode::Binary, data);
        Self::of(bytes.freeze())
    }

    pub(crate) fn frames(&self) -> &Bytes {
        &self.frames
    }

    /// The packet in msgpack. It is converted once, for all connections.
    #[cfg(feature = "msgpack")]
    pub(crate) fn msgpack(&self) -> &Self {
        self.msgpack
            .get_or_init(|| Box::new(Self::of(msgpack::transcode(&self.frames))))
    }

    /// The frames, with each frame compressed that becomes smaller by it; `None` if no frame does.
    /// They are compressed once, for all connections.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressed(&self, how: &Deflate) -> Option<&Bytes> {
        if self.frames.len() < how.threshold {
            return None;
        }
        self.compressed
            .get_or_init(|| deflate::frames(&self.frames, how.threshold, how.level))
            .as_ref()
    }

    pub(crate) fn into_frames(self) -> Bytes {
        self.frames
    }
}

/// Appends queued frames to a polling payload (Engine.IO protocol 4, "Packet encoding": packets
/// separated by U+001E, binary as `b` and base64).
pub(crate) fn append_payload(payload: &mut Vec<u8>, frames: &[u8]) {
    for (opcode, data) in frame::server_frames(frames) {
        // WebSocket control frames are not part of a payload.
        if opcode == OpCode::Text || opcode == OpCode::Binary {
            if !payload.is_empty() {
                payload.push(crate::codec::payload::SEPARATOR);
            }
            if opcode == OpCode::Binary {
                payload.push(b'b');
                payload.extend_from_slice(STANDARD.encode(data).as_bytes());
            } else {
                payload.extend_from_slice(data);
            }
        }
    }
}

/// Converts each binary frame to a text frame of `b` and base64, for a WebSocket whose client
/// requested base64 (Engine.IO protocol 4, "Packet encoding", as in payloads).
pub(crate) fn base64_frames(frames: Bytes) -> Bytes {
    if !frame::server_frames(&frames).any(|(opcode, _)| opcode == OpCode::Binary) {
        return frames;
    }
    let mut out = BytesMut::with_capacity(frames.len() / 3 * 4 + 32);
    for (opcode, data) in frame::server_frames(&frames) {
        if opcode == OpCode::Binary {
            frame::encode_parts(
                &mut out,
                OpCode::Text,
                false,
                &[b"b", STANDARD.encode(data).as_bytes()],
            );
        } else {
            frame::encode(&mut out, opcode, data);
        }
    }
    out.freeze()
}

/// Counts the packets at the start of `frames`, up to `max`, and the bytes that they take.
/// WebSocket control frames are not packets.
pub(crate) fn first_packets(frames: &[u8], max: usize) -> (usize, usize) {
    let (mut packets, mut length) = (0, 0);
    for (opcode, data) in frame::server_frames(frames) {
        let counts = usize::from(matches!(opcode, OpCode::Text | OpCode::Binary));
        if packets + counts > max {
            return (packets, length);
        }
        packets += counts;
        length += frame::server_header(opcode, data.len()).1 + data.len();
    }
    // Everything, including bytes that are no complete frame.
    (packets, frames.len())
}

/// The position of a binary attachment in the JSON of a packet; it serializes as
/// `{"_placeholder":true,"num":n}` (Socket.IO protocol 5, "Packet encoding").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholder(
    /// Index of the attachment, from 0.
    pub usize,
);

impl Serialize for Placeholder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Placeholder", 2)?;
        object.serialize_field("_placeholder", &true)?;
        object.serialize_field("num", &self.0)?;
        object.end()
    }
}

/// Writes a packet's text after space for the largest frame header, so that the text need not move
/// once its length is known.
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(frame::MAX_SERVER_HEADER + capacity);
        bytes.resize(frame::MAX_SERVER_HEADER, 0);
        Self { bytes }
    }

    fn head(&mut self, kind: char, attachments: usize, namespace: &str, ack: Option<u64>) {
        self.bytes.extend_from_slice(&[b'4', kind as u8]);
        if attachments > 0 {
            self.push(&attachments.to_string());
            self.push("-");
        }
        if namespace != "/" {
            self.push(namespace);
            self.push(",");
        }
        if let Some(id) = ack {
            self.push(&id.to_string());
        }
    }

    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn push_string(&mut self, text: &str) {
        // A string always serializes to JSON, and writing to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.bytes, text);
    }

    fn finish(mut self, attachments: &[Bytes]) -> Packet {
        let body = self.bytes.len() - frame::MAX_SERVER_HEADER;
        let (header, length) = frame::server_header(OpCode::Text, body);
        let start = frame::MAX_SERVER_HEADER - length;
        self.bytes[start..frame::MAX_SERVER_HEADER].copy_from_slice(&header[..length]);
        if attachments.is_empty() {
            return Packet::of(Bytes::from(self.bytes).slice(start..));
        }
        let mut all = BytesMut::from(&self.bytes[start..]);
        for attachment in attachments {
            frame::encode(&mut all, OpCode::Binary, attachment);
        }
        Packet::of(all.freeze())
    }
}

#[cfg(test)]
mod tests;

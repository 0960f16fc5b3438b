//! Socket.IO packets as the npm `socket.io-msgpack-parser` writes them: each is one binary message,
//! a msgpack map of `type`, `nsp`, `id` and `data`, with bytes in their places. Everything else
//! here speaks JSON with attachments, so this turns the one into the other and back.

mod date;
mod read;
mod text;
mod write;

use bytes::Bytes;

use self::read::{Data, Reader};
pub use self::write::{append, transcode};
use super::{
    json::{self, EventParts},
    packet::{self, PacketError},
};

/// A packet that is known to be well-formed.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// Asks to be let into a namespace.
    Connect {
        /// Which one.
        namespace: &'a str,
        /// A JSON object, if there is one.
        auth: Option<String>,
    },
    /// Leaves a namespace.
    Disconnect {
        /// Which one.
        namespace: &'a str,
    },
    /// An event.
    Event {
        /// Where.
        namespace: &'a str,
        /// The id to acknowledge it by.
        ack: Option<u64>,
        /// The JSON array.
        text: String,
        /// Where its parts stand.
        parts: EventParts,
        /// The bytes that its placeholders stand for.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement.
    Ack {
        /// Where.
        namespace: &'a str,
        /// What it acknowledges.
        id: u64,
        /// The JSON texts of the arguments, without brackets.
        args: String,
        /// The bytes that its placeholders stand for.
        attachments: Vec<Bytes>,
    },
}

/// Reads a packet. Its JSON is what a JavaScript client would have written: `undefined` is `null`
/// in an array and left out of an object, a date is its ISO text, a number that is none is `null`.
/// It takes at most seven times the room of the message.
///
/// # Errors
/// When it is not one that a well-meaning client sends, or says what could not be said in JSON.
pub fn decode(
    message: &Bytes,
    max_attachments: usize,
    max_nesting: usize,
) -> Result<Incoming<'_>, PacketError> {
    let mut reader = Reader::new(message, max_attachments, max_nesting);
    let (mut kind, mut namespace, mut id, mut data) = (None, None, None, None);
    for _ in 0..reader.map()? {
        let is_new = match reader.text()? {
            "type" => kind.replace(reader.count()?).is_none(),
            "nsp" => namespace.replace(reader.text()?).is_none(),
            "id" => id
                .replace(reader.count().map_err(|_| PacketError::AckId)?)
                .is_none(),
            "data" => data.replace(reader.data()?).is_none(),
            // Clients add options of their own.
            _ => reader.skip().map(|()| true)?,
        };
        is_new.then_some(()).ok_or(PacketError::Payload)?;
    }
    let attachments = reader
        .end()?
        .into_iter()
        .map(|bytes| message.slice_ref(bytes))
        .collect::<Vec<_>>();
    // What could not stand in front of a comma could not be answered in JSON.
    let namespace = namespace
        .filter(|name| name.starts_with('/') && !name.contains(','))
        .ok_or(PacketError::Payload)?;
    let id = id.flatten();
    let data = data.unwrap_or(Data::Undefined);
    match (kind.flatten().ok_or(PacketError::Kind)?, data) {
        (0, Data::Undefined) => Ok(Incoming::Connect {
            namespace,
            auth: None,
        }),
        (0, Data::Map(auth)) if attachments.is_empty() => Ok(Incoming::Connect {
            namespace,
            auth: Some(auth),
        }),
        (1, Data::Undefined) => Ok(Incoming::Disconnect { namespace }),
        (2, Data::Array(text)) => {
            let parts = json::event(&text, max_nesting).ok_or(PacketError::Payload)?;
            packet::check_name(&text, &parts)?;
            Ok(Incoming::Event {
                namespace,
                ack: id,
                text,
                parts,
                attachments,
            })
        }
        (3, Data::Array(mut args)) => {
            args.pop();
            args.remove(0);
            Ok(Incoming::Ack {
                namespace,
                id: id.ok_or(PacketError::AckId)?,
                args,
                attachments,
            })
        }
        (0..=3, _) => Err(PacketError::Payload),
        _ => Err(PacketError::Kind),
    }
}

/// Whether this is a packet that leaves a namespace, told without looking at the whole of others.
pub fn is_disconnect(message: &[u8]) -> bool {
    let mut reader = Reader::new(message, 0, 0);
    let mut kind = || {
        for _ in 0..reader.map()? {
            if reader.text()? == "type" {
                return reader.count();
            }
            reader.skip()?;
        }
        Err(PacketError::Kind)
    };
    kind() == Ok(Some(1))
}

#[cfg(test)]
mod tests;

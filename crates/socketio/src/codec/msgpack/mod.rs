//! The packets of npm `socket.io-msgpack-parser`: each is one binary message, a msgpack map of
//! `type`, `nsp`, `id` and `data` with binary data inline. The rest of the library uses JSON with
//! attachments, so this module converts between the two.

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

/// A well-formed packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A request to join a namespace.
    Connect {
        /// The namespace's name.
        namespace: &'a str,
        /// The `auth` payload: a JSON object.
        auth: Option<String>,
    },
    /// Leaves a namespace.
    Disconnect {
        /// The namespace's name.
        namespace: &'a str,
    },
    /// An event.
    Event {
        /// The namespace's name.
        namespace: &'a str,
        /// The id of the requested acknowledgement.
        ack: Option<u64>,
        /// The JSON array with the event's name and arguments.
        text: String,
        /// The positions of its parts in `text`.
        parts: EventParts,
        /// The binary data of its placeholders.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement.
    Ack {
        /// The namespace's name.
        namespace: &'a str,
        /// The id of the acknowledged event.
        id: u64,
        /// The JSON text of the arguments, without brackets.
        args: String,
        /// The binary data of its placeholders.
        attachments: Vec<Bytes>,
    },
}

/// Decodes a packet. Its JSON is what a JavaScript client would have written: `undefined` is `null`
/// in an array and omitted from an object, a date is its ISO 8601 text, and `NaN` is `null`. The
/// JSON is at most seven times as long as the message.
///
/// # Errors
/// [`PacketError`] if the packet is invalid, exceeds a limit, or contains what JSON cannot express.
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
            // Clients add keys of their own.
            _ => reader.skip().map(|()| true)?,
        };
        is_new.then_some(()).ok_or(PacketError::Payload)?;
    }
    let attachments = reader
        .end()?
        .into_iter()
        .map(|bytes| message.slice_ref(bytes))
        .collect::<Vec<_>>();
    // A namespace with a comma could not be encoded in JSON replies.
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

/// Whether this is a DISCONNECT packet, decided without decoding all of a different packet.
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

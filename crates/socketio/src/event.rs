//! Events from clients, and replies to them.

use std::{fmt, future::Future, ops::Range, pin::Pin, sync::Weak};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{EmitError, codec::json};

/// A boxed future, as [`crate::Handler::event`] returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An event that a client sent (Socket.IO protocol 5, packet types EVENT and BINARY_EVENT).
pub struct Event {
    text: Box<str>,
    name: Name,
    args: Range<usize>,
    /// Binary attachments; [`crate::Placeholder`]s in the arguments mark their positions. If there
    /// are any, every placeholder refers to one of them. An event without attachments may still
    /// contain an object that looks like a placeholder, so look attachments up with `get`.
    pub attachments: Vec<Bytes>,
    /// Number of attachments that were discarded because the handler accepts none: see
    /// [`crate::Handler::takes_attachments`].
    pub refused_attachments: usize,
    /// The acknowledgement callback, if the client requested one.
    pub ack: Option<Ack>,
}

/// The attachments of an event or an acknowledgement.
#[derive(Default)]
pub(crate) struct Attachments {
    pub(crate) taken: Vec<Bytes>,
    /// Number of attachments that were discarded.
    pub(crate) refused: usize,
}

impl Attachments {
    pub(crate) fn of(taken: Vec<Bytes>) -> Self {
        Self { taken, refused: 0 }
    }

    /// Discards all of them.
    pub(crate) fn refuse(&mut self) {
        self.refused += std::mem::take(&mut self.taken).len();
    }
}

/// Position of the name in the text; a name with an escape is decoded and stored separately.
enum Name {
    Plain(Range<usize>),
    Escaped(Box<str>),
}

impl Event {
    pub(crate) fn new(
        text: Box<str>,
        parts: &json::EventParts,
        attachments: Attachments,
        ack: Option<Ack>,
    ) -> Self {
        let name = match &parts.escaped_name {
            Some(name) => Name::Escaped(name.as_str().into()),
            None => Name::Plain(parts.name.clone()),
        };
        Self {
            name,
            args: parts.args.clone(),
            text,
            attachments: attachments.taken,
            refused_attachments: attachments.refused,
            ack,
        }
    }

    /// The event's name. If the client used a number as the name, which Node allows too, this is
    /// the text that JavaScript converts it to: `"42"` for `42`, `42.0` and `4.2e1`, as a listener
    /// in Node would see it.
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Plain(range) => &self.text[range.clone()],
            Name::Escaped(name) => name,
        }
    }

    /// The JSON text of all arguments as the client sent it: separated by commas, without brackets,
    /// empty if there are none. It is well-formed.
    pub fn args(&self) -> &str {
        &self.text[self.args.clone()]
    }

    /// The JSON text of argument `index` (from 0), or `None` if there is no such argument.
    pub fn arg(&self, index: usize) -> Option<&str> {
        json::element(self.args(), index)
    }

    /// Argument `index` (from 0) as raw JSON.
    pub fn raw(&self, index: usize) -> Option<&RawValue> {
        serde_json::from_str(self.arg(index)?).ok()
    }

    /// Deserializes argument `index` (from 0); a missing argument reads as `null`.
    ///
    /// # Errors
    /// If the argument does not deserialize to `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.arg(index).unwrap_or("null"))
    }

    /// Takes the acknowledgement callback, to reply later.
    pub fn take_ack(&mut self) -> Option<Ack> {
        self.ack.take()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments are private data: log only their size.
        f.debug_struct("Event")
            .field("name", &self.name())
            .field("args_bytes", &self.args.len())
            .field("attachments", &self.attachments.len())
            .field("ack", &self.ack.is_some())
            .finish()
    }
}

/// Sends an acknowledgement to the client (Socket.IO protocol 5, packet types ACK and BINARY_ACK).
/// It is owned and may be sent later from any thread; sending consumes it, so a client gets at most
/// one. Dropping it sends nothing. It does not keep the socket alive.
pub struct Ack {
    pub(crate) target: Weak<dyn AckTarget>,
    pub(crate) id: u64,
}

pub(crate) trait AckTarget: Send + Sync {
    fn send_ack(&self, id: u64, args: &str, attachments: &[Bytes]) -> Result<(), EmitError>;
}

impl Ack {
    /// Acknowledges with these arguments: JSON text, separated by commas, empty for none. The text
    /// is not validated.
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the socket has ended, [`EmitError::Full`] if its queue is full.
    pub fn send(self, args: &str) -> Result<(), EmitError> {
        self.send_binary(args, &[])
    }

    /// Acknowledges with one value. A value that does not serialize to JSON is sent as `null`.
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the socket has ended, [`EmitError::Full`] if its queue is full.
    pub fn reply<T: Serialize + ?Sized>(self, arg: &T) -> Result<(), EmitError> {
        self.send(&serde_json::to_string(arg).unwrap_or_else(|_| "null".to_owned()))
    }

    /// Acknowledges with binary attachments; [`crate::Placeholder`]s in `args` mark their
    /// positions.
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the socket has ended, [`EmitError::Full`] if its queue is full.
    pub fn send_binary(self, args: &str, attachments: &[Bytes]) -> Result<(), EmitError> {
        self.target
            .upgrade()
            .ok_or(EmitError::Closed)?
            .send_ack(self.id, args, attachments)
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A client's acknowledgement of [`crate::Socket::emit_with_ack`].
#[derive(Debug, Clone)]
pub struct AckReply {
    pub(crate) args: Box<str>,
    /// Binary attachments; [`crate::Placeholder`]s in the arguments mark their positions.
    pub attachments: Vec<Bytes>,
}

impl AckReply {
    /// The JSON text of all arguments, separated by commas, without brackets.
    pub fn args(&self) -> &str {
        &self.args
    }

    /// Deserializes argument `index` (from 0); a missing argument reads as `null`.
    ///
    /// # Errors
    /// If the argument does not deserialize to `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, serde_json::Error> {
        serde_json::from_str(json::element(&self.args, index).unwrap_or("null"))
    }
}

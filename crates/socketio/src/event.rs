//! Events on their way in, and the answers to them.

use std::{fmt, ops::Range, sync::Weak};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{EmitError, codec::json};

/// An event of a client.
pub struct Event {
    text: Box<str>,
    name: Name,
    args: Range<usize>,
    /// Binary attachments; [`crate::Placeholder`]s in the arguments say where each belongs. Where
    /// there are any, each placeholder is known to name one of them; an event without any may hold
    /// an object that looks like one all the same, so look up with `get`.
    pub attachments: Vec<Bytes>,
    /// How many attachments the client sent that the handler does not take: see
    /// [`crate::Handler::takes_attachments`]. They are gone.
    pub refused_attachments: usize,
    /// How to answer, if the client asks for an acknowledgement.
    pub ack: Option<Ack>,
}

/// The attachments of an event or an acknowledgement.
#[derive(Default)]
pub(crate) struct Attachments {
    pub(crate) taken: Vec<Bytes>,
    /// How many there were that are not taken.
    pub(crate) refused: usize,
}

impl Attachments {
    pub(crate) fn of(taken: Vec<Bytes>) -> Self {
        Self { taken, refused: 0 }
    }

    /// Takes none of them.
    pub(crate) fn refuse(&mut self) {
        self.refused += std::mem::take(&mut self.taken).len();
    }
}

/// Almost every name stands in the text as it is; only one with an escape in it needs to be kept
/// apart.
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

    /// The event's name. A name that is a number, which Node allows too, is the text that
    /// JavaScript makes of it: `42` for `42`, `42.0` and `4.2e1`, so that it is one event with the
    /// name `"42"`, as it is for a listener in Node.
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Plain(range) => &self.text[range.clone()],
            Name::Escaped(name) => name,
        }
    }

    /// The JSON text of all arguments as the client wrote it: separated by commas, without
    /// brackets, empty for none. Known to be well-formed.
    pub fn args(&self) -> &str {
        &self.text[self.args.clone()]
    }

    /// The JSON text of argument `index`, counted from 0.
    pub fn arg(&self, index: usize) -> Option<&str> {
        json::element(self.args(), index)
    }

    /// Argument `index` as raw JSON.
    pub fn raw(&self, index: usize) -> Option<&RawValue> {
        serde_json::from_str(self.arg(index)?).ok()
    }

    /// Argument `index`, read as `T`; one that is missing is read as `null`.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.arg(index).unwrap_or("null"))
    }

    /// Takes the acknowledgement out, to be answered later.
    pub fn take_ack(&mut self) -> Option<Ack> {
        self.ack.take()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments are private; a log gets their size.
        f.debug_struct("Event")
            .field("name", &self.name())
            .field("args_bytes", &self.args.len())
            .field("attachments", &self.attachments.len())
            .field("ack", &self.ack.is_some())
            .finish()
    }
}

/// Takes an acknowledgement back to the client. Owned, so that it can be kept and sent from any
/// thread; using it takes it, so that it is sent once. Dropped, it sends nothing. It does not keep
/// the socket alive.
pub struct Ack {
    pub(crate) target: Weak<dyn AckTarget>,
    pub(crate) id: u64,
}

pub(crate) trait AckTarget: Send + Sync {
    fn send_ack(&self, id: u64, args: &str, attachments: &[Bytes]) -> Result<(), EmitError>;
}

impl Ack {
    /// Acknowledges with these arguments: JSON text, separated by commas, empty for none; it is not
    /// checked.
    ///
    /// # Errors
    /// When the socket is gone or its queue is full.
    pub fn send(self, args: &str) -> Result<(), EmitError> {
        self.send_binary(args, &[])
    }

    /// Acknowledges with one value. A value that cannot be written as JSON is sent as `null`.
    ///
    /// # Errors
    /// When the socket is gone or its queue is full.
    pub fn reply<T: Serialize + ?Sized>(self, arg: &T) -> Result<(), EmitError> {
        self.send(&serde_json::to_string(arg).unwrap_or_else(|_| "null".to_owned()))
    }

    /// Acknowledges with binary attachments, whose places in `args` are marked by
    /// [`crate::Placeholder`]s.
    ///
    /// # Errors
    /// When the socket is gone or its queue is full.
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

/// A client's answer to [`crate::Socket::emit_with_ack`].
#[derive(Debug, Clone)]
pub struct AckReply {
    pub(crate) args: Box<str>,
    /// Binary attachments; [`crate::Placeholder`]s in the arguments say where each belongs.
    pub attachments: Vec<Bytes>,
}

impl AckReply {
    /// The JSON text of all arguments, separated by commas, without brackets.
    pub fn args(&self) -> &str {
        &self.args
    }

    /// Argument `index`, read as `T`; one that is missing is read as `null`.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, serde_json::Error> {
        serde_json::from_str(json::element(&self.args, index).unwrap_or("null"))
    }
}

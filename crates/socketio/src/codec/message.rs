//! Assembles WebSocket messages from frames that arrive in arbitrary pieces (RFC 6455, section
//! 5.4). The limits bound what it buffers in between.

use std::ops::ControlFlow;

use super::frame::{self, ClientHeader, FrameError, OpCode};

/// Limits on a client's messages.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum bytes in one message, both as received and after inflation.
    pub max_payload: usize,
    /// Maximum fragments in one message.
    pub max_fragments: usize,
}

/// A message or control frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping; answer it with a pong that has the same payload (RFC 6455, section 5.5.2).
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// A close frame with its status code; 1005 if it has none (RFC 6455, section 7.1.5).
    Close(u16),
}

/// Assembles messages. Between messages that arrived complete, it owns no heap memory.
#[derive(Debug, Default)]
pub struct Reader {
    /// The start of a header or control frame that is incomplete, or frames left over when the
    /// receiver asked to stop.
    carry: Vec<u8>,
    /// An incomplete message.
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    opcode: OpCode,
    compressed: bool,
    data: Vec<u8>,
    fragments: usize,
    /// Length of the text that has been validated as UTF-8; at most the start of one character
    /// follows.
    checked: usize,
    /// The frame that is arriving.
    coming: Coming,
}

/// A frame whose header has been read.
#[derive(Debug)]
struct Coming {
    fin: bool,
    mask: [u8; 4],
    left: usize,
}

/// Parses a frame header. Two implementations: with and without compression.
trait ReadHeader: Fn(&[u8], usize) -> Result<Option<ClientHeader>, FrameError> + Copy {}

impl<T: Fn(&[u8], usize) -> Result<Option<ClientHeader>, FrameError> + Copy> ReadHeader for T {}

impl Reader {
    /// Consumes bytes that were read, unmasking them in place, and passes each message to `each`.
    /// When `each` breaks, the rest is stored for the next call, and the result is `Break`; the
    /// next call may pass no bytes at all.
    ///
    /// # Errors
    /// The first violation of the protocol or the limits. Do not call it again after an error.
    pub fn feed(
        &mut self,
        bytes: &mut [u8],
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FrameError> {
        self.feed_by(frame::client_header, bytes, limits, each)
    }

    /// Like [`Self::feed`], for a client that may compress its messages. The limits apply to
    /// inflated messages.
    ///
    /// # Errors
    /// As [`Self::feed`], and if a message that is marked as compressed cannot be inflated.
    #[cfg(feature = "deflate")]
    pub fn feed_compressed(
        &mut self,
        bytes: &mut [u8],
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FrameError> {
        self.feed_by(frame::compressed_header, bytes, limits, each)
    }

    fn feed_by(
        &mut self,
        header: impl ReadHeader,
        bytes: &mut [u8],
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FrameError> {
        if self.carry.is_empty() {
            let (used, flow) = self.parse(header, bytes, limits, each)?;
            self.carry.extend_from_slice(&bytes[used..]);
            return Ok(flow);
        }
        let mut carry = std::mem::take(&mut self.carry);
        carry.extend_from_slice(bytes);
        let (used, flow) = self.parse(header, &mut carry, limits, each)?;
        if used < carry.len() {
            carry.drain(..used);
            self.carry = carry;
        }
        Ok(flow)
    }

    /// Adds bytes that precede those of the next [`Self::feed`].
    pub fn prime(&mut self, bytes: &[u8]) {
        self.carry.extend_from_slice(bytes);
    }

    /// Bytes of memory that are buffered at the moment.
    pub fn buffered(&self) -> usize {
        self.carry.capacity()
            + self
                .partial
                .as_ref()
                .map_or(0, |partial| partial.data.capacity())
    }

    fn parse(
        &mut self,
        header: impl ReadHeader,
        bytes: &mut [u8],
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<(usize, ControlFlow<()>), FrameError> {
        let mut used = 0;
        loop {
            if self
                .partial
                .as_ref()
                .is_some_and(|partial| partial.coming.left > 0)
            {
                let (taken, flow) = self.take(&mut bytes[used..], limits, each)?;
                used += taken;
                if flow.is_break() || used == bytes.len() {
                    return Ok((used, flow));
                }
            }
            let Some(header) = header(&bytes[used..], limits.max_payload)? else {
                break;
            };
            let start = used + header.header_len;
            let flow = if let Some(payload) = bytes.get_mut(start..start + header.payload_len) {
                used = start + header.payload_len;
                self.frame(header, payload, limits, each)?
            } else if header.opcode.is_control() {
                break;
            } else {
                // Handle the bytes that are present: invalid text must be rejected before the rest
                // arrives.
                used = start;
                self.begin(header, limits)?;
                ControlFlow::Continue(())
            };
            if flow.is_break() {
                return Ok((used, flow));
            }
        }
        Ok((used, ControlFlow::Continue(())))
    }

    /// Handles a complete frame.
    fn frame(
        &mut self,
        header: ClientHeader,
        payload: &mut [u8],
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FrameError> {
        let is_alone =
            header.opcode != OpCode::Continuation && header.fin && self.partial.is_none();
        if !header.opcode.is_control() && !is_alone {
            self.begin(header, limits)?;
            return Ok(self.take(payload, limits, each)?.1);
        }
        frame::unmask(payload, header.mask);
        Ok(each(match header.opcode {
            OpCode::Ping => Message::Ping(payload),
            OpCode::Pong => Message::Pong,
            OpCode::Close => Message::Close(close_code(payload)?),
            opcode => return deliver(opcode, header.compressed, payload, limits, each),
        }))
    }

    /// Starts a frame of a message that is incomplete.
    fn begin(&mut self, header: ClientHeader, limits: Limits) -> Result<(), FrameError> {
        let coming = Coming {
            fin: header.fin,
            mask: header.mask,
            left: header.payload_len,
        };
        match (&mut self.partial, header.opcode) {
            (Some(partial), OpCode::Continuation) => {
                partial.fragments += 1;
                if partial.fragments > limits.max_fragments
                    || partial.data.len() + coming.left > limits.max_payload
                {
                    return Err(FrameError::TooBig);
                }
                partial.coming = coming;
            }
            (None, OpCode::Continuation) | (Some(_), _) => return Err(FrameError::Protocol),
            (None, opcode) => {
                let compressed = header.compressed;
                self.partial = Some(Box::new(Partial {
                    opcode,
                    compressed,
                    data: Vec::new(),
                    fragments: 1,
                    checked: 0,
                    coming,
                }));
            }
        }
        Ok(())
    }

    /// Consumes the available bytes of the arriving frame. Returns their number.
    fn take(
        &mut self,
        bytes: &mut [u8],
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<(usize, ControlFlow<()>), FrameError> {
        let Some(partial) = &mut self.partial else {
            return Ok((0, ControlFlow::Continue(())));
        };
        let taken = partial.coming.left.min(bytes.len());
        let part = &mut bytes[..taken];
        frame::unmask(part, partial.coming.mask);
        partial.coming.mask.rotate_left(taken % 4);
        partial.coming.left -= taken;
        partial.data.extend_from_slice(part);
        if partial.opcode == OpCode::Text && !partial.compressed {
            partial.check()?;
        }
        match self
            .partial
            .take_if(|partial| partial.coming.left == 0 && partial.coming.fin)
        {
            Some(whole) => Ok((
                taken,
                deliver(whole.opcode, whole.compressed, &whole.data, limits, each)?,
            )),
            None => Ok((taken, ControlFlow::Continue(()))),
        }
    }
}

impl Partial {
    /// Validates the text that arrived since the last call.
    fn check(&mut self) -> Result<(), FrameError> {
        match simdutf8::compat::from_utf8(&self.data[self.checked..]) {
            Ok(_) => self.checked = self.data.len(),
            Err(error) if error.error_len().is_some() => return Err(FrameError::Utf8),
            Err(error) => self.checked += error.valid_up_to(),
        }
        Ok(())
    }
}

/// Passes on a complete message.
#[cfg_attr(
    not(feature = "deflate"),
    expect(unused_variables, reason = "no message is compressed")
)]
fn deliver(
    opcode: OpCode,
    compressed: bool,
    data: &[u8],
    limits: Limits,
    each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, FrameError> {
    #[cfg(feature = "deflate")]
    if compressed {
        return super::deflate::inflate(data, limits.max_payload, |data| {
            Ok(each(message(opcode, data)?))
        });
    }
    Ok(each(message(opcode, data)?))
}

fn message(opcode: OpCode, data: &[u8]) -> Result<Message<'_>, FrameError> {
    if opcode == OpCode::Text {
        Ok(Message::Text(
            simdutf8::basic::from_utf8(data).map_err(|_| FrameError::Utf8)?,
        ))
    } else {
        Ok(Message::Binary(data))
    }
}

fn close_code(payload: &[u8]) -> Result<u16, FrameError> {
    let (code, reason) = match payload {
        [] => return Ok(1005),
        [_] => return Err(FrameError::Protocol),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameError::Protocol);
    }
    simdutf8::basic::from_utf8(reason).map_err(|_| FrameError::Utf8)?;
    Ok(code)
}

#[cfg(test)]
mod tests;

//! Assembles WebSocket messages from frames that arrive in arbitrary pieces (RFC 6455, section
//! 5.4). The limits bound what it buffers in between.

use std::ops::ControlFlow;

use super::frame::{self, ClientHeader, FrameError, OpCode};

/// Limits on a client's messages.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum bytes in one message, after inflation.
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
mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        max_payload: 1000,
        max_fragments: 8,
    };

    fn client(frames: &[(bool, OpCode, &[u8])]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for (fin, opcode, payload) in frames {
            frame::encode_client(&mut out, *fin, *opcode, payload, [1, 2, 3, 4]);
        }
        out.to_vec()
    }

    fn read(frames: &[(bool, OpCode, &[u8])]) -> Result<Vec<String>, FrameError> {
        let mut seen = Vec::new();
        let mut bytes = client(frames);
        let mut each = |message: Message<'_>| {
            seen.push(format!("{message:?}"));
            ControlFlow::Continue(())
        };
        Reader::default()
            .feed(&mut bytes, LIMITS, &mut each)
            .map(|_| seen)
    }

    #[test]
    fn puts_fragments_together_around_control_frames() {
        let seen = read(&[
            (false, OpCode::Text, b"a"),
            (true, OpCode::Ping, b"p"),
            (false, OpCode::Continuation, b""),
            (true, OpCode::Continuation, b"b"),
            (true, OpCode::Binary, &[7]),
            (true, OpCode::Close, &[0x03, 0xE8]),
        ]);
        assert_eq!(
            seen.unwrap(),
            ["Ping([112])", "Text(\"ab\")", "Binary([7])", "Close(1000)"].map(String::from)
        );
    }

    #[test]
    fn refuses_what_breaks_the_rules() {
        let refused = |frames: &[(bool, OpCode, &[u8])]| read(frames).unwrap_err();
        assert_eq!(
            refused(&[(true, OpCode::Continuation, b"a")]),
            FrameError::Protocol
        );
        assert_eq!(
            refused(&[(false, OpCode::Text, b"a"), (true, OpCode::Text, b"a")]),
            FrameError::Protocol
        );
        assert_eq!(refused(&[(true, OpCode::Text, b"\xFF")]), FrameError::Utf8);
        assert_eq!(
            refused(&[
                (false, OpCode::Text, b"\xC3"),
                (true, OpCode::Continuation, b"x")
            ]),
            FrameError::Utf8
        );
        assert_eq!(
            refused(&[(true, OpCode::Close, b"\x03")]),
            FrameError::Protocol
        );
        assert_eq!(
            refused(&[(true, OpCode::Close, &[0x03, 0xED])]),
            FrameError::Protocol,
            "1005 is never sent"
        );
        assert_eq!(
            refused(&[(true, OpCode::Close, &[0x03, 0xE8, 0xFF])]),
            FrameError::Utf8
        );
        let flood = [(false, OpCode::Continuation, &b""[..]); 8];
        assert_eq!(
            refused(&[&[(false, OpCode::Text, &b""[..])], &flood[..]].concat()),
            FrameError::TooBig
        );
        let long = [1; 600];
        assert_eq!(
            refused(&[
                (false, OpCode::Binary, &long),
                (false, OpCode::Continuation, &long)
            ]),
            FrameError::TooBig
        );
        assert!(
            read(&[
                (false, OpCode::Text, b"\xC3"),
                (true, OpCode::Continuation, b"\xA9")
            ])
            .is_ok()
        );
    }

    #[test]
    fn a_text_that_is_none_is_refused_at_its_first_wrong_byte() {
        // The code point after the last one: wrong at its second byte.
        let text = b"\xCE\xBA\xE1\xBD\xB9\xF4\x90\x80\x80edited";
        let bytes = client(&[
            (false, OpCode::Text, &text[..3]),
            (true, OpCode::Continuation, &text[3..]),
        ]);
        let mut reader = Reader::default();
        let refused_at = bytes.iter().position(|byte| {
            reader
                .feed(&mut [*byte], LIMITS, &mut |_| ControlFlow::Continue(()))
                .is_err()
        });
        // Behind two headers of six bytes.
        assert_eq!(refused_at, Some(12 + 6));
        let cut = [
            (false, OpCode::Text, &text[..4]),
            (true, OpCode::Continuation, b""),
        ];
        assert_eq!(
            read(&cut),
            Err(FrameError::Utf8),
            "an end within a character"
        );
    }

    #[test]
    fn a_long_frame_announced_takes_no_memory_before_it_comes() {
        let mut reader = Reader::default();
        let limits = Limits {
            max_payload: 1 << 30,
            max_fragments: 8,
        };
        let mut start = *b"\x82\xFF\x00\x00\x00\x00\x3F\xFF\xFF\xFF\0\0\0\0abc";
        assert!(
            reader
                .feed(&mut start, limits, &mut |_| ControlFlow::Continue(()))
                .is_ok()
        );
        assert!(reader.buffered() < 100, "{}", reader.buffered());
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn compressed_messages_are_read_like_others() {
        use crate::codec::deflate;
        let text = "é".repeat(400);
        let message = deflate::message(OpCode::Text, text.as_bytes(), 6).unwrap();
        let not_utf8 = deflate::message(OpCode::Text, &[0xC3; 300], 6).unwrap();
        let bomb = deflate::message(OpCode::Binary, &[0; 1001], 6).unwrap();
        let read = |frames: &[(u8, &[u8])]| {
            let mut bytes = Vec::new();
            for (first, payload) in frames {
                let start = bytes.len();
                bytes.extend_from_slice(&client(&[(true, OpCode::Text, payload)]));
                bytes[start] = *first;
            }
            let mut seen = Vec::new();
            let mut each = |message: Message<'_>| {
                seen.push(match message {
                    Message::Text(text) => text.to_owned(),
                    other => format!("{other:?}"),
                });
                ControlFlow::Continue(())
            };
            Reader::default()
                .feed_compressed(&mut bytes, LIMITS, &mut each)
                .map(|_| seen)
        };
        let (start, end) = message.split_at(3);
        assert_eq!(
            read(&[(0xC1, &message), (0x81, b"plain")]),
            Ok(vec![text.clone(), "plain".to_owned()])
        );
        assert_eq!(
            read(&[
                (0x41, start),
                (0x89, b"p"),
                (0x00, b""),
                (0x80, end),
                (0xC2, &[0])
            ]),
            Ok(vec![
                "Ping([112])".to_owned(),
                text,
                "Binary([])".to_owned()
            ])
        );
        assert_eq!(read(&[(0xC1, &not_utf8)]), Err(FrameError::Utf8));
        assert_eq!(read(&[(0xC2, &bomb)]), Err(FrameError::TooBig));
        assert_eq!(read(&[(0xC1, b"")]), Err(FrameError::Deflate));
        assert_eq!(
            read(&[(0x41, start), (0xC0, end)]),
            Err(FrameError::Protocol),
            "said again by a continuation"
        );
        assert_eq!(read(&[(0xC9, b"p")]), Err(FrameError::Protocol));
        let plain = Reader::default().feed(&mut [0xC1, 0x81, 0, 0, 0, 0, 0], LIMITS, &mut |_| {
            ControlFlow::Continue(())
        });
        assert_eq!(plain, Err(FrameError::Protocol), "never agreed on");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            messages in proptest::collection::vec((any::<bool>(), "[ -~é]{0,200}"), 1..6),
            cuts in proptest::collection::vec(1usize..40, 1..40),
            stop: bool,
        ) {
            let frames: Vec<_> = messages.iter().map(|(binary, text)| {
                (true, if *binary { OpCode::Binary } else { OpCode::Text }, text.as_bytes())
            }).collect();
            let mut bytes = client(&frames);
            let mut reader = Reader::default();
            let mut seen = Vec::new();
            let mut each = |message: Message<'_>| {
                seen.push(match message {
                    Message::Text(text) => (false, text.to_owned()),
                    Message::Binary(data) => (true, String::from_utf8(data.to_vec()).unwrap()),
                    other => panic!("{other:?}"),
                });
                if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let mut rest = &mut bytes[..];
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at_mut((*cuts.next().unwrap()).min(rest.len()));
                let mut flow = reader.feed(piece, LIMITS, &mut each).unwrap();
                while flow.is_break() {
                    flow = reader.feed(&mut [], LIMITS, &mut each).unwrap();
                }
                rest = after;
            }
            prop_assert_eq!(seen, messages);
            prop_assert_eq!(reader.buffered(), 0);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let mut bytes = bytes;
            let cut = cut.min(bytes.len());
            let (one, two) = bytes.split_at_mut(cut);
            let mut reader = Reader::default();
            let mut each = |_: Message<'_>| ControlFlow::Continue(());
            if reader.feed(one, LIMITS, &mut each).is_ok() {
                let _ = reader.feed(two, LIMITS, &mut each);
            }
        }
    }
}

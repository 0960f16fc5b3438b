//! Converts JSON to msgpack, byte for byte as `notepack.io` does.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::text::unescaped;
use crate::codec::{
    frame::{self, OpCode},
    json,
    packet::{self, Head},
};

/// Converts frames with JSON packets, each followed by its attachments, to frames with the same
/// packets in msgpack. Arguments that are not valid JSON become one `null`.
pub fn transcode(frames: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(frames.len());
    let mut frames = frame::server_frames(frames);
    let mut message = Vec::new();
    while let Some((opcode, data)) = frames.next() {
        let head = data
            .strip_prefix(b"4")
            .filter(|_| opcode == OpCode::Text)
            .and_then(|text| std::str::from_utf8(text).ok());
        match head.and_then(|text| packet::head(text).ok()) {
            Some(head) => {
                let attachments: Vec<_> = frames
                    .by_ref()
                    .take(head.attachments)
                    .map(|(_, data)| data)
                    .collect();
                message.clear();
                packet(&head, &attachments, &mut message);
                frame::encode(&mut out, OpCode::Binary, &message);
            }
            None => frame::encode(&mut out, opcode, data),
        }
    }
    out.freeze()
}

fn packet(head: &Head<'_>, attachments: &[&[u8]], out: &mut Vec<u8>) {
    let kind = match head.kind {
        b'5' => 2,
        b'6' => 3,
        digit => digit.wrapping_sub(b'0'),
    };
    out.push(0x82 + u8::from(head.id.is_some()) + u8::from(!head.rest.is_empty()));
    string("type", out);
    out.push(kind);
    string("nsp", out);
    string(head.namespace, out);
    if let Some(id) = head.id {
        string("id", out);
        unsigned(id, out);
    }
    // Last, so that [`append`] can add an argument at the end.
    if !head.rest.is_empty() {
        string("data", out);
        data(head.rest, attachments, out);
    }
}

fn data(text: &str, attachments: &[&[u8]], out: &mut Vec<u8>) {
    let start = out.len();
    let well_formed =
        json::array(text, json::MAX_NESTING).is_some() || json::is_object(text, json::MAX_NESTING);
    if well_formed
        && (Writer {
            text,
            at: 0,
            attachments,
            out,
        })
        .value()
        .is_some()
    {
        return;
    }
    tracing::error!("the arguments of an outgoing packet are not valid JSON; sending null instead");
    out.truncate(start);
    // The name of an event is valid JSON: the library wrote it.
    let name = text
        .strip_prefix("[\"")
        .and_then(|_| json::string(text.as_bytes(), 1));
    match name {
        Some(end) => {
            out.push(0x92);
            string(&unescaped(&text[2..end - 1]), out);
        }
        None => out.push(0x91),
    }
    out.push(0xC0);
}

/// Adds a string argument to an event that [`transcode`] wrote. Returns three parts, to be written
/// one after another; `None` if it is not an event.
pub fn append(message: &[u8], text: impl FnOnce() -> String) -> Option<(Vec<u8>, &[u8], Vec<u8>)> {
    let at = data_of_event(message)?;
    let (count, rest) = match message[at..] {
        [first @ 0x90..=0x9F, ..] => (usize::from(first & 0x0F), at + 1),
        [0xDC, high, low, ..] => (u16::from_be_bytes([high, low]).into(), at + 3),
        [0xDD, a, b, c, d, ..] => (u32::from_be_bytes([a, b, c, d]) as usize, at + 5),
        _ => return None,
    };
    let (mut start, mut end) = (message[..at].to_vec(), Vec::new());
    let mark = start.len();
    start.push(0);
    container(mark, count + 1, &mut start, 0x90, 0xDC);
    string(&text(), &mut end);
    Some((start, &message[rest..], end))
}

/// Where the array of an event starts.
fn data_of_event(message: &[u8]) -> Option<usize> {
    let rest = message.get(1..)?.strip_prefix(b"\xA4type\x02\xA3nsp")?;
    let namespace = match *rest {
        [first @ 0xA0..=0xBF, ..] => 1 + usize::from(first & 0x1F),
        [0xD9, length, ..] => 2 + usize::from(length),
        [0xDA, high, low, ..] => 3 + usize::from(u16::from_be_bytes([high, low])),
        _ => return None,
    };
    let mut rest = rest.get(namespace..)?;
    if let Some(id) = rest.strip_prefix(b"\xA2id") {
        let length = match *id.first()? {
            0..=0x7F => 1,
            size @ 0xCC..=0xCF => 1 + (1 << (size - 0xCC)),
            _ => return None,
        };
        rest = id.get(length..)?;
    }
    Some(message.len() - rest.strip_prefix(b"\xA4data")?.len())
}

/// The kind of a value, as far as its object needs it.
enum Value {
    True,
    Index(usize),
    Other,
}

/// Converts well-formed JSON that is nested no deeper than [`json::MAX_NESTING`].
struct Writer<'a, 'o> {
    text: &'a str,
    at: usize,
    attachments: &'a [&'a [u8]],
    out: &'o mut Vec<u8>,
}

impl<'a> Writer<'a, '_> {
    fn peek(&mut self) -> Option<u8> {
        self.at = json::space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied()
    }

    fn value(&mut self) -> Option<Value> {
        let first = self.peek()?;
        match first {
            b'{' => self.object()?,
            b'[' => {
                let mark = self.open();
                let mut count = 0;
                while self.is_open(b']')? {
                    self.value()?;
                    count += 1;
                }
                container(mark, count, self.out, 0x90, 0xDC);
            }
            b'"' => drop(self.string()?),
            b't' | b'f' | b'n' => {
                self.at += if first == b'f' { 5 } else { 4 };
                self.out.push(match first {
                    b't' => 0xC3,
                    b'f' => 0xC2,
                    _ => 0xC0,
                });
                return Some(if first == b't' {
                    Value::True
                } else {
                    Value::Other
                });
            }
            _ => {
                let end = json::number(self.text.as_bytes(), self.at)?;
                let digits = &self.text[self.at..end];
                self.at = end;
                number(digits, self.out)?;
                return Some(digits.parse().map_or(Value::Other, Value::Index));
            }
        }
        Some(Value::Other)
    }

    /// An object, or the attachment that a placeholder refers to.
    fn object(&mut self) -> Option<()> {
        let mark = self.open();
        let (mut count, mut is_placeholder, mut index) = (0, false, None);
        while self.is_open(b'}')? {
            self.peek()?;
            let key = self.string()?;
            self.peek()?;
            self.at += 1;
            match (&*key, self.value()?) {
                ("_placeholder", value) => is_placeholder = matches!(value, Value::True),
                ("num", Value::Index(number)) => index = Some(number),
                ("num", _) => index = None,
                _ => {}
            }
            count += 1;
        }
        match index
            .and_then(|index| self.attachments.get(index))
            .filter(|_| is_placeholder)
        {
            Some(attachment) => {
                self.out.truncate(mark);
                sized([0xC4, 0xC5, 0xC6], attachment, self.out);
            }
            None => container(mark, count, self.out, 0x80, 0xDE),
        }
        Some(())
    }

    /// Enters a container. Returns where to write its size, which is not known yet.
    fn open(&mut self) -> usize {
        self.at += 1;
        self.out.push(0);
        self.out.len() - 1
    }

    /// Whether another element follows; moves to it, or past the end.
    fn is_open(&mut self, close: u8) -> Option<bool> {
        let mut next = self.peek()?;
        if next == b',' {
            self.at += 1;
            next = self.peek()?;
        }
        self.at += usize::from(next == close);
        Some(next != close)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let end = json::string(self.text.as_bytes(), self.at)?;
        let text = unescaped(&self.text[self.at + 1..end - 1]);
        self.at = end;
        string(&text, self.out);
        Some(text)
    }
}

/// Writes the size of a container at `mark`, where one byte is reserved.
fn container(mark: usize, count: usize, out: &mut Vec<u8>, small: u8, large: u8) {
    if count < 16 {
        out[mark] = small | count as u8;
    } else if let Ok(count) = u16::try_from(count) {
        out[mark] = large;
        out.splice(mark + 1..mark + 1, count.to_be_bytes());
    } else {
        out[mark] = large + 1;
        out.splice(mark + 1..mark + 1, (count as u32).to_be_bytes());
    }
}

fn number(digits: &str, out: &mut Vec<u8>) -> Option<()> {
    if let Ok(number) = digits.parse::<u64>() {
        unsigned(number, out);
    } else if let Some(number) = digits.parse::<i64>().ok().filter(|number| *number < 0) {
        signed(number, out);
    } else {
        // Includes `-0`, which is not an integer in JavaScript either.
        out.push(0xCB);
        out.extend_from_slice(&digits.parse::<f64>().ok()?.to_be_bytes());
    }
    Some(())
}

fn unsigned(number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    match number {
        0..=0x7F => out.push(number as u8),
        0x80..=0xFF => out.extend_from_slice(&[0xCC, bytes[7]]),
        0x100..=0xFFFF => {
            out.push(0xCD);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xFFFF_FFFF => {
            out.push(0xCE);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(0xCF);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Writes a negative integer.
fn signed(number: i64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    if number >= -0x20 {
        out.push(bytes[7]);
    } else if number >= i8::MIN.into() {
        out.extend_from_slice(&[0xD0, bytes[7]]);
    } else if number >= i16::MIN.into() {
        out.push(0xD1);
        out.extend_from_slice(&bytes[6..]);
    } else if number >= i32::MIN.into() {
        out.push(0xD2);
        out.extend_from_slice(&bytes[4..]);
    } else {
        out.push(0xD3);
        out.extend_from_slice(&bytes);
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    if text.len() < 32 {
        out.push(0xA0 | text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    } else {
        sized([0xD9, 0xDA, 0xDB], text.as_bytes(), out);
    }
}

/// Writes bytes after their length, in 1, 2 or 4 bytes.
fn sized(kinds: [u8; 3], bytes: &[u8], out: &mut Vec<u8>) {
    if let Ok(length) = u8::try_from(bytes.len()) {
        out.extend_from_slice(&[kinds[0], length]);
    } else if let Ok(length) = u16::try_from(bytes.len()) {
        out.push(kinds[1]);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(kinds[2]);
        out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    }
    out.extend_from_slice(bytes);
}

//! Converts msgpack to JSON. It does not trust sizes in the input: it allocates only for bytes that
//! are present.

use super::{super::json::MAX_NESTING, date};
use crate::codec::packet::PacketError;

type Read<T> = Result<T, PacketError>;

/// The start of a value; the complete value unless it is a container.
enum Head<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Array(usize),
    Map(usize),
    /// An extension with a size in its type byte (fixext).
    Fixed(i8, &'a [u8]),
    /// An extension with an explicit size (ext).
    Sized(i8, &'a [u8]),
}

/// The `data` of a packet, as JSON.
pub(super) enum Data {
    Undefined,
    Array(String),
    Map(String),
    Other,
}

/// The kind of value that was written, as far as its container needs it.
#[derive(PartialEq, Eq)]
enum Wrote {
    Undefined,
    Array,
    Map,
    True,
    Other,
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    json: String,
    attachments: Vec<&'a [u8]>,
    max_attachments: usize,
    max_nesting: usize,
    /// An object looks like a placeholder.
    has_placeholder: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8], max_attachments: usize, max_nesting: usize) -> Self {
        let max_nesting = max_nesting.min(MAX_NESTING);
        Self {
            rest: message,
            json: String::new(),
            attachments: Vec::new(),
            max_attachments,
            max_nesting,
            has_placeholder: false,
        }
    }

    /// Reads a map's header; returns its number of pairs.
    pub(super) fn map(&mut self) -> Read<usize> {
        match self.head()? {
            Head::Map(pairs) => Ok(pairs),
            _ => Err(PacketError::Payload),
        }
    }

    pub(super) fn text(&mut self) -> Read<&'a str> {
        match self.head()? {
            Head::Text(text) => Ok(text),
            _ => Err(PacketError::Payload),
        }
    }

    /// Reads a non-negative integer, or `undefined`.
    pub(super) fn count(&mut self) -> Read<Option<u64>> {
        match self.head()? {
            Head::Unsigned(number) => Ok(Some(number)),
            Head::Signed(number) => number
                .try_into()
                .map(Some)
                .map_err(|_| PacketError::Payload),
            Head::Fixed(0, [_]) => Ok(None),
            _ => Err(PacketError::Payload),
        }
    }

    pub(super) fn data(&mut self) -> Read<Data> {
        self.json.clear();
        Ok(match self.value(0)? {
            Wrote::Undefined => Data::Undefined,
            Wrote::Array => Data::Array(std::mem::take(&mut self.json)),
            Wrote::Map => Data::Map(std::mem::take(&mut self.json)),
            Wrote::True | Wrote::Other => Data::Other,
        })
    }

    pub(super) fn skip(&mut self) -> Read<()> {
        let before = (
            self.json.len(),
            self.attachments.len(),
            self.has_placeholder,
        );
        self.value(0)?;
        self.json.truncate(before.0);
        self.attachments.truncate(before.1);
        self.has_placeholder = before.2;
        Ok(())
    }

    /// Returns the attachments, if no input is left.
    pub(super) fn end(self) -> Read<Vec<&'a [u8]>> {
        if !self.rest.is_empty() {
            return Err(PacketError::Payload);
        }
        // Among real placeholders, it would refer to an unrelated attachment.
        if self.has_placeholder && !self.attachments.is_empty() {
            return Err(PacketError::Placeholder);
        }
        Ok(self.attachments)
    }

    /// Writes the JSON of a value at this depth of nesting.
    fn value(&mut self, depth: usize) -> Read<Wrote> {
        match self.head()? {
            Head::Nil => self.json.push_str("null"),
            Head::Bool(true) => {
                self.json.push_str("true");
                return Ok(Wrote::True);
            }
            Head::Bool(false) => self.json.push_str("false"),
            Head::Unsigned(number) => self.json.push_str(&number.to_string()),
            Head::Signed(number) => self.json.push_str(&number.to_string()),
            Head::Float(number) => self.float(number),
            Head::Text(text) => self.string(text),
            Head::Bytes(bytes) | Head::Sized(0, bytes) => self.attach(bytes)?,
            Head::Array(count) => {
                self.array(count, depth)?;
                return Ok(Wrote::Array);
            }
            Head::Map(pairs) => {
                self.object(pairs, depth)?;
                return Ok(Wrote::Map);
            }
            Head::Fixed(0, [_]) => return Ok(Wrote::Undefined),
            Head::Fixed(kind, data) | Head::Sized(kind, data) => {
                let time = time(kind, data).ok_or(PacketError::Payload)?;
                match date::iso(time) {
                    Some(date) => self.string(&date),
                    None => self.json.push_str("null"),
                }
            }
        }
        Ok(Wrote::Other)
    }

    fn array(&mut self, count: usize, depth: usize) -> Read<()> {
        self.enter(depth)?;
        self.json.push('[');
        for at in 0..count {
            if at > 0 {
                self.json.push(',');
            }
            if self.value(depth + 1)? == Wrote::Undefined {
                self.json.push_str("null");
            }
        }
        self.json.push(']');
        Ok(())
    }

    fn object(&mut self, pairs: usize, depth: usize) -> Read<()> {
        self.enter(depth)?;
        self.json.push('{');
        let start = self.json.len();
        for _ in 0..pairs {
            let before = self.json.len();
            if before > start {
                self.json.push(',');
            }
            let key = self.text()?;
            self.string(key);
            self.json.push(':');
            match self.value(depth + 1)? {
                Wrote::Undefined => self.json.truncate(before),
                Wrote::True => self.has_placeholder |= key == "_placeholder",
                _ => {}
            }
        }
        self.json.push('}');
        Ok(())
    }

    fn enter(&self, depth: usize) -> Read<()> {
        if depth < self.max_nesting {
            Ok(())
        } else {
            Err(PacketError::Payload)
        }
    }

    fn attach(&mut self, bytes: &'a [u8]) -> Read<()> {
        if self.attachments.len() == self.max_attachments {
            return Err(PacketError::Attachments);
        }
        self.json.push_str(&format!(
            "{{\"_placeholder\":true,\"num\":{}}}",
            self.attachments.len()
        ));
        self.attachments.push(bytes);
        Ok(())
    }

    /// JavaScript does not distinguish integers from floats, so whole numbers are written without a
    /// decimal point.
    fn float(&mut self, number: f64) {
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        if number.trunc() == number && number.abs() <= WHOLE {
            self.json.push_str(&(number as i64).to_string());
        } else {
            // NaN and infinity become null.
            self.json
                .push_str(&serde_json::to_string(&number).unwrap_or_else(|_| "null".to_owned()));
        }
    }

    fn string(&mut self, text: &str) {
        self.json.push('"');
        let mut from = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                0x08 => "\\b",
                0x0C => "\\f",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..=0x1F => "",
                _ => continue,
            };
            self.json.push_str(&text[from..at]);
            if escape.is_empty() {
                self.json.push_str(&format!("\\u{byte:04x}"));
            } else {
                self.json.push_str(escape);
            }
            from = at + 1;
        }
        self.json.push_str(&text[from..]);
        self.json.push('"');
    }

    fn head(&mut self) -> Read<Head<'a>> {
        self.try_head().ok_or(PacketError::Payload)
    }

    fn try_head(&mut self) -> Option<Head<'a>> {
        let [first] = self.array_of()?;
        Some(match first {
            0..=0x7F => Head::Unsigned(first.into()),
            0x80..=0x8F => Head::Map((first & 0x0F).into()),
            0x90..=0x9F => Head::Array((first & 0x0F).into()),
            0xA0..=0xBF => self.text_of((first & 0x1F).into())?,
            0xC0 => Head::Nil,
            // Never used in msgpack.
            0xC1 => return None,
            0xC2 => Head::Bool(false),
            0xC3 => Head::Bool(true),
            0xC4..=0xC6 => {
                let length = self.length(first - 0xC4)?;
                Head::Bytes(self.take(length)?)
            }
            0xC7..=0xC9 => {
                let length = self.length(first - 0xC7)?;
                let [kind] = self.array_of()?;
                Head::Sized(kind as i8, self.take(length)?)
            }
            0xCA => Head::Float(f32::from_be_bytes(self.array_of()?).into()),
            0xCB => Head::Float(f64::from_be_bytes(self.array_of()?)),
            0xCC..=0xCE => Head::Unsigned(self.length(first - 0xCC)? as u64),
            0xCF => Head::Unsigned(u64::from_be_bytes(self.array_of()?)),
            0xD0 => Head::Signed(i8::from_be_bytes(self.array_of()?).into()),
            0xD1 => Head::Signed(i16::from_be_bytes(self.array_of()?).into()),
            0xD2 => Head::Signed(i32::from_be_bytes(self.array_of()?).into()),
            0xD3 => Head::Signed(i64::from_be_bytes(self.array_of()?)),
            0xD4..=0xD8 => {
                let [kind] = self.array_of()?;
                Head::Fixed(kind as i8, self.take(1 << (first - 0xD4))?)
            }
            0xD9..=0xDB => {
                let length = self.length(first - 0xD9)?;
                self.text_of(length)?
            }
            0xDC | 0xDD => Head::Array(self.length(first - 0xDB)?),
            0xDE | 0xDF => Head::Map(self.length(first - 0xDD)?),
            0xE0..=0xFF => Head::Signed((first as i8).into()),
        })
    }

    /// Reads an integer of 1, 2 or 4 bytes.
    fn length(&mut self, size: u8) -> Option<usize> {
        Some(match size {
            0 => u8::from_be_bytes(self.array_of()?).into(),
            1 => u16::from_be_bytes(self.array_of()?).into(),
            _ => u32::from_be_bytes(self.array_of()?) as usize,
        })
    }

    fn array_of<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn text_of(&mut self, length: usize) -> Option<Head<'a>> {
        simdutf8::basic::from_utf8(self.take(length)?)
            .ok()
            .map(Head::Text)
    }
}

/// The time of an extension value, in milliseconds since 1970: a `Date` of `notepack.io`, or a
/// msgpack timestamp.
fn time(kind: i8, data: &[u8]) -> Option<i64> {
    let (seconds, nanos) = match (kind, data.len()) {
        (0, 8) => return Some(i64::from_be_bytes(data.try_into().ok()?)),
        (-1, 4) => (u32::from_be_bytes(data.try_into().ok()?).into(), 0),
        (-1, 8) => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            ((both & 0x3_FFFF_FFFF) as i64, (both >> 34) as u32)
        }
        (-1, 12) => {
            let (nanos, seconds) = data.split_first_chunk()?;
            (
                i64::from_be_bytes(seconds.try_into().ok()?),
                u32::from_be_bytes(*nanos),
            )
        }
        _ => return None,
    };
    (nanos < 1_000_000_000).then(|| {
        seconds
            .saturating_mul(1000)
            .saturating_add((nanos / 1_000_000).into())
    })
}

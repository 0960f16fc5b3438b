//! A minimal JSON scanner: it validates a packet and locates its arguments without building values.
//! The nesting is stored in the bits of an integer, so no input can exhaust the stack or the
//! memory.

use std::ops::Range;

use serde::de::IgnoredAny;

/// Maximum levels of nesting that are supported.
pub const MAX_NESTING: usize = 127;

/// The positions of an event's parts in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventParts {
    /// The name: a string without its quotes, or a number.
    pub name: Range<usize>,
    /// The decoded name, if it differs from the text: a string with an escape, or a number that
    /// JavaScript writes differently ([`super::number::to_text`]).
    pub escaped_name: Option<String>,
    /// The arguments after the name, without brackets.
    pub args: Range<usize>,
}

/// Splits `["name", ...]` into its parts. Returns `None` if it is not well-formed, is nested deeper
/// than `max_nesting`, or its first element is neither a string nor a number.
pub fn event(text: &str, max_nesting: usize) -> Option<EventParts> {
    let bytes = text.as_bytes();
    let inner = array(text, max_nesting)?;
    let start = space(bytes, inner.start);
    let (name, escaped_name, end) = match bytes.get(start)? {
        b'"' => {
            let end = string(bytes, start)?;
            let name = start + 1..end - 1;
            let escaped_name = match memchr::memchr(b'\\', &bytes[name.clone()]) {
                Some(_) => Some(serde_json::from_str(&text[start..end]).ok()?),
                None => None,
            };
            (name, escaped_name, end)
        }
        b'-' | b'0'..=b'9' => {
            let end = number(bytes, start)?;
            let escaped_name =
                super::number::to_text(&text[start..end]).filter(|name| *name != text[start..end]);
            (start..end, escaped_name, end)
        }
        _ => return None,
    };
    let after = space(bytes, end);
    let args = if bytes[after] == b',' {
        space(bytes, after + 1)..inner.end
    } else {
        inner.end..inner.end
    };
    Some(EventParts {
        name,
        escaped_name,
        args,
    })
}

/// The position of an array's elements, without brackets. Returns `None` if `text` is anything but
/// one well-formed array.
pub fn array(text: &str, max_nesting: usize) -> Option<Range<usize>> {
    container(text, b'[', max_nesting)
}

/// Whether `text` is exactly one well-formed object.
pub fn is_object(text: &str, max_nesting: usize) -> bool {
    container(text, b'{', max_nesting).is_some()
}

fn container(text: &str, open: u8, max_nesting: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = space(bytes, 0);
    if bytes.get(start) != Some(&open) {
        return None;
    }
    let end = value(bytes, start, max_nesting.min(MAX_NESTING))?;
    (space(bytes, end) == bytes.len()).then(|| start + 1..end - 1)
}

/// Returns element `index` (from 0) of well-formed values separated by commas.
pub fn element(list: &str, index: usize) -> Option<&str> {
    let bytes = list.as_bytes();
    let mut at = space(bytes, 0);
    for _ in 0..index {
        at = space(bytes, value(bytes, at, MAX_NESTING)?);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at = space(bytes, at + 1);
    }
    let end = value(bytes, at, MAX_NESTING)?;
    Some(&list[at..end])
}

pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Skips one value that starts at `at`; returns where it ends.
fn value(bytes: &[u8], mut at: usize, max_nesting: usize) -> Option<usize> {
    // One bit per open container, the innermost lowest: 1 for an object.
    let mut open: u128 = 0;
    let mut depth = 0;
    loop {
        match *bytes.get(at)? {
            kind @ (b'{' | b'[') => {
                if depth == max_nesting {
                    return None;
                }
                depth += 1;
                let object = kind == b'{';
                open = open << 1 | u128::from(object);
                at = space(bytes, at + 1);
                if *bytes.get(at)? == if object { b'}' } else { b']' } {
                    at += 1;
                    depth -= 1;
                    open >>= 1;
                } else {
                    if object {
                        at = key(bytes, at)?;
                    }
                    continue;
                }
            }
            b'"' => at = string(bytes, at)?,
            b't' => at = literal(bytes, at, b"true")?,
            b'f' => at = literal(bytes, at, b"false")?,
            b'n' => at = literal(bytes, at, b"null")?,
            _ => at = number(bytes, at)?,
        }
        // A value has ended: close the containers that end after it.
        loop {
            if depth == 0 {
                return Some(at);
            }
            at = space(bytes, at);
            let object = open & 1 == 1;
            match *bytes.get(at)? {
                b',' => {
                    at = space(bytes, at + 1);
                    if object {
                        at = key(bytes, at)?;
                    }
                    break;
                }
                b'}' if object => {}
                b']' if !object => {}
                _ => return None,
            }
            at += 1;
            depth -= 1;
            open >>= 1;
        }
    }
}

/// Skips `"key":` and the whitespace after it.
fn key(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let colon = space(bytes, string(bytes, at)?);
    (bytes.get(colon) == Some(&b':')).then(|| space(bytes, colon + 1))
}

pub(super) fn string(bytes: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match *bytes.get(at + 1)? {
                b'u' => {
                    let digits = bytes.get(at + 2..at + 6)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    at += 6;
                }
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            },
            0..=0x1F => return None,
            _ => at += 1,
        }
    }
}

fn literal(bytes: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    bytes[at..].starts_with(literal).then(|| at + literal.len())
}

pub(super) fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits = |from: usize| {
        let count = bytes[from.min(bytes.len())..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        (count > 0).then_some(from + count)
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') {
        at + 1
    } else {
        digits(at)?
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(at)?;
    }
    Some(at)
}

/// Whether every placeholder in a well-formed text refers to one of `attachments` attachments by an
/// integer. Numbers out of range and unpaired surrogates are accepted, as by [`event`].
pub fn placeholders_in_range(text: &str, attachments: usize) -> bool {
    walk_objects(text.as_bytes(), attachments).is_some()
}

/// An open container, with the relevant keys if it is an object.
#[derive(Default)]
struct Open {
    is_object: bool,
    wants_key: bool,
    key: Key,
    is_placeholder: bool,
    num: Option<u64>,
}

#[derive(Clone, Copy, Default)]
enum Key {
    Placeholder,
    Num,
    #[default]
    Other,
}

impl Open {
    /// Records the value of the last key.
    fn set(&mut self, is_true: bool, num: Option<u64>) {
        match self.key {
            Key::Placeholder => self.is_placeholder = is_true,
            Key::Num => self.num = num,
            Key::Other => {}
        }
    }
}

/// Visits all objects, and stops at the first placeholder that refers to no attachment.
fn walk_objects(bytes: &[u8], attachments: usize) -> Option<()> {
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (mut is_true, mut num) = (false, None);
        match byte {
            b',' | b':' => {
                if let Some(top) = open.last_mut() {
                    top.wants_key = top.is_object && byte == b',';
                }
                at += 1;
                continue;
            }
            b'}' | b']' => {
                let closed = open.pop()?;
                if closed.is_placeholder && closed.num.is_none_or(|num| num >= attachments as u64) {
                    return None;
                }
                at += 1;
                continue;
            }
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'"' => {
                let end = string(bytes, at)?;
                if let Some(top) = open.last_mut().filter(|top| top.wants_key) {
                    top.key = key_of(&bytes[at..end]);
                    at = end;
                    continue;
                }
                at = end;
            }
            b'{' | b'[' => at += 1,
            b't' => {
                is_true = true;
                at = literal(bytes, at, b"true")?;
            }
            b'f' => at = literal(bytes, at, b"false")?,
            b'n' => at = literal(bytes, at, b"null")?,
            _ => {
                let end = number(bytes, at)?;
                num = std::str::from_utf8(&bytes[at..end]).ok()?.parse().ok();
                at = end;
            }
        }
        if let Some(top) = open.last_mut() {
            top.set(is_true, num);
        }
        if matches!(byte, b'{' | b'[') {
            open.push(Open {
                is_object: byte == b'{',
                wants_key: byte == b'{',
                ..Open::default()
            });
        }
    }
    Some(())
}

/// Classifies a quoted key.
fn key_of(quoted: &[u8]) -> Key {
    let escaped: Option<String> =
        memchr::memchr(b'\\', quoted).and_then(|_| serde_json::from_slice(quoted).ok());
    match escaped
        .as_ref()
        .map_or(&quoted[1..quoted.len() - 1], |key| key.as_bytes())
    {
        b"_placeholder" => Key::Placeholder,
        b"num" => Key::Num,
        _ => Key::Other,
    }
}

/// Whether `serde_json` accepts the text, for comparison in tests.
#[doc(hidden)]
pub fn reference_accepts(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests;

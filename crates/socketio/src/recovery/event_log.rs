//! The events of one socket that its client may not have received.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

#[cfg(feature = "deflate")]
use crate::codec::deflate;
#[cfg(feature = "msgpack")]
use crate::codec::msgpack;
use crate::{
    Parser, Recovery,
    codec::frame::{self, OpCode},
};

/// Bytes that each event counts in addition to its content.
const OVERHEAD: usize = 64;
/// An offset makes an event longer by at most this, in addition to its suffix: a number, quotation
/// marks, a comma, and longer headers.
const MAX_TAG: usize = 48;

/// The format of a socket's offsets.
#[derive(Clone, Copy)]
pub(super) struct Offsets<'a> {
    /// The text after the number.
    pub(super) suffix: &'a str,
    pub(super) parser: Parser,
}

/// A gapless sequence of events up to the newest.
#[derive(Default)]
pub(super) struct EventLog {
    events: VecDeque<Event>,
    bytes: usize,
    /// The number of the newest event.
    last: u64,
    is_discarded: bool,
}

struct Event {
    frames: Bytes,
    at: Instant,
}

impl Event {
    fn bytes(&self) -> usize {
        self.frames.len() + OVERHEAD
    }
}

impl EventLog {
    /// Numbers the events in these frames and stores them. Returns the frames with their offsets,
    /// and whether nothing had to be dropped. `total` counts the bytes of all sockets.
    pub(super) fn add(
        &mut self,
        frames: &[u8],
        offsets: Offsets<'_>,
        limits: &Recovery,
        total: &AtomicUsize,
    ) -> (Bytes, bool) {
        let (tagged, starts) = tag(frames, self.last + 1.., offsets);
        let now = Instant::now();
        for (at, &start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(tagged.len());
            let event = Event {
                frames: tagged.slice(start..end),
                at: now,
            };
            self.last += 1;
            self.bytes += event.bytes();
            total.fetch_add(event.bytes(), Ordering::Relaxed);
            self.events.push_back(event);
        }
        let mut complete = true;
        while self.bytes > limits.max_bytes && self.drop_oldest(total) {
            complete = false;
        }
        if total.load(Ordering::Relaxed) > limits.max_total_bytes {
            complete &= self.events.is_empty();
            while self.drop_oldest(total) {}
        }
        (tagged, complete)
    }

    /// Tags another form of the same events with the offsets that [`Self::add`] is about to assign.
    pub(super) fn tag_next(&self, frames: &[u8], offsets: Offsets<'_>) -> Bytes {
        tag(frames, self.last + 1.., offsets).0
    }

    /// Tags events that are not stored with the offset of the newest stored event.
    pub(super) fn tag_volatile(&self, frames: &[u8], offsets: Offsets<'_>) -> Bytes {
        tag(frames, std::iter::repeat(self.last), offsets).0
    }

    fn drop_oldest(&mut self, total: &AtomicUsize) -> bool {
        let Some(event) = self.events.pop_front() else {
            return false;
        };
        self.bytes -= event.bytes();
        total.fetch_sub(event.bytes(), Ordering::Relaxed);
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        true
    }

    fn first(&self) -> u64 {
        self.last + 1 - self.events.len() as u64
    }

    /// Whether all events after this number are stored.
    pub(super) fn covers(&self, after: u64) -> bool {
        !self.is_discarded && after <= self.last && self.first() <= after + 1
    }

    /// Drops the events that the client has.
    pub(super) fn drop_until(&mut self, after: u64, total: &AtomicUsize) {
        while self.first() <= after && self.drop_oldest(total) {}
    }

    /// Drops the events that the client has and that are older than this.
    pub(super) fn drop_until_older(&mut self, after: u64, than: Instant, total: &AtomicUsize) {
        while self.first() <= after
            && self.events.front().is_some_and(|event| event.at < than)
            && self.drop_oldest(total)
        {}
    }

    pub(super) fn drop_older(&mut self, than: Instant, total: &AtomicUsize) {
        while self.events.front().is_some_and(|event| event.at < than) {
            self.drop_oldest(total);
        }
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Bytes> {
        self.events.iter().map(|event| &event.frames)
    }

    /// The events after the one with this number.
    pub(super) fn frames_after(&self, after: u64) -> impl Iterator<Item = &Bytes> {
        let events = self.events.iter().zip(self.first()..);
        events
            .filter(move |(_, number)| *number > after)
            .map(|(event, _)| &event.frames)
    }

    /// Drops all events and stores none from now on.
    pub(super) fn discard_all(&mut self, total: &AtomicUsize) {
        self.is_discarded = true;
        while self.drop_oldest(total) {}
    }

    /// The log of a socket that comes from another node: its events, of which the newest has the
    /// number `last`.
    pub(super) fn restored(last: u64, events: Vec<Bytes>, total: &AtomicUsize) -> Self {
        let at = Instant::now();
        let events: VecDeque<_> = events
            .into_iter()
            .map(|frames| Event { frames, at })
            .collect();
        let bytes = events.iter().map(Event::bytes).sum();
        total.fetch_add(bytes, Ordering::Relaxed);
        Self {
            last: last.max(events.len() as u64),
            events,
            bytes,
            is_discarded: false,
        }
    }

    /// The number of the newest event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether this event, without an offset, is stored already.
    pub(super) fn has(&self, event: &[u8], offsets: Offsets<'_>) -> bool {
        let longest = event.len() + offsets.suffix.len() + MAX_TAG;
        self.events
            .iter()
            .zip(self.first()..)
            .filter(|(stored, _)| (event.len()..=longest).contains(&stored.frames.len()))
            .any(|(stored, number)| tag(event, number.., offsets).0 == stored.frames)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.is_discarded
    }
}

/// Appends an offset to the arguments of every event in these frames, with numbers from `numbers`.
/// Returns where each event starts.
fn tag(
    frames: &[u8],
    mut numbers: impl Iterator<Item = u64>,
    offsets: Offsets<'_>,
) -> (Bytes, Vec<usize>) {
    let mut tagged = BytesMut::with_capacity(frames.len() + offsets.suffix.len() + 32);
    let mut starts = Vec::new();
    for (opcode, compressed, data) in frame::written_frames(frames) {
        let start = tagged.len();
        let offset = || format!("{}{}", numbers.next().unwrap_or_default(), offsets.suffix);
        let is_event = match offsets.parser {
            Parser::Json => tag_text(&mut tagged, opcode, compressed, data, offset),
            #[cfg(feature = "msgpack")]
            Parser::MsgPack => tag_msgpack(&mut tagged, data, offset),
        };
        if is_event {
            starts.push(start);
        } else {
            frame::encode_parts(&mut tagged, opcode, compressed, &[data]);
        }
    }
    (tagged.freeze(), starts)
}

/// The events in these frames, each with its attachments.
pub(super) fn split(frames: &[u8], offsets: Offsets<'_>) -> Vec<Bytes> {
    let mut events: Vec<BytesMut> = Vec::new();
    for (opcode, compressed, data) in frame::written_frames(frames) {
        let mut one = BytesMut::new();
        frame::encode_parts(&mut one, opcode, compressed, &[data]);
        let begins = !tag(&one, 0.., offsets).1.is_empty();
        match events.last_mut() {
            Some(event) if !begins => event.extend_from_slice(&one),
            _ => events.push(one),
        }
    }
    events.into_iter().map(BytesMut::freeze).collect()
}

/// Appends an event with its offset. Returns false if the frame is not an event: an event is text
/// that ends with the bracket of its array, and its attachments follow unchanged.
fn tag_text(
    tagged: &mut BytesMut,
    opcode: OpCode,
    compressed: bool,
    data: &[u8],
    offset: impl FnOnce() -> String,
) -> bool {
    let Some(open) = data
        .strip_suffix(&*ending("]", compressed))
        .filter(|_| opcode == OpCode::Text)
    else {
        return false;
    };
    let last = format!(",\"{}\"]", offset());
    frame::encode_parts(
        tagged,
        OpCode::Text,
        compressed,
        &[open, &ending(&last, compressed)],
    );
    true
}

#[cfg(feature = "msgpack")]
fn tag_msgpack(tagged: &mut BytesMut, data: &[u8], offset: impl FnOnce() -> String) -> bool {
    let Some((start, rest, end)) = msgpack::append(data, offset) else {
        return false;
    };
    frame::encode_parts(tagged, OpCode::Binary, false, &[&start, rest, &end]);
    true
}

/// The encoded end of a text with these last characters.
#[cfg_attr(
    not(feature = "deflate"),
    expect(unused_variables, reason = "no text is compressed")
)]
fn ending(last: &str, compressed: bool) -> Cow<'_, [u8]> {
    #[cfg(feature = "deflate")]
    if compressed {
        return Cow::Owned(deflate::ending(last.as_bytes()));
    }
    Cow::Borrowed(last.as_bytes())
}

#[cfg(test)]
mod tests;

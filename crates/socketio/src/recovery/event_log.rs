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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Packet, packet::append_payload};

    fn payload(frames: &[u8]) -> String {
        let mut payload = Vec::new();
        append_payload(&mut payload, frames);
        String::from_utf8(payload).unwrap()
    }

    fn offsets(suffix: &str) -> Offsets<'_> {
        Offsets {
            suffix,
            parser: Parser::Json,
        }
    }

    fn limits(max_bytes: usize) -> Recovery {
        Recovery {
            max_bytes,
            ..Recovery::default()
        }
    }

    #[test]
    fn every_event_of_a_batch_gets_its_own_offset() {
        let binary = Packet::binary_event(
            "/a",
            "b",
            "{\"_placeholder\":true,\"num\":0}",
            &[Bytes::from_static(&[1])],
        );
        let batch = Packet::batch([
            Packet::event("/a", "x", ""),
            binary,
            Packet::event("/a", "y", "1"),
        ]);
        let (mut log, total) = (EventLog::default(), AtomicUsize::new(0));
        let (tagged, complete) =
            log.add(&batch.into_frames(), offsets(".7"), &limits(10_000), &total);
        assert!(complete);
        let whole = "42/a,[\"x\",\"1.7\"]\u{1e}451-/a,[\"b\",{\"_placeholder\":true,\"num\":0},\"2.7\"]\u{1e}bAQ==\u{1e}42/a,[\"y\",1,\"3.7\"]";
        assert_eq!(payload(&tagged), whole);
        assert_eq!(
            log.frames()
                .map(|frames| payload(frames))
                .collect::<Vec<_>>()
                .join("\u{1e}"),
            whole
        );
        log.drop_until(2, &total);
        assert_eq!(
            log.frames()
                .map(|frames| payload(frames))
                .collect::<Vec<_>>(),
            ["42/a,[\"y\",1,\"3.7\"]"]
        );
        assert_eq!(
            (1..=4).map(|after| log.covers(after)).collect::<Vec<_>>(),
            [false, true, true, false]
        );
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn compressed_events_get_the_offsets_that_are_kept() {
        let long = format!("\"{}\"", "ab".repeat(300));
        let binary = Packet::binary_event(
            "/",
            "b",
            &format!("{long},{{\"_placeholder\":true,\"num\":0}}"),
            &[vec![1; 900].into()],
        );
        let batch = Packet::batch([
            Packet::event("/", "x", &long),
            Packet::event("/", "y", "1"),
            binary,
        ]);
        let (mut log, total) = (EventLog::default(), AtomicUsize::new(0));
        let how = crate::Deflate {
            threshold: 100,
            ..crate::Deflate::default()
        };
        let compressed = log.tag_next(batch.compressed(&how).unwrap(), offsets(".7"));
        let (tagged, _) = log.add(batch.frames(), offsets(".7"), &limits(10_000), &total);
        let mut inflated = BytesMut::new();
        let mut count = 0;
        for (opcode, compressed, data) in frame::written_frames(&compressed) {
            if compressed {
                count += 1;
                let again = |data: &[u8]| {
                    frame::encode(&mut inflated, opcode, data);
                    Ok(())
                };
                deflate::inflate(data, 2_000, again).unwrap();
            } else {
                frame::encode(&mut inflated, opcode, data);
            }
        }
        assert_eq!((count, inflated.freeze()), (3, tagged));
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn every_event_in_msgpack_gets_its_own_offset() {
        let binary = |more: &str| {
            Packet::binary_event(
                "/a",
                "b",
                &format!("{{\"_placeholder\":true,\"num\":0}}{more}"),
                &[Bytes::from_static(&[1])],
            )
        };
        let batch = Packet::batch([Packet::event("/", "x", ""), binary("")]);
        let (mut log, total) = (EventLog::default(), AtomicUsize::new(0));
        let offsets = Offsets {
            suffix: ".7",
            parser: Parser::MsgPack,
        };
        let (tagged, _) = log.add(batch.msgpack().frames(), offsets, &limits(10_000), &total);
        let wanted = [Packet::event("/", "x", "\"1.7\""), binary(",\"2.7\"")];
        assert_eq!(tagged, Packet::batch(wanted.clone()).msgpack().frames());
        let log: Vec<_> = log.frames().collect();
        assert_eq!(
            log,
            [wanted[0].msgpack().frames(), wanted[1].msgpack().frames()]
        );
    }

    proptest! {
        #[test]
        fn the_event_log_is_bounded_gapless_and_counted(sizes in prop::collection::vec(0usize..400, 1..40), max in 0usize..1_000) {
            let (mut log, total) = (EventLog::default(), AtomicUsize::new(0));
            let limits = limits(max);
            for (number, size) in sizes.iter().enumerate() {
                let packet = Packet::event("/", "e", &format!("\"{}\"", "x".repeat(*size)));
                log.add(&packet.into_frames(), offsets(".1"), &limits, &total);
                prop_assert!(log.bytes <= max);
                prop_assert_eq!(log.bytes, log.events.iter().map(Event::bytes).sum::<usize>());
                prop_assert_eq!(log.bytes, total.load(Ordering::Relaxed));
                prop_assert_eq!(log.last, number as u64 + 1);
                for (at, frames) in log.frames().enumerate() {
                    let end = format!("\"{}.1\"]", log.first() + at as u64);
                    prop_assert!(payload(frames).ends_with(&end));
                }
            }
            log.discard_all(&total);
            prop_assert_eq!(total.load(Ordering::Relaxed), 0);
            prop_assert!(!log.covers(log.last));
        }
    }
}

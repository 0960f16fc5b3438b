//! A socket that is moving from one node to another.

use std::sync::atomic::AtomicUsize;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{
    event_log::{self, EventLog, Offsets},
    written::WrittenCallback,
};
use crate::{EmitError, Packet, Recovery};

/// Bytes that each packet counts in addition to its content.
const OVERHEAD: usize = 64;

/// What the new node needs to emit events to a socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The public id.
    pub(crate) id: String,
    /// The part of each offset after the number.
    pub(crate) suffix: String,
    pub(crate) rooms: Vec<String>,
    /// What the application adds.
    pub(crate) state: String,
}

/// The events that the socket's old node had stored.
pub(crate) struct MovedLog {
    /// The number of the last event that the client has.
    pub(crate) after: u64,
    /// The number of the newest event.
    pub(crate) last: u64,
    /// Whether the old node waits to learn that the events are written.
    pub(crate) has_callbacks: bool,
    /// The events up to the newest, with their offsets.
    pub(crate) events: Vec<Bytes>,
}

/// Events emitted on the new node before the old node's events have arrived.
#[derive(Default)]
pub(super) struct Arriving {
    packets: Vec<(Packet, Option<WrittenCallback>)>,
    bytes: usize,
    /// More was emitted than may be stored.
    is_full: bool,
}

impl Arriving {
    /// Stores a packet in the clients' encoding.
    pub(super) fn add(
        &mut self,
        packet: &Packet,
        callback: Option<&WrittenCallback>,
        max: usize,
    ) -> Result<(), EmitError> {
        self.bytes += packet.len() + OVERHEAD;
        if self.is_full || self.bytes > max {
            self.is_full = true;
            return Err(EmitError::Full);
        }
        self.packets.push((packet.clone(), callback.cloned()));
        Ok(())
    }

    /// Adds the events to those of the old node, except for the ones that it has as well. Returns
    /// whether all are stored.
    pub(super) fn add_to(
        &self,
        log: &mut EventLog,
        offsets: Offsets<'_>,
        limits: &Recovery,
        total: &AtomicUsize,
    ) -> bool {
        let mut new = BytesMut::new();
        for (packet, _) in &self.packets {
            for event in event_log::split(packet.frames(), offsets) {
                if !log.has(&event, offsets) {
                    new.extend_from_slice(&event);
                }
            }
        }
        let (_, complete) = log.add(&new, offsets, limits, total);
        complete && !self.is_full
    }

    pub(super) fn callbacks(&self) -> impl Iterator<Item = &WrittenCallback> {
        self.packets
            .iter()
            .filter_map(|(_, callback)| callback.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parser, packet::append_payload};

    fn offsets() -> Offsets<'static> {
        Offsets {
            suffix: ".n1.7",
            parser: Parser::Json,
        }
    }

    fn payloads(log: &EventLog) -> Vec<String> {
        log.frames()
            .map(|frames| {
                let mut payload = Vec::new();
                append_payload(&mut payload, frames);
                String::from_utf8(payload).unwrap()
            })
            .collect()
    }

    #[test]
    fn what_both_nodes_emitted_comes_once_and_numbers_go_on() {
        let (total, limits) = (AtomicUsize::new(0), Recovery::default());
        let mut old = EventLog::default();
        let binary = Packet::binary_event(
            "/",
            "b",
            "{\"_placeholder\":true,\"num\":0}",
            &[Bytes::from_static(&[1])],
        );
        for packet in [
            Packet::event("/", "x", "1"),
            Packet::event("/", "x", "2"),
            binary.clone(),
        ] {
            old.add(packet.frames(), offsets(), &limits, &total);
        }
        let moved = old.frames().cloned().collect();
        let mut log = EventLog::restored(old.last(), moved, &total);
        let mut arriving = Arriving::default();
        for packet in [
            Packet::batch([
                Packet::event("/", "x", "2"),
                binary,
                Packet::event("/", "x", "3"),
            ]),
            // The same event twice in a row is two events.
            Packet::event("/", "y", ""),
            Packet::event("/", "y", ""),
        ] {
            arriving.add(&packet, None, 10_000).unwrap();
        }
        assert!(arriving.add_to(&mut log, offsets(), &limits, &total));
        assert_eq!(
            payloads(&log),
            [
                "42[\"x\",1,\"1.n1.7\"]",
                "42[\"x\",2,\"2.n1.7\"]",
                "451-[\"b\",{\"_placeholder\":true,\"num\":0},\"3.n1.7\"]\u{1e}bAQ==",
                "42[\"x\",3,\"4.n1.7\"]",
                "42[\"y\",\"5.n1.7\"]",
                "42[\"y\",\"6.n1.7\"]",
            ]
        );
        assert!(log.covers(0) && log.covers(6) && !log.covers(7));
    }

    #[test]
    fn more_than_may_be_stored_is_no_recovery() {
        let mut arriving = Arriving::default();
        let packet = Packet::event("/", "x", "1");
        assert_eq!(arriving.add(&packet, None, 100), Ok(()));
        assert_eq!(arriving.add(&packet, None, 100), Err(EmitError::Full));
        let (total, mut log) = (AtomicUsize::new(0), EventLog::default());
        assert!(!arriving.add_to(&mut log, offsets(), &Recovery::default(), &total));
    }
}

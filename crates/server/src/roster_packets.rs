//! Presence as packets.

use crate::connection::Connection;
use lamplight_domain::presence::{Change, Presence};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use lamplight_wire::encode;
use socketio::Packet;
use std::sync::Arc;

/// Packs changes into packets no longer than an answer. Their version is that of the newest change:
/// another one would reveal changes of hidden users. `count` is how many users are online,
/// for those whose list is cut off.
pub(crate) fn changes_of(changes: &[Change], count: Option<usize>) -> Vec<Packet> {
    let version = changes.iter().map(Change::version).max().unwrap_or(0);
    let mut packets = Vec::with_capacity(1);
    let mut left = changes;
    while !left.is_empty() {
        let (part, rest) = left.split_at(weight::fitting(left, ANSWER_BYTES, |change| {
            weight::change(change)
        }));
        packets.push(Packet::event(
            "/",
            "presence_changes",
            &encode::presence_changes(part, version, count),
        ));
        left = rest;
    }
    packets
}

/// Each change as an event of its own.
pub(crate) fn events_of(changes: &[Change]) -> Vec<Packet> {
    if changes.is_empty() {
        return Vec::new();
    }
    let events = changes.iter().map(|change| {
        let (name, json) = encode::presence_event(change);
        Packet::event("/", name, &json)
    });
    vec![Packet::batch(events)]
}

/// A list, cut to the length of an answer.
pub(crate) fn list_of(
    listed: &[Arc<Presence>],
    count: usize,
    is_truncated: bool,
    version: u64,
) -> Packet {
    let length = weight::fitting(listed, ANSWER_BYTES, |presence| weight::presence(presence));
    let is_truncated = is_truncated || length < listed.len();
    let version = listed.iter().map(|one| one.version).fold(version, u64::max);
    let json = encode::online_users(listed[..length].iter(), count, is_truncated, version);
    Packet::event("/", "online_users", &json)
}

/// Queues packets on connections.
pub(crate) fn emit(connections: &[Connection], packets: &[Packet]) {
    for connection in connections {
        for packet in packets {
            // A connection that is closed or was cut off removes itself.
            let _ = connection.emit_packet(packet);
        }
    }
}

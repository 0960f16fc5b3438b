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
    let (tagged, complete) = log.add(&batch.into_frames(), offsets(".7"), &limits(10_000), &total);
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

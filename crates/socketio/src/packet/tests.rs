use super::*;

fn payload(packet: &Packet) -> String {
    let mut bytes = Vec::new();
    append_payload(&mut bytes, &packet.frames);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn encodes_the_examples_of_the_protocol_document() {
    assert_eq!(payload(&Packet::event("/", "foo", "")), "42[\"foo\"]");
    assert_eq!(
        payload(&Packet::event("/admin", "foo", "1,{}")),
        "42/admin,[\"foo\",1,{}]"
    );
    assert_eq!(payload(&Packet::event("/", "a\"b", "")), "42[\"a\\\"b\"]");
    assert_eq!(
        payload(&Packet::ack("/admin", 13, "", &[])),
        "43/admin,13[]"
    );
    assert_eq!(
        payload(&Packet::connected("/", "x", None)),
        "40{\"sid\":\"x\"}"
    );
    assert_eq!(payload(&Packet::disconnect("/admin")), "41/admin,");
    assert_eq!(
        payload(&Packet::connect_error("/", "no", Some("[1]"))),
        "44{\"message\":\"no\",\"data\":[1]}"
    );
    let binary = Packet::binary_event(
        "/",
        "baz",
        "{\"_placeholder\":true,\"num\":0}",
        &[Bytes::from_static(&[1, 2, 3])],
    );
    assert_eq!(
        payload(&binary),
        "451-[\"baz\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID"
    );
    let ack = Packet::ack(
        "/",
        7,
        "{\"_placeholder\":true,\"num\":0}",
        &[Bytes::from_static(&[1])],
    );
    assert_eq!(
        payload(&ack),
        "461-7[{\"_placeholder\":true,\"num\":0}]\u{1e}bAQ=="
    );
}

#[test]
fn the_connect_reply_of_a_recoverable_session_has_its_private_id() {
    assert_eq!(
        payload(&Packet::connected("/a", "x", Some("y"))),
        "40/a,{\"sid\":\"x\",\"pid\":\"y\"}"
    );
}

#[test]
fn frame_headers_of_every_size_stand_right_before_the_text() {
    for size in [0, 100, 118, 119, 120, 65_000, 65_527, 65_528, 70_000] {
        let text = "x".repeat(size);
        let packet = Packet::event("/", "e", &format!("\"{text}\""));
        assert_eq!(payload(&packet), format!("42[\"e\",\"{text}\"]"));
    }
}

#[test]
fn a_batch_is_its_packets_in_order() {
    let one = Packet::event("/", "a", "");
    let two = Packet::event("/", "b", "1");
    let three = Packet::event("/", "c", "");
    assert_eq!(
        payload(&Packet::batch([one.clone(), two, three])),
        "42[\"a\"]\u{1e}42[\"b\",1]\u{1e}42[\"c\"]"
    );
    assert_eq!(Packet::batch([one.clone()]), one);
    assert!(Packet::batch([]).is_empty());
}

#[test]
fn bytes_of_another_node_are_whole_events_or_nothing() {
    let binary = Packet::binary_event(
        "/a",
        "b",
        "{\"_placeholder\":true,\"num\":0}",
        &[Bytes::from_static(&[1])],
    );
    let batch = Packet::batch([Packet::event("/", "a", ""), binary]);
    let bytes = batch.to_bytes();
    assert_eq!(Packet::from_bytes(bytes.clone()), Some(batch));
    for end in 1..bytes.len() {
        let cut = Packet::from_bytes(bytes.slice(..end));
        assert!(cut.is_none_or(|cut| cut.len() == end), "{end}");
    }
    for other in [
        Packet::disconnect("/"),
        Packet::engine("2"),
        Packet::ack("/", 1, "", &[]),
    ] {
        assert_eq!(Packet::from_bytes(other.to_bytes()), None);
    }
    assert_eq!(
        Packet::from_bytes(Bytes::from_static(b"anything else")),
        None
    );
}

#[cfg(feature = "msgpack")]
#[test]
fn a_packet_is_turned_into_msgpack_once_for_all_who_get_it() {
    let batch = Packet::batch([Packet::event("/", "e", "1"), Packet::ack("/", 3, "", &[])]);
    assert_eq!(frame::server_frames(batch.msgpack().frames()).count(), 2);
    assert_eq!(
        batch.msgpack().frames().as_ptr(),
        batch.clone().msgpack().frames().as_ptr()
    );
}

#[cfg(feature = "deflate")]
#[test]
fn a_packet_is_compressed_once_for_all_who_get_it() {
    let how = Deflate::default();
    let long = Packet::event("/", "e", &format!("\"{}\"", "x".repeat(2000)));
    let first = long.compressed(&how).unwrap();
    assert!(first.len() < 100);
    assert_eq!(long.compressed(&how).unwrap().as_ptr(), first.as_ptr());
    assert_eq!(
        long.clone().compressed(&how).unwrap().as_ptr(),
        first.as_ptr()
    );
    assert_eq!(
        Packet::event("/", "e", "1").compressed(&how),
        None,
        "short as it is"
    );
}

#[test]
fn a_placeholder_has_the_form_that_clients_expect() {
    assert_eq!(
        serde_json::to_string(&Placeholder(1)).unwrap(),
        "{\"_placeholder\":true,\"num\":1}"
    );
}

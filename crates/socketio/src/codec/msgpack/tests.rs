use proptest::prelude::*;

use super::*;
use crate::{Packet, codec::frame, packet::append_payload};

fn read(message: &[u8]) -> Result<String, PacketError> {
    let message = Bytes::copy_from_slice(message);
    Ok(match decode(&message, 3, 5)? {
        Incoming::Connect { namespace, auth } => format!("connect {namespace} {auth:?}"),
        Incoming::Disconnect { namespace } => format!("disconnect {namespace}"),
        Incoming::Event {
            namespace,
            ack,
            text,
            attachments,
            ..
        } => format!("event {namespace} {ack:?} {text} {attachments:?}"),
        Incoming::Ack {
            namespace,
            id,
            args,
            attachments,
        } => format!("ack {namespace} {id} {args} {attachments:?}"),
    })
}

/// Decodes an event of "/" with this array.
fn event(data: &[u8]) -> Result<String, PacketError> {
    read(&[b"\x83\xA4type\x02\xA3nsp\xA1/\xA4data", data].concat())
        .map(|read| read.trim_start_matches("event / None ").to_owned())
}

/// The JSON of an event's only argument.
fn argument(value: &[u8]) -> Result<String, PacketError> {
    let read = event(&[b"\x92\xA1e", value].concat())?;
    Ok(read
        .strip_prefix("[\"e\",")
        .unwrap()
        .strip_suffix("] []")
        .unwrap()
        .to_owned())
}

#[test]
fn reads_what_clients_send() {
    assert_eq!(
        read(b"\x82\xA4type\x00\xA3nsp\xA1/").unwrap(),
        "connect / None"
    );
    // As socket.io-client writes it: with options and undefined values.
    assert_eq!(
        read(b"\x84\xA4type\x00\xA4data\xD4\x00\x00\xA3nsp\xA2/a\xA2id\xD4\x00\x00").unwrap(),
        "connect /a None"
    );
    assert_eq!(
        read(b"\x83\xA4type\x00\xA4data\x81\xA1t\xA1x\xA3nsp\xA1/").unwrap(),
        "connect / Some(\"{\\\"t\\\":\\\"x\\\"}\")"
    );
    assert_eq!(
        read(b"\x83\xA4type\x01\xA7options\x81\xA8compress\xC3\xA3nsp\xA2/a").unwrap(),
        "disconnect /a"
    );
    assert_eq!(
        event(b"\x92\xA1e\xC4\x02ab").unwrap(),
        "[\"e\",{\"_placeholder\":true,\"num\":0}] [b\"ab\"]"
    );
    assert_eq!(
        read(b"\x84\xA4data\x91\xA1e\xA2id\xCC\xFF\xA3nsp\xA1/\xA4type\x02").unwrap(),
        "event / Some(255) [\"e\"] []"
    );
    assert_eq!(
        read(b"\x84\xA4type\x03\xA2id\x07\xA4data\x92\x01\x90\xA3nsp\xA1/").unwrap(),
        "ack / 7 1,[] []"
    );
}

#[test]
fn every_value_becomes_what_javascript_writes_for_it() {
    for (value, json) in [
        (&b"\xC0"[..], "null"),
        (b"\xC2", "false"),
        (b"\xC3", "true"),
        (b"\x7F", "127"),
        (b"\xE0", "-32"),
        (b"\xCC\xFF", "255"),
        (b"\xCD\xFF\xFF", "65535"),
        (b"\xCE\xFF\xFF\xFF\xFF", "4294967295"),
        (
            b"\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "18446744073709551615",
        ),
        (b"\xD0\x80", "-128"),
        (b"\xD1\x80\x00", "-32768"),
        (b"\xD2\x80\x00\x00\x00", "-2147483648"),
        (
            b"\xD3\x80\x00\x00\x00\x00\x00\x00\x00",
            "-9223372036854775808",
        ),
        (b"\xCA\x3F\xC0\x00\x00", "1.5"),
        (b"\xCB\x40\x00\x00\x00\x00\x00\x00\x00", "2"),
        (b"\xCB\x80\x00\x00\x00\x00\x00\x00\x00", "0"),
        (b"\xCB\x7F\xF0\x00\x00\x00\x00\x00\x00", "null"),
        (b"\xCB\x7F\xF8\x00\x00\x00\x00\x00\x00", "null"),
        (b"\xA4a\"\x01\n", r#""a\"\u0001\n""#),
        (b"\xD9\x02\xC3\xA9", "\"\u{e9}\""),
        (b"\xDA\x00\x01x", "\"x\""),
        (b"\xDB\x00\x00\x00\x01\\", r#""\\""#),
        (b"\xDC\x00\x01\xC0", "[null]"),
        (b"\xDD\x00\x00\x00\x00", "[]"),
        (b"\xDE\x00\x01\xA1k\x90", "{\"k\":[]}"),
        (b"\xDF\x00\x00\x00\x00", "{}"),
        // Undefined, alone, in an array and in a map.
        (b"\xD4\x00\x00", "null"),
        (b"\x92\xD4\x00\x00\x01", "[null,1]"),
        (
            b"\x83\xA1a\xD4\x00\x00\xA1b\x01\xA1c\xD4\x00\x00",
            "{\"b\":1}",
        ),
        // Dates in notepack.io's format and as msgpack timestamps.
        (
            b"\xD7\x00\x00\x00\x01\x9B\x76\xDA\xA4\x1F",
            "\"2025-12-31T23:59:59.007Z\"",
        ),
        (b"\xD7\x00\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "null"),
        (b"\xD6\xFF\x00\x00\x00\x01", "\"1970-01-01T00:00:01.000Z\""),
        (
            b"\xD7\xFF\x00\x7A\x12\x00\x00\x00\x00\x01",
            "\"1970-01-01T00:00:01.002Z\"",
        ),
        (
            b"\xC7\x0C\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "\"1969-12-31T23:59:59.000Z\"",
        ),
    ] {
        assert_eq!(argument(value).as_deref(), Ok(json), "{value:02x?}");
    }
    // Array buffers of all sizes.
    for value in [
        &b"\xC7\x01\x00b"[..],
        b"\xC8\x00\x01\x00b",
        b"\xC9\x00\x00\x00\x01\x00b",
        b"\xC5\x00\x01b",
        b"\xC6\x00\x00\x00\x01b",
    ] {
        assert_eq!(
            event(&[b"\x92\xA1e", value].concat()).unwrap(),
            "[\"e\",{\"_placeholder\":true,\"num\":0}] [b\"b\"]"
        );
    }
}

#[test]
fn s5_a_name_may_be_a_number() {
    for (data, name) in [
        (&b"\x91\x07"[..], "7"),
        (b"\x91\xCB\x3F\xE0\0\0\0\0\0\0", "0.5"),
        (b"\x92\xD0\xEF\x01", "-17"),
    ] {
        let message = Bytes::from([b"\x83\xA4type\x02\xA3nsp\xA1/\xA4data", data].concat());
        let Ok(Incoming::Event { text, parts, .. }) = decode(&message, 10, 127) else {
            panic!("{name}")
        };
        assert_eq!(&text[parts.name], name);
    }
}

#[test]
fn refuses_what_no_client_sends() {
    use PacketError::*;
    for (message, error) in [
        (&b""[..], Payload),
        (b"\x80", Payload),
        (b"\x90", Payload),
        (b"\xC0", Payload),
        (b"\x81\xA4type\x02", Payload),
        (b"\x81\xA3nsp\xA1/", Kind),
        (b"\x82\xA4type\x04\xA3nsp\xA1/", Kind),
        (b"\x82\xA4type\x05\xA3nsp\xA1/", Kind),
        (b"\x82\xA4type\xFF\xA3nsp\xA1/", Payload),
        (b"\x82\xA4type\xA1\x32\xA3nsp\xA1/", Payload),
        (b"\x82\xA4type\x00\xA3nsp\xA0", Payload),
        (b"\x82\xA4type\x00\xA3nsp\xA1a", Payload),
        (b"\x82\xA4type\x00\xA3nsp\xA3/,a", Payload),
        (b"\x82\xA4type\x00\xA3nsp\xC4\x01/", Payload),
        (b"\x82\x01\x00\xA3nsp\xA1/", Payload),
        (b"\x83\xA4type\x00\xA4type\x00\xA3nsp\xA1/", Payload),
        (b"\x82\xA4type\x00\xA3nsp\xA1/\xC0", Payload),
        (b"\x83\xA4type\x00\xA4data\xC0\xA3nsp\xA1/", Payload),
        (b"\x83\xA4type\x00\xA4data\x90\xA3nsp\xA1/", Payload),
        (
            b"\x83\xA4type\x00\xA4data\x81\xA1a\xC4\x00\xA3nsp\xA1/",
            Payload,
        ),
        (b"\x83\xA4type\x01\xA4data\x80\xA3nsp\xA1/", Payload),
        (b"\x83\xA4type\x03\xA4data\x90\xA3nsp\xA1/", AckId),
        (b"\x83\xA4type\x03\xA2id\x01\xA3nsp\xA1/", Payload),
        (
            b"\x84\xA4type\x02\xA2id\xFF\xA4data\x91\xA1e\xA3nsp\xA1/",
            AckId,
        ),
        (
            b"\x84\xA4type\x02\xA2id\xCB\x3F\xF0\0\0\0\0\0\0\xA4data\x91\xA1e\xA3nsp\xA1/",
            AckId,
        ),
        (
            b"\x84\xA4type\x02\xA2id\xA1\x31\xA4data\x91\xA1e\xA3nsp\xA1/",
            AckId,
        ),
        (b"\xDF\xFF\xFF\xFF\xFF\xA4type\x02", Payload),
    ] {
        assert_eq!(read(message), Err(error), "{message:02x?}");
    }
    for (data, error) in [
        (&b""[..], Payload),
        (b"\xC0", Payload),
        (b"\x80", Payload),
        (b"\x90", Payload),
        (b"\x91\xC3", Payload),
        (b"\x91\xC4\x01e", Payload),
        (b"\x91\xA7connect", ReservedName),
        (b"\x91\xAEremoveListener", ReservedName),
        (b"\x92\xA1e", Payload),
        (b"\x92\xA1e\xC1", Payload),
        (b"\x92\xA1e\xA1\xFF", Payload),
        (b"\x92\xA1e\x81\x01\x01", Payload),
        (b"\x92\xA1e\x81\xC0\x01", Payload),
        (b"\x92\xA1e\x81\xA1k", Payload),
        (b"\x92\xA1e\xD4\x01\x00", Payload),
        (b"\x92\xA1e\xD5\x00\x00\x00", Payload),
        (b"\x92\xA1e\xC7\x01\x05\x00", Payload),
        (b"\x92\xA1e\xD7\xFF\xFF\xFF\xFF\xFF\0\0\0\x01", Payload),
        (b"\x92\xA1e\xC7\x0B\xFF\0\0\0\0\0\0\0\0\0\0\0", Payload),
        (b"\x95\xA1e\xC4\0\xC4\0\xC4\0\xC4\0", Attachments),
        (
            b"\x93\xA1e\xC4\0\x82\xAC_placeholder\xC3\xA3num\x00",
            Placeholder,
        ),
        // Sizes larger than the input: nothing is allocated for them.
        (b"\xDD\xFF\xFF\xFF\xFF\xA1e", Payload),
        (b"\x92\xA1e\xDF\xFF\xFF\xFF\xFF\xA1k\xC0", Payload),
        (b"\x92\xA1e\xC6\xFF\xFF\xFF\xFFx", Payload),
        (b"\x92\xA1e\xDB\xFF\xFF\xFF\xFFx", Payload),
        (b"\x92\xA1e\xC9\xFF\xFF\xFF\xFF\x00x", Payload),
    ] {
        assert_eq!(event(data), Err(error), "{data:02x?}");
    }
    assert!(
        event(b"\x92\xA1e\x82\xAC_placeholder\xC3\xA3num\x09").is_ok(),
        "without attachments it is an object like any other"
    );
}

#[test]
fn nesting_is_counted_as_in_json() {
    let nested = |depth: usize| event(&[b"\x92\xA1e", &[0x91].repeat(depth)[..], b"\xC0"].concat());
    assert!(nested(4).is_ok());
    assert_eq!(nested(5), Err(PacketError::Payload));
    assert_eq!(nested(1_000_000), Err(PacketError::Payload));
    let bytes = Bytes::from(
        [
            b"\x83\xA4type\x02\xA3nsp\xA1/\xA4data\x92\xA1e",
            &[0x91].repeat(500)[..],
            b"\xC0",
        ]
        .concat(),
    );
    assert!(decode(&bytes, 0, usize::MAX).is_err());
}

fn written(packet: &Packet) -> Vec<u8> {
    let frames = transcode(packet.frames());
    let all: Vec<_> = frame::server_frames(&frames).collect();
    assert_eq!((all.len(), all[0].0), (1, frame::OpCode::Binary));
    all[0].1.to_vec()
}

#[test]
fn writes_what_notepack_writes() {
    assert_eq!(
        written(&Packet::connected("/", "x", None)),
        b"\x83\xA4type\x00\xA3nsp\xA1/\xA4data\x81\xA3sid\xA1x"
    );
    assert_eq!(
        written(&Packet::disconnect("/a")),
        b"\x82\xA4type\x01\xA3nsp\xA2/a"
    );
    assert_eq!(
        written(&Packet::connect_error("/", "no", Some("[1]"))),
        b"\x83\xA4type\x04\xA3nsp\xA1/\xA4data\x82\xA7message\xA2no\xA4data\x91\x01"
    );
    assert_eq!(
        written(&Packet::ack("/", 300, "", &[])),
        b"\x84\xA4type\x03\xA3nsp\xA1/\xA2id\xCD\x01\x2C\xA4data\x90"
    );
    let args = "[{\"_placeholder\":true,\"num\":1}], {\"num\":0 ,\"_placeholder\":true},{\"_placeholder\":true,\"num\":2}";
    assert_eq!(
        written(&Packet::binary_event("/", "e", args, &[Bytes::from_static(b"a"), Bytes::from_static(b"bc")])),
        b"\x83\xA4type\x02\xA3nsp\xA1/\xA4data\x94\xA1e\x91\xC4\x02bc\xC4\x01a\x82\xAC_placeholder\xC3\xA3num\x02"
    );
    let numbers = "0,127,128,65535,65536,4294967296,-1,-32,-33,-128,-129,-32769,-2147483649,1.5,-0,1e400,18446744073709551616";
    let mut wanted =
        b"\x83\xA4type\x02\xA3nsp\xA1/\xA4data\xDC\x00\x12\xA1e\x00\x7F\xCC\x80\xCD\xFF\xFF\xCE\0\x01\0\0\xCF\0\0\0\x01\0\0\0\0".to_vec();
    wanted.extend_from_slice(b"\xFF\xE0\xD0\xDF\xD0\x80\xD1\xFF\x7F\xD2\xFF\xFF\x7F\xFF\xD3\xFF\xFF\xFF\xFF\x7F\xFF\xFF\xFF");
    for number in [1.5, -0.0, f64::INFINITY, 18_446_744_073_709_551_616.0] {
        wanted.push(0xCB);
        wanted.extend_from_slice(&f64::to_be_bytes(number));
    }
    assert_eq!(written(&Packet::event("/", "e", numbers)), wanted);
    let long = format!(
        "\"{}\",\"{}\",\"\\u00e9\\ud83d\"",
        "x".repeat(32),
        "y".repeat(256)
    );
    let mut wanted = b"\x94\xA1e\xD9\x20".to_vec();
    wanted.extend_from_slice(&[b'x'; 32]);
    wanted.extend_from_slice(b"\xDA\x01\x00");
    wanted.extend_from_slice(&[b'y'; 256]);
    wanted.extend_from_slice(b"\xA5\xC3\xA9\xEF\xBF\xBD");
    assert!(written(&Packet::event("/", "e", &long)).ends_with(&wanted));
}

#[test]
fn arguments_that_are_no_json_are_sent_as_null() {
    assert_eq!(
        written(&Packet::event("/", "e\"é", "{")),
        b"\x83\xA4type\x02\xA3nsp\xA1/\xA4data\x92\xA4e\"\xC3\xA9\xC0"
    );
    assert_eq!(
        written(&Packet::ack("/", 1, "x", &[])),
        b"\x84\xA4type\x03\xA3nsp\xA1/\xA2id\x01\xA4data\x91\xC0"
    );
}

#[test]
fn an_argument_is_added_at_the_end() {
    for (count, namespace) in [
        (0, "/"),
        (14, "/"),
        (15, "/b"),
        (16, "/b"),
        (65_534, "/"),
        (65_535, "/"),
        (70_000, "/"),
    ] {
        let namespace = format!("{namespace}{}", "n".repeat(count % 300));
        let args = vec!["1"; count].join(",");
        let comma = if count == 0 { "" } else { "," };
        for ack in [None, Some(5), Some(1 << 40)] {
            let packet =
                |args: &str| written(&Packet::encode_event(&namespace, ack, "e", args, &[]));
            let message = packet(&args);
            let (start, rest, end) = append(&message, || "7.1".to_owned()).unwrap();
            assert!(
                [&start, rest, &end].concat() == packet(&format!("{args}{comma}\"7.1\"")),
                "{count} {ack:?}"
            );
        }
    }
    for other in [
        Packet::disconnect("/"),
        Packet::ack("/", 1, "", &[]),
        Packet::connected("/", "x", None),
    ] {
        assert!(append(&written(&other), String::new).is_none());
    }
    assert!(append(b"", String::new).is_none());
}

#[test]
fn a_disconnect_is_detected_at_the_start_of_a_message() {
    assert!(is_disconnect(b"\x82\xA4type\x01\xA3nsp\xA1/"));
    assert!(is_disconnect(b"\x82\xA3nsp\xA1/\xA4type\x01"));
    assert!(!is_disconnect(&written(&Packet::event("/", "e", "1"))));
    assert!(!is_disconnect(b"\x81") && !is_disconnect(b""));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(|number| if number.trunc() == number {
            0.5.into()
        } else {
            number.into()
        }),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..20)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in json(), name: String, ack: Option<u64>, data: Vec<u8>) {
        let args = format!("{value},{{\"_placeholder\":true,\"num\":0}}");
        let packet = Packet::encode_event("/a", ack, &name, &args, &[data.clone().into()]);
        let message = Bytes::from(written(&packet));
        match decode(&message, 1, 127) {
            Ok(Incoming::Event { namespace, ack: read_ack, text, parts, attachments }) => {
                prop_assert_eq!((namespace, read_ack, &attachments[..]), ("/a", ack, &[Bytes::from(data)][..]));
                let name_read = parts.escaped_name.as_deref().unwrap_or(&text[parts.name.clone()]);
                prop_assert_eq!(name_read, &name);
                prop_assert_eq!(&text[parts.args], args);
            }
            other => prop_assert_eq!(other, Err(PacketError::ReservedName)),
        }
        let mut payload = Vec::new();
        append_payload(&mut payload, &transcode(packet.frames()));
        prop_assert!(payload.starts_with(b"b"));
    }

    #[test]
    fn never_panics(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&data);
        let _ = event(&data);
        let _ = append(&data, String::new);
        let _ = is_disconnect(&data);
        let _ = transcode(&data);
    }
}

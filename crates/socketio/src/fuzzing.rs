//! Properties that hold for any input. Each function is a fuzz target (`fuzz/`); every test run
//! checks it on the stored corpus and on random bytes.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used)]

use std::ops::ControlFlow;

use bytes::Bytes;
use serde_json::value::RawValue;

mod recovery;

pub use self::recovery::recovery;

use crate::{
    Packet,
    codec::{
        engine,
        frame::{self, FrameError, OpCode},
        json,
        message::{Limits, Message, Reader},
        number,
        packet::{self, Incoming},
        payload,
    },
    observer,
    packet::{append_payload, base64_frames},
    query,
    session::Item,
};

/// Decodes Engine.IO payloads as a POST carries them, and encodes arbitrary frames as the response
/// to a poll.
pub fn payload(data: &[u8]) {
    let mut out = Vec::new();
    append_payload(&mut out, data);
    // Base64 frames give the same payload and the same counts.
    let (frames, mut again) = (Bytes::copy_from_slice(data), Vec::new());
    let base64 = base64_frames(frames.clone());
    append_payload(&mut again, &base64);
    assert_eq!(out, again);
    assert!(frame::server_frames(&base64).all(|(opcode, _)| opcode != OpCode::Binary));
    assert_eq!(
        observer::messages([&Item::Frames(base64)]),
        observer::messages([&Item::Frames(frames)])
    );
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    assert_eq!(payload::packets(text).count(), payload::count(text));
    for packet in payload::packets(text).filter(|packet| payload::is_packet(packet)) {
        match packet.strip_prefix('b') {
            Some(base64) => drop(payload::binary(base64)),
            None => assert!(engine::decode(packet).is_some(), "{packet}"),
        }
    }
}

/// Decodes Socket.IO packets: `serde_json` accepts every decoded event and finds the same parts,
/// and decoding an encoded event gives the event.
pub fn packet(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match packet::decode(text, 10, 127) {
        Ok(Incoming::Event {
            namespace,
            ack,
            text,
            parts,
            attachments,
        }) => {
            assert!(attachments <= 10);
            // Compared as raw values: a number out of range or an unpaired surrogate is
            // well-formed, and clients must handle it.
            let mut values: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
            let name = parts
                .escaped_name
                .as_deref()
                .unwrap_or(&text[parts.name.clone()])
                .to_owned();
            assert_eq!(name_of(values.remove(0).get()), name);
            let args = &text[parts.args];
            check_elements(args, &values);
            let again = Packet::encode_event(namespace, ack, &name, args, &[]);
            let mut payload = Vec::new();
            append_payload(&mut payload, &again.into_frames());
            let payload = String::from_utf8(payload).unwrap();
            let Ok(Incoming::Event {
                namespace: again_namespace,
                ack: again_ack,
                text,
                parts,
                ..
            }) = packet::decode(&payload[1..], 10, 127)
            else {
                panic!("{payload}");
            };
            assert_eq!(
                (again_namespace, again_ack, &text[parts.args]),
                (namespace, ack, args)
            );
        }
        Ok(Incoming::Ack {
            args, attachments, ..
        }) => {
            assert!(attachments <= 10);
            check_elements(
                args,
                &serde_json::from_str::<Vec<Box<RawValue>>>(&format!("[{args}]")).unwrap(),
            );
        }
        Ok(Incoming::Connect {
            auth: Some(auth), ..
        }) => {
            assert!(
                serde_json::from_str::<&RawValue>(auth)
                    .unwrap()
                    .get()
                    .starts_with('{')
            );
        }
        Ok(_) | Err(_) => {}
    }
}

/// The event name that a JSON element denotes.
fn name_of(json: &str) -> String {
    if json.starts_with('"') {
        serde_json::from_str(json).unwrap()
    } else {
        number::to_text(json).unwrap()
    }
}

fn check_elements(args: &str, values: &[Box<RawValue>]) {
    for (at, value) in values.iter().enumerate() {
        assert_eq!(json::element(args, at), Some(value.get()));
    }
    assert_eq!(json::element(args, values.len()), None);
}

const LIMITS: Limits = Limits {
    max_payload: 300,
    max_fragments: 4,
};

/// Feeds bytes to a reader and records each message.
type Feed = fn(&mut Reader, &mut [u8], &mut Vec<String>) -> Result<ControlFlow<()>, FrameError>;

fn note(message: &Message<'_>) -> String {
    match message {
        Message::Text(text) => format!("text {text}"),
        other => format!("{other:?}"),
    }
}

/// Reads WebSocket frames: however the network splits them, the reader yields the same messages and
/// buffers no more than its limits. The first byte sets the size of the pieces.
pub fn frames(data: &[u8]) {
    frames_by(data, |reader, piece, got| {
        reader.feed(piece, LIMITS, &mut |message| {
            got.push(note(&message));
            ControlFlow::Continue(())
        })
    });
}

/// Like [`frames`], with compression. The bytes after the first are also inflated as one message,
/// compressed, and parsed as a client's extension offers.
#[cfg(feature = "deflate")]
pub fn deflate(data: &[u8]) {
    use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

    use crate::codec::{deflate, extensions};

    frames_by(data, |reader, piece, got| {
        reader.feed_compressed(piece, LIMITS, &mut |message| {
            assert!(!matches!(message, Message::Text(text) if text.len() > LIMITS.max_payload));
            got.push(note(&message));
            ControlFlow::Continue(())
        })
    });
    let Some((&level, data)) = data.split_first() else {
        return;
    };
    if let Ok(length) = deflate::inflate(data, 2_000, |inflated| Ok(inflated.len())) {
        assert!(length <= 2_000);
        assert_eq!(
            deflate::inflate(data, length, |inflated| Ok(inflated.len())),
            Ok(length)
        );
        assert!(
            length == 0
                || deflate::inflate(data, length - 1, |_| Ok(())) == Err(FrameError::TooBig)
        );
    }
    for opcode in [OpCode::Text, OpCode::Binary] {
        if let Some(message) = deflate::message(opcode, data, level % 11) {
            deflate::inflate(&message, data.len(), |inflated| {
                assert_eq!(inflated, data);
                Ok(())
            })
            .unwrap();
        }
    }
    if let Ok(offers) = HeaderValue::from_bytes(data) {
        let _ = extensions::deflate(&HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, offers)]));
    }
}

fn frames_by(data: &[u8], feed: Feed) {
    let Some((&cut, data)) = data.split_first() else {
        return;
    };
    let limits = LIMITS;
    let read = |piece: usize| {
        let (mut reader, mut got) = (Reader::default(), Vec::new());
        for piece in data.chunks(piece) {
            let fed = feed(&mut reader, &mut piece.to_vec(), &mut got);
            if let Err(error) = fed {
                got.push(format!("{error:?}"));
                break;
            }
            // A frame, its header and a message may be incomplete; vectors grow by doubling.
            assert!(
                reader.buffered() <= 4 * (limits.max_payload + 14),
                "{}",
                reader.buffered()
            );
        }
        got
    };
    assert_eq!(read(usize::from(cut) + 1), read(data.len().max(1)));
    let _ = frame::server_frames(data).count();
}

/// Decodes msgpack packets: every decoded packet is JSON of bounded size and survives encoding.
/// Text is also used as an application's arguments, which may be invalid JSON.
#[cfg(feature = "msgpack")]
pub fn msgpack(data: &[u8]) {
    use crate::codec::msgpack::{self, Incoming};

    let _ = (
        msgpack::is_disconnect(data),
        msgpack::append(data, String::new),
        msgpack::transcode(data),
    );
    let written = |packet: &Packet| {
        let frames = packet.msgpack().frames().clone();
        let (_, message) = frame::server_frames(&frames).next().unwrap();
        frames.slice_ref(message)
    };
    let message = Bytes::copy_from_slice(data);
    match msgpack::decode(&message, 10, 127) {
        Ok(Incoming::Event {
            namespace,
            ack,
            text,
            parts,
            attachments,
        }) => {
            assert!(
                attachments.len() <= 10 && text.len() <= 6 * data.len() + 400,
                "{} of {}",
                text.len(),
                data.len()
            );
            let mut values: Vec<Box<RawValue>> = serde_json::from_str(&text).unwrap();
            let first = values.remove(0);
            check_elements(&text[parts.args.clone()], &values);
            let args = &text[parts.args.clone()];
            let again = written(&Packet::encode_event(
                namespace,
                ack,
                &name_of(first.get()),
                args,
                &attachments,
            ));
            let read = msgpack::decode(&again, 10, 127);
            if first.get().starts_with('"') {
                assert_eq!(
                    read,
                    Ok(Incoming::Event {
                        namespace,
                        ack,
                        text,
                        parts,
                        attachments
                    })
                );
            } else {
                assert!(
                    matches!(read, Ok(Incoming::Event { .. })),
                    "a number is written as text"
                );
            }
        }
        Ok(Incoming::Ack { args, .. }) => {
            check_elements(
                &args,
                &serde_json::from_str::<Vec<Box<RawValue>>>(&format!("[{args}]")).unwrap(),
            );
        }
        Ok(Incoming::Connect {
            auth: Some(auth), ..
        }) => {
            assert!(
                serde_json::from_str::<&RawValue>(&auth)
                    .unwrap()
                    .get()
                    .starts_with('{')
            );
        }
        Ok(_) | Err(_) => {}
    }
    let Ok(args) = std::str::from_utf8(data) else {
        return;
    };
    let again = |args: &str| {
        let message = written(&Packet::event("/", "e", args));
        let (start, rest, end) = msgpack::append(&message, || "1.7".to_owned()).unwrap();
        let tagged = Bytes::from([&start, rest, &end].concat());
        let read = |message: &Bytes| match msgpack::decode(message, 0, 127) {
            Ok(Incoming::Event { text, parts, .. }) => text[parts.args].to_owned(),
            other => panic!("{other:?}"),
        };
        let (plain, tagged) = (read(&message), read(&tagged));
        assert_eq!(
            tagged,
            format!("{plain}{}\"1.7\"", if plain.is_empty() { "" } else { "," })
        );
        plain
    };
    let once = again(args);
    assert_eq!(again(&once), once);
}

/// Parses query strings: a fully percent-encoded value is decoded to the original.
pub fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = query::find(&text, "transport");
    let escaped: String = data.iter().map(|byte| format!("%{byte:02x}")).collect();
    let found = query::find(&format!("{text}&b{escaped}={escaped}"), &format!("b{text}"))
        .map(std::borrow::Cow::into_owned);
    if !text.contains('&') && !text.starts_with('b') {
        assert_eq!(found.as_deref(), Some(&*text));
    }
}

#[cfg(test)]
mod tests;

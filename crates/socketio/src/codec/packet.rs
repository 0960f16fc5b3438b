//! Decoding and validation of the Socket.IO packets that clients send (protocol 5, "Packet
//! encoding").

use super::json::{self, EventParts};

/// A well-formed packet. Texts are slices of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A request to join a namespace.
    Connect {
        /// The namespace's name.
        namespace: &'a str,
        /// The `auth` payload: a JSON object.
        auth: Option<&'a str>,
    },
    /// Leaves a namespace.
    Disconnect {
        /// The namespace's name.
        namespace: &'a str,
    },
    /// An event, or the first part of a binary event.
    Event {
        /// The namespace's name.
        namespace: &'a str,
        /// The id of the requested acknowledgement.
        ack: Option<u64>,
        /// The JSON array with the event's name and arguments.
        text: &'a str,
        /// The positions of its parts in `text`.
        parts: EventParts,
        /// Number of binary messages that follow.
        attachments: usize,
    },
    /// An acknowledgement, or the first part of a binary one.
    Ack {
        /// The namespace's name.
        namespace: &'a str,
        /// The id of the acknowledged event.
        id: u64,
        /// The JSON text of the arguments, without brackets.
        args: &'a str,
        /// Number of binary messages that follow.
        attachments: usize,
    },
}

/// Why a packet is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketError {
    /// The packet has no type, or one that clients do not send.
    Kind,
    /// The attachment count is missing, zero or over the limit.
    Attachments,
    /// The acknowledgement id exceeds 64 bits, or is missing where it is required.
    AckId,
    /// The payload does not match the type, is not well-formed JSON, or is nested too deeply.
    Payload,
    /// The event name is reserved.
    ReservedName,
    /// A placeholder refers to no attachment.
    Placeholder,
}

/// The parts of a packet's text, from a client or a server.
pub(super) struct Head<'a> {
    pub(super) kind: u8,
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    pub(super) id: Option<u64>,
    pub(super) rest: &'a str,
}

/// Names of local events in the client or in Node.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Decodes a packet.
///
/// # Errors
/// [`PacketError`] if the packet is invalid or exceeds a limit.
pub fn decode(
    text: &str,
    max_attachments: usize,
    max_nesting: usize,
) -> Result<Incoming<'_>, PacketError> {
    let Head {
        kind,
        attachments,
        namespace,
        id,
        rest,
    } = head(text)?;
    if kind == b'4' {
        return Err(PacketError::Kind);
    }
    if attachments > max_attachments {
        return Err(PacketError::Attachments);
    }
    match kind {
        b'0' => {
            let auth = (!rest.is_empty()).then_some(rest);
            if auth.is_some_and(|auth| !json::is_object(auth, max_nesting)) {
                return Err(PacketError::Payload);
            }
            Ok(Incoming::Connect { namespace, auth })
        }
        b'1' if rest.is_empty() => Ok(Incoming::Disconnect { namespace }),
        b'2' | b'5' => {
            let parts = json::event(rest, max_nesting).ok_or(PacketError::Payload)?;
            check_name(rest, &parts)?;
            if kind == b'5' && !json::placeholders_in_range(rest, attachments) {
                return Err(PacketError::Placeholder);
            }
            Ok(Incoming::Event {
                namespace,
                ack: id,
                text: rest,
                parts,
                attachments,
            })
        }
        b'3' | b'6' => {
            let id = id.ok_or(PacketError::AckId)?;
            let inner = json::array(rest, max_nesting).ok_or(PacketError::Payload)?;
            if kind == b'6' && !json::placeholders_in_range(rest, attachments) {
                return Err(PacketError::Placeholder);
            }
            Ok(Incoming::Ack {
                namespace,
                id,
                args: &rest[inner],
                attachments,
            })
        }
        _ => Err(PacketError::Payload),
    }
}

pub(super) fn head(text: &str) -> Result<Head<'_>, PacketError> {
    let kind = *text.as_bytes().first().ok_or(PacketError::Kind)?;
    if !matches!(kind, b'0'..=b'6') {
        return Err(PacketError::Kind);
    }
    let mut rest = &text[1..];
    let mut attachments = 0;
    if matches!(kind, b'5' | b'6') {
        let (count, after) = digits(rest);
        attachments = count.parse().map_err(|_| PacketError::Attachments)?;
        rest = after.strip_prefix('-').ok_or(PacketError::Attachments)?;
        if attachments == 0 {
            return Err(PacketError::Attachments);
        }
    }
    let mut namespace = "/";
    if rest.starts_with('/') {
        (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
    }
    let (id, rest) = digits(rest);
    let id: Option<u64> = if id.is_empty() {
        None
    } else {
        Some(id.parse().map_err(|_| PacketError::AckId)?)
    };
    Ok(Head {
        kind,
        attachments,
        namespace,
        id,
        rest,
    })
}

/// Rejects reserved event names.
pub(super) fn check_name(text: &str, parts: &EventParts) -> Result<(), PacketError> {
    let name = parts
        .escaped_name
        .as_deref()
        .unwrap_or(&text[parts.name.clone()]);
    if RESERVED.contains(&name) {
        Err(PacketError::ReservedName)
    } else {
        Ok(())
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Incoming<'_>, PacketError> {
        decode(text, 10, 127)
    }

    #[test]
    fn reads_the_examples_of_the_document() {
        assert_eq!(
            read("0"),
            Ok(Incoming::Connect {
                namespace: "/",
                auth: None
            })
        );
        assert_eq!(
            read("0/admin,"),
            Ok(Incoming::Connect {
                namespace: "/admin",
                auth: None
            })
        );
        assert_eq!(
            read("0/admin,{\"sid\":\"x\"}"),
            Ok(Incoming::Connect {
                namespace: "/admin",
                auth: Some("{\"sid\":\"x\"}")
            })
        );
        assert_eq!(
            read("1/admin,"),
            Ok(Incoming::Disconnect {
                namespace: "/admin"
            })
        );
        assert_eq!(
            read("1/admin"),
            Ok(Incoming::Disconnect {
                namespace: "/admin"
            })
        );
        let Ok(Incoming::Event {
            namespace,
            ack,
            text,
            attachments,
            ..
        }) = read("2/admin,456[\"foo\",1]")
        else {
            panic!("no event");
        };
        assert_eq!(
            (namespace, ack, text, attachments),
            ("/admin", Some(456), "[\"foo\",1]", 0)
        );
        assert_eq!(
            read("3/admin,456[1,2]"),
            Ok(Incoming::Ack {
                namespace: "/admin",
                id: 456,
                args: "1,2",
                attachments: 0
            })
        );
        let Ok(Incoming::Event {
            attachments, ack, ..
        }) = read(
            "52-7[\"baz\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
        )
        else {
            panic!("no event");
        };
        assert_eq!((attachments, ack), (2, Some(7)));
        assert!(matches!(
            read("61-/admin,456[{\"_placeholder\":true,\"num\":0}]"),
            Ok(Incoming::Ack {
                namespace: "/admin",
                id: 456,
                attachments: 1,
                ..
            })
        ));
    }

    #[test]
    fn refuses_what_no_client_sends() {
        use PacketError::*;
        for (text, error) in [
            ("", Kind),
            ("7", Kind),
            ("x", Kind),
            ("4{\"message\":\"x\"}", Kind),
            ("0[]", Payload),
            ("0null", Payload),
            ("0{", Payload),
            ("1[]", Payload),
            ("2", Payload),
            ("2[]", Payload),
            ("2{}", Payload),
            ("2[true]", Payload),
            ("2[\"a\"]x", Payload),
            ("2[{\"a\":1}]", Payload),
            ("3[]", AckId),
            ("3-1[]", AckId),
            ("31{}", Payload),
            ("218446744073709551616[\"a\"]", AckId),
            ("5[\"a\"]", Attachments),
            ("5-[\"a\"]", Attachments),
            ("511-[\"a\"]", Attachments),
            ("51.5-[\"a\"]", Attachments),
            ("599999999999999999999999-[\"a\"]", Attachments),
            ("51-[\"a\",{\"_placeholder\":true,\"num\":1}]", Placeholder),
            (
                "51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]",
                Placeholder,
            ),
            ("50-[\"a\"]", Attachments),
            ("60-1[]", Attachments),
            ("61-1[{\"_placeholder\":true,\"num\":-1}]", Placeholder),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        for name in RESERVED {
            assert_eq!(read(&format!("2[\"{name}\"]")), Err(ReservedName), "{name}");
        }
        assert_eq!(
            read("2[\"disc\\u006fnnect\"]"),
            Err(ReservedName),
            "an escape hides nothing"
        );
        assert!(read("218446744073709551615[\"a\"]").is_ok());
        assert!(read("510-[\"a\"]").is_ok());
    }

    proptest! {
        #[test]
        fn never_panics(text: String) {
            let _ = read(&text);
        }

        #[test]
        fn never_panics_on_what_looks_right(text in "[0-6][0-9]{0,2}-?(/[a-z]{0,3},)?[0-9]{0,21}[\\[{\"a-z:,}\\]0-9_]{0,20}") {
            let _ = read(&text);
        }

        #[test]
        fn round_trip(name in "[^\\x00-\\x1f]{1,12}", namespace in "/[a-z]{0,6}", ack: Option<u64>, arg: String) {
            prop_assume!(!RESERVED.contains(&name.as_str()));
            let arg = serde_json::to_string(&arg).unwrap();
            let packet = crate::Packet::encode_event(&namespace, ack, &name, &arg, &[]);
            let mut payload = Vec::new();
            crate::packet::append_payload(&mut payload, &packet.into_frames());
            let payload = String::from_utf8(payload).unwrap();
            let Ok(Incoming::Event { namespace: read_namespace, ack: read_ack, text, parts, .. }) = read(&payload[1..]) else {
                panic!("{payload}");
            };
            prop_assert_eq!(read_namespace, namespace);
            prop_assert_eq!(read_ack, ack);
            prop_assert_eq!(&text[parts.args.clone()], arg);
            prop_assert_eq!(parts.escaped_name.as_deref().unwrap_or(&text[parts.name]), name);
        }
    }
}

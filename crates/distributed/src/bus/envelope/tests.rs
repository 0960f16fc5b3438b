use super::*;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Change, DetailsChange, Extras, MembersChange, MessageAction, Quote};
use lamplight_domain::file::Attachment;
use lamplight_domain::identity::FileId;
use lamplight_domain::permission::Role;

fn writer() -> Writer {
    Writer::new(0x00c0_ffee_0000_0001, "a\"b:3000")
}

fn written(form: Form, number: u64, event: &Event) -> Vec<u8> {
    let mut payload = Vec::new();
    assert!(writer().event(form, number, event, &mut payload));
    payload
}

fn lost(form: Form, number: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    writer().lost(form, number, &mut payload);
    payload
}

fn members() -> Members {
    ["ann", "bo\"b", "cé"].map(UserId::trusted).into()
}

fn entry(kind: EntryKind) -> Arc<Entry> {
    Arc::new(Entry {
        id: MessageId::trusted("m1"),
        conversation: ConversationId::trusted("c1"),
        seq: 7,
        sender: UserId::trusted("ann"),
        client_message_id: Some("k\\1".into()),
        kind,
        created_at: Timestamp(1_700_000_000_123),
    })
}

fn answer() -> Extras {
    Extras {
        reply_to: Some(Quote {
            id: MessageId::trusted("m0"),
            seq: 3,
            sender: UserId::trusted("cé"),
            excerpt: "what it \"said\"".into(),
        }),
        mentions: vec![UserId::trusted("ann")],
        attachments: vec![Attachment {
            id: FileId::trusted("f"),
            name: "né.png".into(),
            media_type: "image/png".into(),
            size: 1,
            dimensions: None,
            has_thumbnail: false,
            blur_hash: Some("LEHV6nWB2yk8".into()),
            duration_ms: Some(1_500),
        }],
    }
}

fn change(action: MessageAction) -> Arc<Entry> {
    entry(EntryKind::Change(Box::new(Change {
        message: MessageId::trusted("m0"),
        message_seq: 3,
        action,
    })))
}

fn events() -> Vec<Event> {
    let conversation = ConversationId::trusted("c1");
    let content = Content::trusted("hi \u{1f600} \"there\"\n");
    vec![
        Event::Appended {
            entry: entry(EntryKind::message(content)),
            to: members(),
            newcomers: [].into(),
            except: Some(ConnectionId::trusted("s1")),
        },
        Event::Appended {
            entry: entry(EntryKind::Unknown),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: entry(EntryKind::Message {
                content: Content::trusted("an answer"),
                extras: answer().boxed(),
            }),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: change(MessageAction::Edit {
                content: Content::trusted("bet\u{0}ter \"\n\u{1f600}"),
                mentions: vec![UserId::trusted("bo\"b")],
            }),
            to: members(),
            newcomers: [].into(),
            except: Some(ConnectionId::trusted("s1")),
        },
        Event::Appended {
            entry: change(MessageAction::Delete),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: change(MessageAction::React {
                emoji: Emoji::trusted("👍🏽"),
                added: false,
            }),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: change(MessageAction::Pin { pinned: true }),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Typing {
            conversation: conversation.clone(),
            user: UserId::trusted("ann"),
            is_typing: true,
            expires_at: Timestamp(5),
            to: members(),
        },
        Event::Receipt {
            conversation: conversation.clone(),
            receipt: Receipt {
                user: UserId::trusted("ann"),
                delivered_seq: 9,
                read_seq: 8,
            },
            delivers: true,
            to: members(),
        },
        Event::ConversationChanged {
            conversation,
            to: members(),
        },
        Event::SignedOut {
            user: UserId::trusted("ann"),
            credential: "secret".into(),
            is_stored: false,
        },
        Event::SignedOutEverywhere {
            user: UserId::trusted("ann"),
            until: Timestamp(1_700_000_000_123),
        },
        Event::Appended {
            entry: change(MessageAction::Delete),
            to: members(),
            newcomers: [UserId::trusted("bo\"b")].into(),
            except: None,
        },
        Event::Appended {
            entry: entry(EntryKind::Members(Box::new(MembersChange {
                added: vec![UserId::trusted("n\"")],
                removed: vec![UserId::trusted("r")],
                roles: vec![(UserId::trusted("ann"), Role::Owner)],
            }))),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: entry(EntryKind::Details(DetailsChange {
                name: Some(Some("N \"1\"".into())),
                avatar_url: Some(None),
            })),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::BlockersChanged {
            user: UserId::trusted("ann"),
        },
        Event::TypingEnds {
            between: ["ann", "bé"].map(UserId::trusted),
            is_published: true,
        },
        Event::Sharing {
            user: UserId::trusted("cé"),
            file: FileId::trusted("f"),
            is_active: true,
        },
        Event::UploadWanted {
            file: FileId::trusted("f"),
            by: "a process".into(),
        },
    ]
}

#[test]
fn every_event_round_trips() {
    for form in [Form::Json, Form::Compact] {
        for event in events() {
            let payload = written(form, 42, &event);
            let head = Head {
                run: 0x00c0_ffee_0000_0001,
                number: 42,
            };
            assert_eq!(peek(&payload), Some(head));
            let Contents::Event(read) = decode(&payload).expect("it is well-formed") else {
                panic!("no event");
            };
            assert_eq!(format!("{read:?}"), format!("{event:?}"));
        }
        let lost = lost(form, 43);
        assert_eq!(peek(&lost).map(|head| head.number), Some(43));
        assert!(matches!(decode(&lost), Ok(Contents::Lost)));
    }
}

/// In hexadecimal, but for printable characters between quotes.
fn shown(payload: &[u8]) -> String {
    let mut text = String::new();
    let mut is_quoted = false;
    for byte in payload {
        let is_printable = matches!(byte, b' '..=b'~') && *byte != b'\'';
        if is_printable != is_quoted {
            text.push('\'');
            is_quoted = is_printable;
        }
        match is_printable {
            true => text.push(char::from(*byte)),
            false => text += &format!("{byte:02x}"),
        }
    }
    text
}

#[test]
fn a_receipt_records_that_only_the_read_mark_moved() {
    for form in [Form::Json, Form::Compact] {
        for delivers in [true, false] {
            let event = Event::Receipt {
                conversation: ConversationId::trusted("c1"),
                receipt: Receipt {
                    user: UserId::trusted("ann"),
                    delivered_seq: 9,
                    read_seq: 9,
                },
                delivers,
                to: members(),
            };
            let read = decode(&written(form, 1, &event));
            assert!(
                matches!(read, Ok(Contents::Event(Event::Receipt { delivers: found, .. })) if found == delivers),
                "{form:?} {delivers}"
            );
        }
    }
}

#[test]
fn c15_the_form_of_version_2_does_not_change() {
    let mut all: Vec<String> = events()
        .iter()
        .map(|event| shown(&written(Form::Compact, 300, event)))
        .collect();
    all.push(shown(&lost(Form::Compact, 1)));
    let expected: Vec<&str> = include_str!("version2.txt").lines().collect();
    assert_eq!(all, expected);
}

#[test]
fn c15_the_form_of_version_1_does_not_change() {
    let written: Vec<String> = events()
        .iter()
        .map(|event| String::from_utf8(written(Form::Json, 1, event)).unwrap())
        .collect();
    let head = r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a\"b:3000","kind":"#;
    let to = r#""to":["ann","bo\"b","cé"]}"#;
    assert_eq!(
        written[0],
        format!(
            r#"{head}"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","client_message_id":"k\\1","content":"hi 😀 \"there\"\n","created_at":1700000000123}},"except":"s1",{to}"#
        )
    );
    assert_eq!(
        written[2],
        format!(
            r#"{head}"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","client_message_id":"k\\1","content":"an answer","extras":"{{\"reply_to\":{{\"id\":\"m0\",\"seq\":3,\"sender\":\"cé\",\"excerpt\":\"what it \\\"said\\\"\"}},\"mentions\":[\"ann\"],\"files\":[{{\"id\":\"f\",\"name\":\"né.png\",\"type\":\"image/png\",\"size\":1,\"blur_hash\":\"LEHV6nWB2yk8\",\"duration\":1500}}]}}","created_at":1700000000123}},{to}"#
        )
    );
    assert_eq!(
        written[6],
        format!(
            r#"{head}"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","client_message_id":"k\\1","kind":"pin","record":"{{\"message\":\"m0\",\"seq\":3,\"on\":true}}","created_at":1700000000123}},{to}"#
        )
    );
    assert_eq!(
        written[8],
        format!(
            r#"{head}"receipt","conversation":"c1","user":"ann","delivered_seq":9,"read_seq":8,{to}"#
        )
    );
    assert_eq!(
        written.last().unwrap(),
        &format!(r#"{head}"upload_wanted","file":"f","by":"a process"}}"#)
    );
    assert_eq!(
        written[10],
        format!(r#"{head}"signed_out","user":"ann","credential":"secret","is_stored":false}}"#)
    );
}

#[test]
fn c15_other_versions_kinds_and_fields_are_skipped() {
    // A later version may change every other field.
    for payload in [
        r#"{"v":2}"#,
        r#"{"v":2,"run":7,"n":"x","kind":["appended"]}"#,
        r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"reaction","emoji":"x"}"#,
    ] {
        let read = decode(payload.as_bytes());
        assert!(matches!(read, Ok(Contents::Unknown)), "{read:?}");
    }
    assert_eq!(peek(br#"{"v":2,"run":"00c0ffee00000001","n":1}"#), None);

    let more = r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"conversation","urgent":{"x":[1]},"conversation":"c1","to":["ann"]}"#;
    assert_eq!(peek(more.as_bytes()).map(|head| head.number), Some(1));
    let read = decode(more.as_bytes());
    assert!(matches!(
        read,
        Ok(Contents::Event(Event::ConversationChanged { .. }))
    ));

    // Fields in another order are no other version.
    let reordered = r#"{"n":1,"v":1,"run":"00c0ffee00000001","kind":"lost","node":"a"}"#;
    assert_eq!(peek(reordered.as_bytes()), None);
    assert!(matches!(decode(reordered.as_bytes()), Ok(Contents::Lost)));
}

/// The entry as the first versions read it.
#[derive(Deserialize)]
struct FirstFields {
    seq: u64,
    content: Option<String>,
}

#[test]
fn c15_the_first_versions_read_messages_and_ignore_other_kinds() {
    let mut contents = Vec::new();
    for event in &events()[..7] {
        let payload = written(Form::Json, 1, event);
        let envelope: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        let entry = envelope["entry"].clone();
        let entry: FirstFields = serde_json::from_value(entry).expect("an entry");
        assert_eq!(entry.seq, 7);
        contents.push(entry.content);
    }
    let shown: Vec<_> = contents.iter().map(Option::is_some).collect();
    assert_eq!(shown, [true, false, true, false, false, false, false]);
    // A kind of a later version, and a record that this version cannot read.
    for (kind, record) in [("poll", "{}"), ("pin", "nonsense")] {
        let payload = format!(
            r#"{{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","kind":"{kind}","record":"{record}","created_at":1}},"to":["ann"]}}"#
        );
        let read = decode(payload.as_bytes());
        let Ok(Contents::Event(Event::Appended { entry, .. })) = read else {
            panic!("{read:?}");
        };
        assert_eq!(entry.kind, EntryKind::Unknown);
    }
}

#[test]
fn malformed_envelopes_are_errors_without_a_panic() {
    for payload in [
        "",
        "{",
        "[]",
        "{\"v\":1}",
        "\u{1}\u{2}",
        r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"appended","conversation":"c1"}"#,
        r#"{"v":1,"run":"00c0ffee00000001","n":-1,"node":"a","kind":"lost"}"#,
        r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"typing","to":7}"#,
    ] {
        assert!(decode(payload.as_bytes()).is_err(), "{payload}");
    }
    for payload in [
        "{\"v\":1,\"run\":\"00c0ffee0000000",
        "{\"v\":1,\"run\":\"00c0ffee0000000é",
        "{\"v\":1,\"run\":\"00c0ffee00000001\",\"n\":",
        "{\"v\":1,\"run\":\"00c0ffee00000001\",\"n\":99999999999999999999999,",
        "{\"v\":1,\"run\":\"00c0ffee00000001\",\"n\":x,",
    ] {
        assert_eq!(peek(payload.as_bytes()), None, "{payload}");
    }
}

#[test]
fn summaries_join_what_follows() {
    let mut summary = Summary::new();
    for (conversation, seq) in [("a", 1), ("b", 5), ("a", 2), ("a", 4), ("b", 6)] {
        summary.add(conversation, seq);
    }
    let expected = [("a", 1, 2), ("b", 5, 6), ("a", 4, 4)];
    for form in [Form::Json, Form::Compact] {
        let payload = summary.encode(form);
        let read = Summary::decode(&payload).expect("a known version");
        assert_eq!(
            read.entries,
            expected.map(|(conversation, first, last)| (conversation.into(), first, last))
        );
    }
    let bytes = summary.encode(Form::Compact);
    assert_eq!(
        shown(&bytes),
        "0203 01'a'0101 01'b'0501 01'a'0400".replace(' ', "")
    );
    for end in 0..bytes.len() {
        assert!(Summary::decode(&bytes[..end]).is_none(), "{end}");
    }
    assert!(Summary::decode(br#"{"v":2,"entries":[["a",1,1]]}"#).is_none());
    assert!(Summary::decode(b"x").is_none());
}

#[test]
fn c15_later_additions_to_version_2_are_skipped() {
    for event in events() {
        let mut payload = written(Form::Compact, 1, &event);
        payload.extend_from_slice(b"\x05later");
        let Ok(Contents::Event(read)) = decode(&payload) else {
            panic!("{event:?}");
        };
        assert_eq!(format!("{read:?}"), format!("{event:?}"));
    }
    // Another kind, and another version.
    let mut payload = lost(Form::Compact, 1);
    *payload.last_mut().expect("a kind") = 200;
    assert!(matches!(decode(&payload), Ok(Contents::Unknown)));
    payload[0] = 3;
    assert!(matches!(decode(&payload), Ok(Contents::Unknown)));
    assert_eq!(peek(&payload), None);
    // Another kind of entry.
    let of_entry = &events()[1];
    let mut payload = written(Form::Compact, 1, of_entry);
    *payload.last_mut().expect("the kind of an entry") = 99;
    let Ok(Contents::Event(Event::Appended { entry, .. })) = decode(&payload) else {
        panic!("no event");
    };
    assert_eq!((entry.seq, &entry.kind), (7, &EntryKind::Unknown));
}

#[test]
fn a_part_of_an_envelope_is_malformed() {
    for event in events() {
        let payload = written(Form::Compact, 1, &event);
        for end in 1..payload.len() {
            assert!(decode(&payload[..end]).is_err(), "{event:?} up to {end}");
        }
    }
    // The list of receivers claims to be longer than memory, and its place of the sender too.
    for garbage in ["ff", "ffffffffffffffffff01", "ffffffffffffffffff7f", "80"] {
        let mut payload = written(Form::Compact, 1, &events()[0]);
        payload.truncate(11);
        let bytes = (0..garbage.len()).step_by(2);
        payload.extend(bytes.map(|at| u8::from_str_radix(&garbage[at..at + 2], 16).unwrap()));
        assert!(decode(&payload).is_err(), "{garbage}");
    }
}

mod any {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Decoding any bytes does not panic, and allocates no more than the payload's size
        /// justifies.
        #[test]
        fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..12) {
            let _ = (peek(&bytes), decode(&bytes).is_ok(), Summary::decode(&bytes).is_some());
            let mut payload = lost(Form::Compact, 7);
            *payload.last_mut().expect("a kind") = kind;
            payload.extend_from_slice(&bytes);
            let _ = decode(&payload);
            let mut summary = vec![2];
            summary.extend_from_slice(&bytes);
            let _ = Summary::decode(&summary);
        }

        /// An envelope with one byte changed is read as something or refused.
        #[test]
        fn a_changed_byte_causes_no_panic(which in 0_usize..64, at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let all = events();
            let mut payload = written(Form::Compact, 1, &all[which % all.len()]);
            let at = at.index(payload.len());
            payload[at] = to;
            let _ = (peek(&payload), decode(&payload).is_ok());
        }

        #[test]
        fn any_message_round_trips(
            ids in prop::collection::vec("\\PC{1,20}", 4..5),
            to in prop::collection::vec("\\PC{1,12}", 0..20),
            content in "\\PC*",
            seq in any::<u64>(),
            number in any::<u64>(),
            created_at in any::<i64>(),
            except in prop::option::of("[a-z0-9]{1,20}"),
        ) {
            let event = Event::Appended {
                entry: Arc::new(Entry {
                    id: MessageId::trusted(&*ids[0]),
                    conversation: ConversationId::trusted(&*ids[1]),
                    seq,
                    sender: UserId::trusted(to.first().unwrap_or(&ids[2]).as_str()),
                    client_message_id: Some(ids[3].as_str().into()),
                    kind: EntryKind::message(Content::trusted(content)),
                    created_at: Timestamp(created_at),
                }),
                to: to.iter().map(|user| UserId::trusted(&**user)).collect(),
                newcomers: [].into(),
                except: except.as_deref().map(ConnectionId::trusted),
            };
            let payload = written(Form::Compact, number, &event);
            prop_assert_eq!(peek(&payload).map(|head| head.number), Some(number));
            let Ok(Contents::Event(read)) = decode(&payload) else {
                return Err(TestCaseError::fail("no event"));
            };
            prop_assert_eq!(format!("{read:?}"), format!("{event:?}"));
        }
    }
}

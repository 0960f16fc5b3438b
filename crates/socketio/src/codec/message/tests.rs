use super::*;
use bytes::BytesMut;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    max_payload: 1000,
    max_fragments: 8,
};

fn client(frames: &[(bool, OpCode, &[u8])]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for (fin, opcode, payload) in frames {
        frame::encode_client(&mut out, *fin, *opcode, payload, [1, 2, 3, 4]);
    }
    out.to_vec()
}

fn read(frames: &[(bool, OpCode, &[u8])]) -> Result<Vec<String>, FrameError> {
    let mut seen = Vec::new();
    let mut bytes = client(frames);
    let mut each = |message: Message<'_>| {
        seen.push(format!("{message:?}"));
        ControlFlow::Continue(())
    };
    Reader::default()
        .feed(&mut bytes, LIMITS, &mut each)
        .map(|_| seen)
}

#[test]
fn puts_fragments_together_around_control_frames() {
    let seen = read(&[
        (false, OpCode::Text, b"a"),
        (true, OpCode::Ping, b"p"),
        (false, OpCode::Continuation, b""),
        (true, OpCode::Continuation, b"b"),
        (true, OpCode::Binary, &[7]),
        (true, OpCode::Close, &[0x03, 0xE8]),
    ]);
    assert_eq!(
        seen.unwrap(),
        ["Ping([112])", "Text(\"ab\")", "Binary([7])", "Close(1000)"].map(String::from)
    );
}

#[test]
fn refuses_what_breaks_the_rules() {
    let refused = |frames: &[(bool, OpCode, &[u8])]| read(frames).unwrap_err();
    assert_eq!(
        refused(&[(true, OpCode::Continuation, b"a")]),
        FrameError::Protocol
    );
    assert_eq!(
        refused(&[(false, OpCode::Text, b"a"), (true, OpCode::Text, b"a")]),
        FrameError::Protocol
    );
    assert_eq!(refused(&[(true, OpCode::Text, b"\xFF")]), FrameError::Utf8);
    assert_eq!(
        refused(&[
            (false, OpCode::Text, b"\xC3"),
            (true, OpCode::Continuation, b"x")
        ]),
        FrameError::Utf8
    );
    assert_eq!(
        refused(&[(true, OpCode::Close, b"\x03")]),
        FrameError::Protocol
    );
    assert_eq!(
        refused(&[(true, OpCode::Close, &[0x03, 0xED])]),
        FrameError::Protocol,
        "1005 is never sent"
    );
    assert_eq!(
        refused(&[(true, OpCode::Close, &[0x03, 0xE8, 0xFF])]),
        FrameError::Utf8
    );
    let flood = [(false, OpCode::Continuation, &b""[..]); 8];
    assert_eq!(
        refused(&[&[(false, OpCode::Text, &b""[..])], &flood[..]].concat()),
        FrameError::TooBig
    );
    let long = [1; 600];
    assert_eq!(
        refused(&[
            (false, OpCode::Binary, &long),
            (false, OpCode::Continuation, &long)
        ]),
        FrameError::TooBig
    );
    assert!(
        read(&[
            (false, OpCode::Text, b"\xC3"),
            (true, OpCode::Continuation, b"\xA9")
        ])
        .is_ok()
    );
}

#[test]
fn a_text_that_is_none_is_refused_at_its_first_wrong_byte() {
    // The code point after the last one: wrong at its second byte.
    let text = b"\xCE\xBA\xE1\xBD\xB9\xF4\x90\x80\x80edited";
    let bytes = client(&[
        (false, OpCode::Text, &text[..3]),
        (true, OpCode::Continuation, &text[3..]),
    ]);
    let mut reader = Reader::default();
    let refused_at = bytes.iter().position(|byte| {
        reader
            .feed(&mut [*byte], LIMITS, &mut |_| ControlFlow::Continue(()))
            .is_err()
    });
    // Behind two headers of six bytes.
    assert_eq!(refused_at, Some(12 + 6));
    let cut = [
        (false, OpCode::Text, &text[..4]),
        (true, OpCode::Continuation, b""),
    ];
    assert_eq!(
        read(&cut),
        Err(FrameError::Utf8),
        "an end within a character"
    );
}

#[test]
fn a_long_frame_announced_takes_no_memory_before_it_comes() {
    let mut reader = Reader::default();
    let limits = Limits {
        max_payload: 1 << 30,
        max_fragments: 8,
    };
    let mut start = *b"\x82\xFF\x00\x00\x00\x00\x3F\xFF\xFF\xFF\0\0\0\0abc";
    assert!(
        reader
            .feed(&mut start, limits, &mut |_| ControlFlow::Continue(()))
            .is_ok()
    );
    assert!(reader.buffered() < 100, "{}", reader.buffered());
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_messages_are_read_like_others() {
    use crate::codec::deflate;
    let text = "é".repeat(400);
    let message = deflate::message(OpCode::Text, text.as_bytes(), 6).unwrap();
    let not_utf8 = deflate::message(OpCode::Text, &[0xC3; 300], 6).unwrap();
    let bomb = deflate::message(OpCode::Binary, &[0; 1001], 6).unwrap();
    let read = |frames: &[(u8, &[u8])]| {
        let mut bytes = Vec::new();
        for (first, payload) in frames {
            let start = bytes.len();
            bytes.extend_from_slice(&client(&[(true, OpCode::Text, payload)]));
            bytes[start] = *first;
        }
        let mut seen = Vec::new();
        let mut each = |message: Message<'_>| {
            seen.push(match message {
                Message::Text(text) => text.to_owned(),
                other => format!("{other:?}"),
            });
            ControlFlow::Continue(())
        };
        Reader::default()
            .feed_compressed(&mut bytes, LIMITS, &mut each)
            .map(|_| seen)
    };
    let (start, end) = message.split_at(3);
    assert_eq!(
        read(&[(0xC1, &message), (0x81, b"plain")]),
        Ok(vec![text.clone(), "plain".to_owned()])
    );
    assert_eq!(
        read(&[
            (0x41, start),
            (0x89, b"p"),
            (0x00, b""),
            (0x80, end),
            (0xC2, &[0])
        ]),
        Ok(vec![
            "Ping([112])".to_owned(),
            text,
            "Binary([])".to_owned()
        ])
    );
    assert_eq!(read(&[(0xC1, &not_utf8)]), Err(FrameError::Utf8));
    assert_eq!(read(&[(0xC2, &bomb)]), Err(FrameError::TooBig));
    assert_eq!(read(&[(0xC1, b"")]), Err(FrameError::Deflate));
    assert_eq!(
        read(&[(0x41, start), (0xC0, end)]),
        Err(FrameError::Protocol),
        "said again by a continuation"
    );
    assert_eq!(read(&[(0xC9, b"p")]), Err(FrameError::Protocol));
    let plain = Reader::default().feed(&mut [0xC1, 0x81, 0, 0, 0, 0, 0], LIMITS, &mut |_| {
        ControlFlow::Continue(())
    });
    assert_eq!(plain, Err(FrameError::Protocol), "never agreed on");
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        messages in proptest::collection::vec((any::<bool>(), "[ -~é]{0,200}"), 1..6),
        cuts in proptest::collection::vec(1usize..40, 1..40),
        stop: bool,
    ) {
        let frames: Vec<_> = messages.iter().map(|(binary, text)| {
            (true, if *binary { OpCode::Binary } else { OpCode::Text }, text.as_bytes())
        }).collect();
        let mut bytes = client(&frames);
        let mut reader = Reader::default();
        let mut seen = Vec::new();
        let mut each = |message: Message<'_>| {
            seen.push(match message {
                Message::Text(text) => (false, text.to_owned()),
                Message::Binary(data) => (true, String::from_utf8(data.to_vec()).unwrap()),
                other => panic!("{other:?}"),
            });
            if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut rest = &mut bytes[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at_mut((*cuts.next().unwrap()).min(rest.len()));
            let mut flow = reader.feed(piece, LIMITS, &mut each).unwrap();
            while flow.is_break() {
                flow = reader.feed(&mut [], LIMITS, &mut each).unwrap();
            }
            rest = after;
        }
        prop_assert_eq!(seen, messages);
        prop_assert_eq!(reader.buffered(), 0);
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        let mut bytes = bytes;
        let cut = cut.min(bytes.len());
        let (one, two) = bytes.split_at_mut(cut);
        let mut reader = Reader::default();
        let mut each = |_: Message<'_>| ControlFlow::Continue(());
        if reader.feed(one, LIMITS, &mut each).is_ok() {
            let _ = reader.feed(two, LIMITS, &mut each);
        }
    }
}

//! RFC 6455, in the order of the Autobahn test suite, whose case numbers are in the test names. The
//! server echoes Engine.IO messages: text after its `4`, and binary data as it is.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Echo, Fixture, Got, WEBSOCKET, Ws, config, expect_no_connections, serve};
use socketio::{
    EngineConnection, EngineHandler, EngineMessage, SocketIo,
    codec::frame::{self, OpCode},
};
use tokio::time::timeout;

struct EngineEcho;

impl EngineHandler for EngineEcho {
    fn message(&self, connection: &EngineConnection, message: EngineMessage) {
        let _ = connection.send(&message);
    }
}

async fn start() -> Fixture {
    serve(
        SocketIo::builder(config()).engine(EngineEcho).build(),
        Echo::default(),
    )
    .await
}

async fn open(fixture: &Fixture) -> Ws {
    let mut ws = Ws::connect(fixture.addr, WEBSOCKET).await;
    assert!(ws.text().await.starts_with('0'));
    ws
}

fn frames(frames: &[(bool, OpCode, &[u8])]) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    for (fin, opcode, payload) in frames {
        frame::encode_client(&mut out, *fin, *opcode, payload, [9, 8, 7, 6]);
    }
    out.to_vec()
}

/// Sends bytes in pieces, each in its own TCP segment as far as the system allows.
async fn send_in_pieces(ws: &mut Ws, bytes: &[u8], piece: usize) {
    for piece in bytes.chunks(piece) {
        ws.raw(piece).await;
        tokio::task::yield_now().await;
    }
}

/// Asserts that a frame is refused with this code, after earlier messages were answered.
async fn refused(fixture: &Fixture, bytes: &[u8], code: u16, what: &str) {
    for piece in [1, usize::MAX] {
        let mut ws = open(fixture).await;
        ws.send("4before").await;
        send_in_pieces(&mut ws, bytes, piece).await;
        ws.frame(true, OpCode::Ping, b"after").await;
        assert_eq!(ws.text().await, "4before", "{what}");
        assert_eq!(ws.next().await, Got::Close(code), "{what}");
        assert_eq!(ws.next().await, Got::Eof, "{what}");
    }
}

#[tokio::test]
async fn texts_and_bytes_of_every_length_come_back_1_and_9() {
    let fixture = start().await;
    let mut ws = open(&fixture).await;
    for length in [
        0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 999_999,
    ] {
        let text = format!("4{}", "*".repeat(length));
        ws.send(&text).await;
        assert!(ws.text().await == text, "{length}");
        let data = vec![0xFE; length];
        ws.send_binary(&data).await;
        assert!(ws.next().await == Got::Binary(data), "{length}");
    }
    for piece in [1, 63, 997] {
        let text = format!("4{}", "é".repeat(2_000));
        send_in_pieces(
            &mut ws,
            &frames(&[(true, OpCode::Text, text.as_bytes())]),
            piece,
        )
        .await;
        assert_eq!(ws.text().await, text);
    }
}

#[tokio::test]
async fn pings_are_answered_in_order_with_their_payloads_2() {
    let fixture = start().await;
    let mut ws = open(&fixture).await;
    for data in [&b""[..], b"Hello", &[0, 0xFF, 0xFE, 0xFD], &[0xFE; 125]] {
        for piece in [1, usize::MAX] {
            send_in_pieces(&mut ws, &frames(&[(true, OpCode::Ping, data)]), piece).await;
            assert_eq!(ws.next().await, Got::Pong(data.to_vec()));
        }
    }
    let ten: Vec<String> = (0..10).map(|number| format!("ping {number}")).collect();
    let all: Vec<_> = ten
        .iter()
        .map(|ping| (true, OpCode::Ping, ping.as_bytes()))
        .collect();
    ws.raw(&frames(&all)).await;
    for ping in ten {
        assert_eq!(ws.next().await, Got::Pong(ping.into_bytes()));
    }
    // Unsolicited pongs are ignored.
    ws.raw(&frames(&[
        (true, OpCode::Pong, b""),
        (true, OpCode::Pong, b"unasked"),
        (true, OpCode::Ping, b"asked"),
    ]))
    .await;
    assert_eq!(ws.next().await, Got::Pong(b"asked".to_vec()));
    refused(
        &fixture,
        &[0x89, 0xFE, 0, 126, 0, 0, 0, 0],
        1002,
        "a ping of 126 bytes",
    )
    .await;
}

#[tokio::test]
async fn reserved_bits_and_opcodes_are_refused_after_valid_messages_3_and_4() {
    let fixture = start().await;
    for rsv in 1..=7u8 {
        refused(
            &fixture,
            &[0x81 | rsv << 4, 0x80, 0, 0, 0, 0],
            1002,
            &format!("reserved bits {rsv}"),
        )
        .await;
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        refused(
            &fixture,
            &[0x80 | opcode, 0x80, 0, 0, 0, 0],
            1002,
            &format!("opcode {opcode}"),
        )
        .await;
        refused(
            &fixture,
            &[0x80 | opcode, 0x81, 0, 0, 0, 0, b'4'],
            1002,
            &format!("opcode {opcode} with a payload"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_message_in_fragments_comes_back_whole_5() {
    let fixture = start().await;
    let mut ws = open(&fixture).await;
    let cases: &[(&[&[u8]], &str)] = &[
        (&[b"4fragment1", b"fragment2"], "4fragment1fragment2"),
        (&[b"4", b"", b"x", b""], "4x"),
        (&[b"", b"", b"4"], "4"),
        (
            "4κόσμε".as_bytes().chunks(1).collect::<Vec<_>>().leak(),
            "4κόσμε",
        ),
    ];
    for (fragments, whole) in cases {
        for piece in [1, 3, usize::MAX] {
            let last = fragments.len() - 1;
            let list = fragments.iter().enumerate().map(|(at, fragment)| {
                (
                    at == last,
                    if at == 0 {
                        OpCode::Text
                    } else {
                        OpCode::Continuation
                    },
                    *fragment,
                )
            });
            let list: Vec<_> = list.collect();
            send_in_pieces(&mut ws, &frames(&list), piece).await;
            assert_eq!(ws.text().await, *whole);
        }
    }
    let large = vec![7; 500_000];
    for size in [64, 1_021, 65_536] {
        let chunks: Vec<_> = large.chunks(size.max(large.len() / 1_000)).collect();
        for (at, chunk) in chunks.iter().enumerate() {
            let opcode = if at == 0 {
                OpCode::Binary
            } else {
                OpCode::Continuation
            };
            ws.frame(at + 1 == chunks.len(), opcode, chunk).await;
        }
        assert!(ws.next().await == Got::Binary(large.clone()), "{size}");
    }
}

#[tokio::test]
async fn a_ping_between_fragments_is_answered_at_once_5() {
    let fixture = start().await;
    let mut ws = open(&fixture).await;
    ws.frame(false, OpCode::Text, b"4one").await;
    ws.frame(true, OpCode::Ping, b"first").await;
    assert_eq!(
        ws.next().await,
        Got::Pong(b"first".to_vec()),
        "before the message is whole"
    );
    ws.frame(false, OpCode::Continuation, b"two").await;
    ws.frame(true, OpCode::Pong, b"unasked").await;
    ws.frame(true, OpCode::Ping, b"second").await;
    assert_eq!(ws.next().await, Got::Pong(b"second".to_vec()));
    ws.frame(true, OpCode::Continuation, b"three").await;
    assert_eq!(ws.text().await, "4onetwothree");
}

#[tokio::test]
async fn fragments_out_of_order_are_refused_5() {
    let fixture = start().await;
    for (what, list) in [
        (
            "a ping in fragments",
            &[
                (false, OpCode::Ping, &b"a"[..]),
                (true, OpCode::Continuation, b"b"),
            ][..],
        ),
        (
            "a pong in fragments",
            &[
                (false, OpCode::Pong, b"a"),
                (true, OpCode::Continuation, b"b"),
            ],
        ),
        ("a close in fragments", &[(false, OpCode::Close, b"")]),
        (
            "a continuation of nothing",
            &[(true, OpCode::Continuation, b"4")],
        ),
        (
            "an unfinished continuation of nothing",
            &[
                (false, OpCode::Continuation, b"4"),
                (true, OpCode::Text, b"4"),
            ],
        ),
        (
            "a text within a text",
            &[(false, OpCode::Text, b"4"), (true, OpCode::Text, b"4")],
        ),
        (
            "bytes within a text",
            &[(false, OpCode::Text, b"4"), (false, OpCode::Binary, b"4")],
        ),
        (
            "a continuation behind the end",
            &[
                (false, OpCode::Binary, b""),
                (true, OpCode::Continuation, b""),
                (true, OpCode::Continuation, b""),
            ],
        ),
    ] {
        let mut ws = open(&fixture).await;
        ws.raw(&frames(list)).await;
        assert_eq!(ws.end().await, Some(1002), "{what}");
    }
    let mut ws = open(&fixture).await;
    ws.raw(b"\x81\x014").await;
    assert_eq!(ws.end().await, Some(1002), "no mask");
}

/// Each of these follows "4" in its own text message.
const VALID: &[&[u8]] = &[
    b"hello\x24world",
    b"hello\xC2\xA2world",
    b"hello\xE2\x82\xACworld",
    b"hello\xF0\xA4\xAD\xA2world",
    b"\x00",
    b"\xC2\x80",
    b"\xE0\xA0\x80",
    b"\xF0\x90\x80\x80",
    b"\x7F",
    b"\xDF\xBF",
    b"\xEF\xBF\xBF",
    b"\xF4\x8F\xBF\xBF",
    b"\xED\x9F\xBF",
    b"\xEE\x80\x80",
    b"\xEF\xBF\xBE",
];

const INVALID: &[&[u8]] = &[
    b"\xCE",
    b"\xE1\xBD",
    b"\xF8\x88\x80\x80\x80",
    b"\xFC\x84\x80\x80\x80\x80",
    b"\xF7\xBF\xBF\xBF",
    b"\xF4\x90\x80\x80",
    b"\x80",
    b"\x80\xBF\x80",
    b"\xC0\x20",
    b"\xE0\x80",
    b"\xDF",
    b"\xEF\xBF",
    b"\xFE",
    b"\xFF",
    b"\xC0\xAF",
    b"\xE0\x80\xAF",
    b"\xF0\x80\x80\xAF",
    b"\xC1\xBF",
    b"\xF0\x8F\xBF\xBF",
    b"\xC0\x80",
    b"\xED\xA0\x80",
    b"\xED\xBF\xBF",
    b"\xED\xA0\x80\xED\xB0\x80",
];

#[tokio::test]
async fn texts_are_utf8_in_any_fragmentation_6() {
    let fixture = start().await;
    let mut ws = open(&fixture).await;
    for valid in VALID {
        let text = [b"4", *valid].concat();
        let list = text.iter().enumerate().map(|(at, byte)| {
            (
                at + 1 == text.len(),
                if at == 0 {
                    OpCode::Text
                } else {
                    OpCode::Continuation
                },
                std::slice::from_ref(byte),
            )
        });
        let list: Vec<_> = list.collect();
        for bytes in [frames(&[(true, OpCode::Text, &text)]), frames(&list)] {
            ws.raw(&bytes).await;
            assert_eq!(ws.text().await.as_bytes(), text);
        }
    }
    for invalid in INVALID {
        let text = [b"4", *invalid].concat();
        refused(
            &fixture,
            &frames(&[(true, OpCode::Text, &text)]),
            1007,
            &format!("{invalid:02X?}"),
        )
        .await;
        let mut ws = open(&fixture).await;
        ws.raw(&frames(&[
            (false, OpCode::Text, b"4"),
            (true, OpCode::Continuation, invalid),
        ]))
        .await;
        assert_eq!(ws.end().await, Some(1007), "{invalid:02X?}");
    }
}

#[tokio::test]
async fn invalid_text_is_refused_before_it_ends_6_4() {
    let fixture = start().await;
    let good = "4κόσμε".as_bytes();
    // The message never ends, so only its beginning can be the reason.
    for last in [&b"\xF4\x90"[..], b"\xF4\x90\x80\x80edited"] {
        let mut ws = open(&fixture).await;
        ws.frame(false, OpCode::Text, good).await;
        ws.frame(true, OpCode::Ping, b"so far").await;
        assert_eq!(
            ws.next().await,
            Got::Pong(b"so far".to_vec()),
            "a good beginning"
        );
        ws.frame(false, OpCode::Continuation, last).await;
        assert_eq!(ws.end().await, Some(1007));

        let mut ws = open(&fixture).await;
        let whole = frames(&[(true, OpCode::Text, &[good, last, &[b'x'; 100]].concat())]);
        ws.raw(&whole[..6 + good.len()]).await;
        assert!(
            timeout(Duration::from_millis(40), ws.next()).await.is_err(),
            "a good beginning"
        );
        ws.raw(&whole[6 + good.len()..6 + good.len() + last.len()])
            .await;
        assert_eq!(ws.end().await, Some(1007));
    }
}

#[tokio::test]
async fn a_close_is_answered_and_later_frames_are_ignored_7_1() {
    let fixture = start().await;
    let close = 1000u16.to_be_bytes();
    for behind in [
        (true, OpCode::Text, &b"4late"[..]),
        (true, OpCode::Ping, b"late"),
        (true, OpCode::Close, &close),
        (false, OpCode::Text, b"4"),
    ] {
        let mut ws = open(&fixture).await;
        ws.raw(&frames(&[
            (true, OpCode::Text, b"4early"),
            (true, OpCode::Close, &close),
            behind,
        ]))
        .await;
        assert_eq!(ws.text().await, "4early");
        assert_eq!(ws.next().await, Got::Close(1000));
        assert_eq!(ws.next().await, Got::Eof);
    }
    let mut ws = open(&fixture).await;
    ws.raw(&frames(&[
        (false, OpCode::Text, b"4"),
        (true, OpCode::Close, &close),
        (true, OpCode::Continuation, b"late"),
    ]))
    .await;
    assert_eq!(
        ws.next().await,
        Got::Close(1000),
        "in the middle of a message too"
    );
    assert_eq!(ws.next().await, Got::Eof);
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn close_frames_are_read_to_their_last_byte_7_3_and_7_5() {
    let fixture = start().await;
    let with = |code: u16, reason: &[u8]| [&code.to_be_bytes()[..], reason].concat();
    for (payload, answer) in [
        (vec![], 1000),
        (vec![3], 1002),
        (with(1000, b""), 1000),
        (with(1000, b"Hello World!"), 1000),
        (with(1000, &[b'*'; 123]), 1000),
        (with(1000, "κόσμε".as_bytes()), 1000),
        (with(1000, b"\xCE\xBA\xE1\xBD\xB9\xED\xA0\x80edited"), 1007),
    ] {
        let mut ws = open(&fixture).await;
        ws.frame(true, OpCode::Close, &payload).await;
        assert_eq!(ws.end().await, Some(answer), "{payload:?}");
    }
    let mut ws = open(&fixture).await;
    ws.raw(&[0x88, 0xFE, 0, 126, 0, 0, 0, 0]).await;
    assert_eq!(ws.end().await, Some(1002), "a close of 126 bytes");
}

#[tokio::test]
async fn close_codes_that_may_be_sent_are_answered_with_the_same_and_others_refused_7_7_and_7_9() {
    let fixture = start().await;
    for code in [
        1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
        4000, 4999,
    ] {
        let mut ws = open(&fixture).await;
        ws.frame(true, OpCode::Close, &code.to_be_bytes()).await;
        assert_eq!(ws.end().await, Some(code));
    }
    for code in [
        0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let mut ws = open(&fixture).await;
        ws.frame(true, OpCode::Close, &code.to_be_bytes()).await;
        assert_eq!(ws.end().await, Some(1002), "{code}");
    }
    expect_no_connections(&fixture).await;
}

//! permessage-deflate (RFC 7692) on real connections.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;

use bytes::BytesMut;
use common::{
    Fixture, PATIENCE, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections,
    expect_served, start,
};
use socketio::{
    Config, Deflate, Packet, Recovery,
    codec::{
        deflate,
        frame::{self, OpCode},
    },
};
use tokio::{io::AsyncReadExt as _, time::timeout};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const AGREED: &str = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
const LIMIT: usize = 1_000_000;
/// First bytes of frames: a complete compressed message, the start of one, and its continuation.
const WHOLE: u8 = 0xC1;
const START: u8 = 0x41;
const REST: u8 = 0x00;
const LAST: u8 = 0x80;

fn compressing() -> Config {
    Config {
        deflate: Some(Deflate {
            threshold: 200,
            ..Deflate::default()
        }),
        max_payload: LIMIT,
        ..config()
    }
}

/// Opens a session and joins the main namespace.
async fn join(addr: SocketAddr, url: &str) -> Ws {
    let mut ws = Ws::try_connect(addr, url, OFFER).await.unwrap();
    assert!(ws.text().await.starts_with("0{\"sid\":"));
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{\"sid\":"));
    ws
}

fn compress(text: &str) -> Vec<u8> {
    deflate::message(OpCode::Text, text.as_bytes(), 6).unwrap()
}

async fn send(ws: &mut Ws, first: u8, payload: &[u8]) {
    let mut out = BytesMut::new();
    frame::encode_client(&mut out, true, OpCode::Text, payload, [1, 2, 3, 4]);
    out[0] = first;
    ws.raw(&out).await;
}

/// The next text, and whether it arrived compressed.
async fn next(ws: &mut Ws) -> (bool, String) {
    loop {
        let whole = frame::written_frames(&ws.buffer)
            .next()
            .map(|(opcode, compressed, data)| (opcode, compressed, data.to_vec()));
        if let Some((opcode, compressed, data)) = whole {
            assert_eq!(opcode, OpCode::Text);
            let _ = ws
                .buffer
                .split_to(frame::server_header(opcode, data.len()).1 + data.len());
            let data = if compressed {
                deflate::inflate(&data, LIMIT, |data| Ok(data.to_vec())).unwrap()
            } else {
                data
            };
            return (compressed, String::from_utf8(data).unwrap());
        }
        assert_ne!(
            timeout(PATIENCE, ws.stream.read_buf(&mut ws.buffer))
                .await
                .expect("a frame in time")
                .unwrap(),
            0
        );
    }
}

fn long() -> String {
    format!("\"{}\"", "é and again ".repeat(40))
}

#[tokio::test]
async fn compression_is_negotiated_if_offered_and_configured() {
    let fixture = start(compressing()).await;
    let head = |ws: Ws| ws.head.to_lowercase();
    assert!(
        head(
            Ws::try_connect(fixture.addr, WEBSOCKET, OFFER)
                .await
                .unwrap()
        )
        .contains(AGREED)
    );
    let window = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
    assert!(
        !head(
            Ws::try_connect(fixture.addr, WEBSOCKET, window)
                .await
                .unwrap()
        )
        .contains("extensions")
    );
    assert!(!head(Ws::connect(fixture.addr, WEBSOCKET).await).contains("extensions"));
    let plain = start(config()).await;
    assert!(
        !head(Ws::try_connect(plain.addr, WEBSOCKET, OFFER).await.unwrap()).contains("extensions")
    );
}

#[tokio::test]
async fn long_messages_are_compressed_both_ways_and_short_ones_are_not() {
    let fixture = start(compressing()).await;
    let mut ws = join(fixture.addr, WEBSOCKET).await;
    let long = long();
    let message = compress(&format!("42[\"message\",{long}]"));
    for _ in 0..2 {
        send(&mut ws, WHOLE, &message).await;
        assert_eq!(
            next(&mut ws).await,
            (true, format!("42[\"message-back\",{long}]"))
        );
    }
    ws.send("42[\"message\",1]").await;
    assert_eq!(
        next(&mut ws).await,
        (false, "42[\"message-back\",1]".to_owned())
    );
    let (start, rest) = message.split_at(7);
    send(&mut ws, START, start).await;
    ws.frame(true, OpCode::Ping, b"p").await;
    send(&mut ws, REST, b"").await;
    assert_eq!(ws.next().await, common::Got::Pong(b"p".to_vec()));
    send(&mut ws, LAST, rest).await;
    assert_eq!(
        next(&mut ws).await,
        (true, format!("42[\"message-back\",{long}]"))
    );
}

#[tokio::test]
async fn a_broadcast_reaches_clients_with_and_without_compression() {
    let fixture = start(compressing()).await;
    let (mut one, mut two, mut plain) = (
        join(fixture.addr, WEBSOCKET).await,
        join(fixture.addr, WEBSOCKET).await,
        Ws::join(fixture.addr).await,
    );
    let poller = Poller::join(fixture.addr).await;
    let text = format!("42[\"all\",{}]", long());
    fixture
        .io
        .of("/")
        .unwrap()
        .emit_packet(&Packet::event("/", "all", &long()));
    assert_eq!(next(&mut one).await, (true, text.clone()));
    assert_eq!(next(&mut two).await, (true, text.clone()));
    assert_eq!(next(&mut plain).await, (false, text.clone()));
    assert_eq!(poller.poll().await.body, text);
}

#[tokio::test]
async fn an_upgrade_may_negotiate_compression_and_compress_its_probe() {
    let fixture = start(compressing()).await;
    let poller = Poller::join(fixture.addr).await;
    let mut ws = Ws::try_connect(
        fixture.addr,
        &format!("{WEBSOCKET}&sid={}", poller.sid),
        OFFER,
    )
    .await
    .unwrap();
    assert!(ws.head.to_lowercase().contains(AGREED));
    // "2probe" as a plain message, and "5" as a compressed message with an uncompressed block.
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    send(&mut ws, WHOLE, &deflate::ending(b"5")).await;
    send(
        &mut ws,
        WHOLE,
        &compress(&format!("42[\"message\",{}]", long())),
    )
    .await;
    assert_eq!(
        next(&mut ws).await,
        (true, format!("42[\"message-back\",{}]", long()))
    );
}

#[tokio::test]
async fn a_socket_that_is_recovered_gets_its_offsets_compressed() {
    let recovery = Some(Recovery::default());
    let fixture = start(Config {
        recovery,
        ..compressing()
    })
    .await;
    let mut ws = Ws::try_connect(fixture.addr, &format!("{WEBSOCKET}&recovery=1"), OFFER)
        .await
        .unwrap();
    ws.text().await;
    ws.send("40").await;
    let answer: serde_json::Value = serde_json::from_str(&ws.text().await[2..]).unwrap();
    let mut offset = String::new();
    for number in 1..=3 {
        send(
            &mut ws,
            WHOLE,
            &compress(&format!("42[\"message\",{}]", long())),
        )
        .await;
        let (compressed, text) = next(&mut ws).await;
        let values: serde_json::Value = serde_json::from_str(&text[2..]).unwrap();
        offset = values[2].as_str().unwrap().to_owned();
        assert!(
            compressed && offset.starts_with(&format!("{number}.")),
            "{text}"
        );
    }
    drop(ws);
    expect_no_connections(&fixture).await;
    fixture
        .io
        .of("/")
        .unwrap()
        .emit_packet(&Packet::event("/", "missed", &long()));
    let socket = fixture.echo.sockets.lock()[0].clone();
    socket
        .emit_packet(&Packet::event("/", "missed", &long()))
        .unwrap();
    let mut ws = Ws::try_connect(fixture.addr, &format!("{WEBSOCKET}&recovery=1"), OFFER)
        .await
        .unwrap();
    ws.text().await;
    ws.send(&format!(
        "40{{\"pid\":{},\"offset\":\"{offset}\"}}",
        answer["pid"]
    ))
    .await;
    for number in 4..=5 {
        let (compressed, text) = next(&mut ws).await;
        assert!(
            compressed
                && text.starts_with("42[\"missed\"")
                && text.contains(&format!(",\"{number}.")),
            "{text}"
        );
    }
    assert_eq!(
        next(&mut ws).await.1,
        format!("40{{\"sid\":{},\"pid\":{}}}", answer["sid"], answer["pid"])
    );
}

/// Frames after which the connection is closed with this code.
async fn refused(fixture: &Fixture, frames: &[(u8, &[u8])], code: u16) {
    let mut ws = join(fixture.addr, WEBSOCKET).await;
    for (first, payload) in frames {
        send(&mut ws, *first, payload).await;
    }
    assert_eq!(ws.end().await, Some(code), "{frames:?}");
}

#[tokio::test]
async fn violations_are_refused() {
    let fixture = start(compressing()).await;
    let message = compress(&format!("42[\"message\",{}]", long()));
    refused(
        &fixture,
        &[(START, &message[..5]), (0xC0, &message[5..])],
        1002,
    )
    .await;
    refused(&fixture, &[(0xC9, b"p")], 1002).await;
    refused(&fixture, &[(0xE1, &message)], 1002).await;
    refused(&fixture, &[(WHOLE, &message[..9])], 1007).await;
    refused(&fixture, &[(WHOLE, b"")], 1007).await;
    refused(
        &fixture,
        &[(WHOLE, &deflate::ending(b"42[\"message\",\"\xC3\"]"))],
        1007,
    )
    .await;
    let mut plain = Ws::join(fixture.addr).await;
    send(&mut plain, WHOLE, &message).await;
    assert_eq!(plain.end().await, Some(1002), "never agreed on");
    expect_served(&fixture).await;
    expect_no_connections(&fixture).await;
}

/// Peak memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .unwrap()
        * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit() {
    let fixture = start(compressing()).await;
    // A gigabyte compressed to a megabyte: blocks that end at a byte boundary may follow each
    // other.
    let mut block = deflate::message(OpCode::Binary, &vec![0; LIMIT], 9).unwrap();
    block.extend_from_slice(&[0, 0, 0xFF, 0xFF]);
    let bomb = block.repeat(LIMIT / block.len());
    assert!(bomb.len() / block.len() > 900);
    let before = peak();
    for _ in 0..3 {
        refused(&fixture, &[(WHOLE, &bomb)], 1009).await;
        refused(
            &fixture,
            &[(START, &bomb[..LIMIT / 2]), (LAST, &bomb[LIMIT / 2..])],
            1009,
        )
        .await;
    }
    assert!(peak() - before < 48 << 20, "{} bytes", peak() - before);
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn polling_is_never_compressed() {
    let fixture = start(compressing()).await;
    let answer = common::request(fixture.addr, &format!("GET {POLLING}\r\n{OFFER}"), b"").await;
    assert!(
        answer.status == 200 && answer.header("sec-websocket-extensions").is_none(),
        "{answer:?}"
    );
}

//! npm `socket.io-msgpack-parser` on real connections.
#![cfg(feature = "msgpack")]
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{
    Fixture, Got, PATIENCE, POLLING, Poller, Ws, config, expect_no_connections, request, serve,
    start,
};
use socketio::{
    Config, EngineConnection, EngineHandler, EngineMessage, Packet, Parser, SocketIo,
    codec::{
        frame,
        msgpack::{self, Incoming},
    },
};

fn msgpack() -> Config {
    Config {
        parser: Parser::MsgPack,
        ..config()
    }
}

/// A packet as a client encodes it.
fn packet(kind: u8, data: &[u8]) -> Vec<u8> {
    let count = if data.is_empty() { 0x82 } else { 0x83 };
    let mut all = [&[count][..], b"\xA4type", &[kind], b"\xA3nsp\xA1/"].concat();
    if !data.is_empty() {
        all.extend_from_slice(b"\xA4data");
        all.extend_from_slice(data);
    }
    all
}

fn event(name: &str, args: &str, attachments: &[Bytes]) -> Vec<u8> {
    message(&Packet::binary_event("/", name, args, attachments))
}

fn message(packet: &Packet) -> Vec<u8> {
    let frames = msgpack::transcode(&packet.to_bytes());
    let all: Vec<_> = frame::server_frames(&frames)
        .map(|(_, data)| data.to_vec())
        .collect();
    assert_eq!(all.len(), 1);
    all[0].clone()
}

async fn binary(ws: &mut Ws) -> Vec<u8> {
    match ws.next().await {
        Got::Binary(data) => data,
        other => panic!("{other:?} and no packet"),
    }
}

/// Opens a session and joins the main namespace.
async fn join(fixture: &Fixture) -> Ws {
    let mut ws = Ws::open(fixture.addr).await;
    ws.send_binary(&packet(0, b"")).await;
    assert!(
        binary(&mut ws)
            .await
            .starts_with(b"\x83\xA4type\x00\xA3nsp\xA1/\xA4data\x81\xA3sid\xB4")
    );
    ws
}

async fn expect_served(fixture: &Fixture) {
    let mut ws = join(fixture).await;
    ws.send_binary(&event("message", "1", &[])).await;
    assert_eq!(binary(&mut ws).await, event("message-back", "1", &[]));
}

#[tokio::test]
async fn a_handler_sees_json_and_attachments() {
    let fixture = start(msgpack()).await;
    let mut ws = join(&fixture).await;
    let args = "{\"_placeholder\":true,\"num\":0},{\"a\":[null,-1.5,\"é\"]}";
    let attachments = [Bytes::from_static(b"\x01\x02")];
    ws.send_binary(&event("message", args, &attachments)).await;
    assert_eq!(
        binary(&mut ws).await,
        event("message-back", args, &attachments)
    );
    fixture.log.wait_for(&format!("event message {args}")).await;
    // A forged placeholder without binary data is an object.
    let forged = "{\"_placeholder\":true,\"num\":7}";
    ws.send_binary(&event("message", forged, &[])).await;
    assert_eq!(binary(&mut ws).await, event("message-back", forged, &[]));
}

#[tokio::test]
async fn invalid_packets_close_the_connection() {
    let fixture = start(msgpack()).await;
    let deep = [b"\x92\xA1e", &[0x91].repeat(200)[..], b"\xC0"].concat();
    let many = [b"\x9C\xA1e", &b"\xC4\x00".repeat(11)[..]].concat();
    for wrong in [
        &b""[..],
        b"\xC1",
        b"{}",
        &packet(7, b""),
        &packet(2, b"\xDD\xFF\xFF\xFF\xFF\xA1e"),
        &packet(2, b"\x91\xA7connect"),
        &packet(2, b"\x92\xA1e\xC6\xFF\xFF\xFF\xFF"),
        &packet(2, &deep),
        &packet(2, &many),
        &[&packet(1, b"")[..], b"\xC0"].concat(),
    ] {
        let mut ws = join(&fixture).await;
        fixture.log.clear();
        ws.send_binary(wrong).await;
        ws.end().await;
        fixture.log.wait_for("disconnected: parse error").await;
    }
    let mut ws = join(&fixture).await;
    ws.send("42[\"message\",1]").await;
    ws.end().await;
    expect_served(&fixture).await;
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn a_broadcast_reaches_every_transport() {
    let fixture = start(msgpack()).await;
    let (mut one, mut two) = (join(&fixture).await, join(&fixture).await);
    let poller = Poller::open(fixture.addr).await;
    let base64 = |data: &[u8]| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("b{}", STANDARD.encode(data))
    };
    assert_eq!(poller.post(&base64(&packet(0, b""))).await.body, "ok");
    assert!(
        poller
            .poll()
            .await
            .body
            .starts_with(&base64(b"\x83\xA4type\x00\xA3nsp\xA1/\xA4data\x81\xA3s"))
    );
    fixture.io.of("/").unwrap().emit("all", &[1, 2]);
    let wanted = event("all", "[1,2]", &[]);
    assert_eq!(binary(&mut one).await, wanted);
    assert_eq!(binary(&mut two).await, wanted);
    assert_eq!(poller.poll().await.body, base64(&wanted));
}

#[tokio::test]
async fn acknowledgements_of_a_broadcast_share_one_packet() {
    let fixture = start(msgpack()).await;
    let mut ws = join(&fixture).await;
    let answers = fixture
        .io
        .of("/")
        .unwrap()
        .emit_with_ack("how many", "", &[], PATIENCE);
    let asked = Bytes::from(binary(&mut ws).await);
    let Ok(Incoming::Event {
        ack: Some(id),
        text,
        ..
    }) = msgpack::decode(&asked, 0, 9)
    else {
        panic!("{asked:?}")
    };
    assert_eq!(text, "[\"how many\"]");
    let id = [b"\xA2id\xCF", &id.to_be_bytes()[..]].concat();
    ws.send_binary(
        &[
            b"\x84\xA4type\x03\xA3nsp\xA1/",
            &id[..],
            b"\xA4data\x92\x07\xC4\x01b",
        ]
        .concat(),
    )
    .await;
    let answers = answers.await;
    let reply = answers[0].1.as_ref().unwrap();
    assert_eq!(
        (reply.args(), &reply.attachments[..]),
        (
            "7,{\"_placeholder\":true,\"num\":0}",
            &[Bytes::from_static(b"b")][..]
        )
    );
}

#[tokio::test]
async fn a_disconnect_is_handled_before_held_back_events() {
    let fixture = start(msgpack()).await;
    let mut ws = join(&fixture).await;
    ws.send_binary(&event("hold for ever", "", &[])).await;
    ws.send_binary(&event("message", "1", &[])).await;
    ws.send_binary(&packet(1, b"")).await;
    fixture
        .log
        .wait_for("disconnected: client namespace disconnect")
        .await;
    ws.send_binary(&packet(0, b"")).await;
    assert!(
        binary(&mut ws).await.starts_with(b"\x83\xA4type\x00"),
        "earlier events of the client are skipped"
    );
}

#[tokio::test]
async fn an_auth_is_json_and_a_refusal_has_its_data() {
    let fixture = start(msgpack()).await;
    let mut ws = Ws::open(fixture.addr).await;
    ws.send_binary(&packet(0, b"\x81\xA6refuse\xC3")).await;
    assert_eq!(
        binary(&mut ws).await,
        packet(4, b"\x82\xA7message\xA7not you\xA4data\x81\xA4code\x07")
    );
    ws.send_binary(b"\x82\xA4type\x00\xA3nsp\xA8/nowhere").await;
    let wanted = b"\x83\xA4type\x04\xA3nsp\xA8/nowhere\xA4data\x81\xA7message\xB1Invalid namespace";
    assert_eq!(binary(&mut ws).await, wanted);
}

struct Echo;

impl EngineHandler for Echo {
    fn message(&self, connection: &EngineConnection, message: EngineMessage) {
        let _ = connection.send(&message);
    }
}

#[tokio::test]
async fn bare_engine_io_has_no_parser() {
    let io = SocketIo::builder(Config {
        ping_interval: Duration::from_secs(9),
        ..msgpack()
    })
    .engine(Echo)
    .build();
    let fixture = serve(io, common::Echo::default()).await;
    let mut ws = Ws::open(fixture.addr).await;
    ws.send("42[\"a\"]").await;
    assert_eq!(ws.text().await, "42[\"a\"]");
    ws.send_binary(b"\x82").await;
    assert_eq!(ws.next().await, Got::Binary(b"\x82".to_vec()));
    assert_eq!(
        request(fixture.addr, &format!("GET {POLLING}"), b"")
            .await
            .status,
        200
    );
}

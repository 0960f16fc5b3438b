//! Buffered bytes that clients have sent in part or ahead: per address, and before they join a
//! namespace.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Fixture, Got, Poller, Ws, config, expect_no_connections, expect_served, start};
use socketio::{Config, codec::frame::OpCode};
use tokio::{io::AsyncWriteExt, time::timeout};

/// Several units of 64 KiB, so that buffers can be distinguished.
const PART: usize = 200_000;

/// Space for two such buffers, however their vectors have grown, but not for a third.
const LIMIT: usize = 550_000;

async fn start_bounded() -> Fixture {
    start(Config {
        max_received_bytes_per_address: Some(LIMIT),
        ..config()
    })
    .await
}

/// Waits until this many more bytes would fit, or would not.
async fn wait_until_fits(fixture: &Fixture, bytes: usize, fits: bool) {
    let waits = timeout(Duration::from_secs(5), async {
        while fixture
            .io
            .received("127.0.0.1".parse().unwrap())
            .hold(bytes)
            != fits
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waits.await.is_ok(), "{bytes} bytes more: {}", !fits);
}

/// Waits until the server has buffered two parts.
async fn wait_until_full(fixture: &Fixture) {
    wait_until_fits(fixture, PART, false).await;
}

async fn wait_until_free(fixture: &Fixture) {
    wait_until_fits(fixture, LIMIT, true).await;
}

/// Sends the first fragment of a message, and waits until it has been read.
async fn send_part(ws: &mut Ws, text: &str) -> Got {
    ws.frame(false, OpCode::Text, text.as_bytes()).await;
    ws.frame(true, OpCode::Ping, b"read").await;
    ws.next().await
}

#[tokio::test]
async fn h5_half_sent_messages_of_an_address_have_one_budget() {
    let fixture = start_bounded().await;
    let part = format!("42[\"message\",\"{}", "x".repeat(PART));
    let mut first = Ws::join(fixture.addr).await;
    let mut second = Ws::join(fixture.addr).await;
    let mut third = Ws::join(fixture.addr).await;
    for ws in [&mut first, &mut second] {
        assert_eq!(send_part(ws, &part).await, Got::Pong(b"read".to_vec()));
    }
    assert_eq!(
        send_part(&mut third, &part).await,
        Got::Close(1013),
        "the one that asks for more is cut off"
    );
    fixture
        .log
        .wait_for("disconnected: too much received")
        .await;
    // Small messages still work, and so do clients that are within the limit.
    expect_served(&fixture).await;
    first.frame(true, OpCode::Continuation, b"\"]").await;
    assert!(first.text().await.starts_with("42[\"message-back\",\"xxx"));
    // One long frame counts as well, and complete messages no longer count.
    let mut fourth = Ws::join(fixture.addr).await;
    fourth
        .send(&format!("42[\"message\",\"{}\"]", "y".repeat(PART)))
        .await;
    assert!(fourth.text().await.starts_with("42[\"message-back\",\"yyy"));
    drop((second, third));
    wait_until_free(&fixture).await;
}

#[tokio::test]
async fn h5_a_half_sent_body_counts_with_half_sent_messages() {
    let fixture = start_bounded().await;
    let mut ws = Ws::join(fixture.addr).await;
    let part = format!("42[\"message\",\"{}", "x".repeat(PART));
    assert_eq!(send_part(&mut ws, &part).await, Got::Pong(b"read".to_vec()));
    let slow = Poller::join(fixture.addr).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: 500000\r\n\r\n",
        slow.url()
    );
    let mut stream = tokio::net::TcpStream::connect(fixture.addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(part.as_bytes()).await.unwrap();
    wait_until_full(&fixture).await;
    // A third is refused; its session continues.
    let poller = Poller::join(fixture.addr).await;
    let answer = poller.post(&format!("{part}\"]")).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.body.contains("from this address"), "{answer:?}");
    assert_eq!(poller.post("42[\"message\",1]").await.body, "ok");
    assert_eq!(poller.poll().await.body, "42[\"message-back\",1]");
    // Discarded bytes no longer count.
    drop(stream);
    drop(ws);
    wait_until_free(&fixture).await;
    assert_eq!(poller.post(&format!("{part}\"]")).await.body, "ok");
}

#[tokio::test]
async fn h5_held_back_events_and_waiting_attachments_count_too() {
    let fixture = start_bounded().await;
    // Each exists twice for a moment, while it is copied.
    let half = format!("42[\"message\",\"{}\"]", "x".repeat(PART / 2));
    let mut held = Ws::join(fixture.addr).await;
    held.send("42[\"hold for ever\"]").await;
    for _ in 0..4 {
        held.send(&half).await;
    }
    wait_until_full(&fixture).await;
    let mut binary = Ws::join(fixture.addr).await;
    binary
        .send(
            "452-[\"message\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
        )
        .await;
    binary.send_binary(&[1; PART]).await;
    assert_eq!(binary.end().await, Some(1013));
    drop(held);
    wait_until_free(&fixture).await;
    // The same on polling.
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(poller.post("42[\"hold for ever\"]").await.body, "ok");
    for _ in 0..4 {
        assert_eq!(poller.post(&half).await.body, "ok");
    }
    wait_until_full(&fixture).await;
    poller.post("1").await;
    expect_no_connections(&fixture).await;
    wait_until_free(&fixture).await;
}

#[tokio::test]
async fn h5_before_connect_messages_are_limited_to_the_size_of_a_connect() {
    let fixture = start(config()).await;
    let connect = |length: usize| {
        let rest = "40{\"a\":\"\"}".len();
        format!("40{{\"a\":\"{}\"}}", "x".repeat(length - rest))
    };
    // Refused because of its header …
    let mut ws = Ws::open(fixture.addr).await;
    ws.raw(&[0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1]).await;
    assert_eq!(ws.end().await, Some(1009));
    // … and in fragments.
    let mut ws = Ws::open(fixture.addr).await;
    ws.frame(false, OpCode::Text, &connect(65_536).as_bytes()[..40_000])
        .await;
    ws.frame(false, OpCode::Continuation, &[b'x'; 40_000]).await;
    assert_eq!(ws.end().await, Some(1009));
    let mut ws = Ws::open(fixture.addr).await;
    ws.send(&connect(65_536)).await;
    assert!(ws.text().await.starts_with("40{\"sid\":"));
    assert!(ws.text().await.starts_with("42[\"auth\""));
    // After that the other limit applies.
    ws.send(&format!("42[\"message\",\"{}\"]", "x".repeat(PART)))
        .await;
    assert!(ws.text().await.starts_with("42[\"message-back\",\"xxx"));
    let poller = Poller::open(fixture.addr).await;
    let many = vec![connect(20_000); 2].join("\u{1e}")
        + "\u{1e}"
        + &connect(50_000).replacen("40", "40/custom,", 1);
    assert_eq!(
        poller.post(&many).await.body,
        "ok",
        "one payload may hold those for several namespaces"
    );
}

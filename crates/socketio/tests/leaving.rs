//! Sockets that leave a namespace, and the handler futures of those sockets.

mod common;

use std::time::Duration;

use common::{Fixture, PATIENCE, Poller, Ws, config, expect_no_connections, start};
use socketio::{Config, EmitError, Recovery};

/// Joins both namespaces; the main one's socket is the first.
async fn in_both() -> (Fixture, Ws) {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("40/custom,").await;
    assert!(ws.text().await.starts_with("40/custom,{\"sid\":"));
    (fixture, ws)
}

/// Asserts that the future, which would run for a minute, has no further effect.
async fn no_ghost(fixture: &Fixture) {
    fixture.log.wait_for("dropped while it was held").await;
}

#[tokio::test]
async fn a_handler_future_is_dropped_when_the_server_disconnects_its_socket() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"hold\",60000]").await;
    ws.send("42[\"message\",\"never\"]").await;
    ws.send("42/custom,[\"message\",1]").await;
    fixture.log.wait_for("event hold 60000").await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    socket.disconnect();
    assert_eq!(ws.text().await, "41");
    assert_eq!(
        ws.text().await,
        "42/custom,[\"message-back\",1]",
        "the other namespace continues at once"
    );
    assert!(
        fixture
            .log
            .lines()
            .contains(&"disconnected: server namespace disconnect".to_owned())
    );
    no_ghost(&fixture).await;
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.contains("never"))
    );
    // The client may join again.
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{\"sid\":"));
    ws.send("42[\"message\",2]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",2]");
}

#[tokio::test]
async fn a_handler_future_is_dropped_when_its_client_leaves() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"hold\",60000]").await;
    ws.send("42[\"message\",\"never\"]").await;
    ws.send("451-[\"message\",\"never\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    ws.send_binary(&[1]).await;
    ws.send("42/custom,[\"message\",1]").await;
    ws.send("41").await;
    assert_eq!(ws.text().await, "42/custom,[\"message-back\",1]");
    assert!(
        fixture
            .log
            .lines()
            .contains(&"disconnected: client namespace disconnect".to_owned())
    );
    no_ghost(&fixture).await;
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.contains("never"))
    );
}

#[tokio::test]
async fn leaving_and_rejoining_behind_a_handler_future_keeps_the_order() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"hold\",1000]").await;
    ws.send("42/custom,[\"message\",\"never\"]").await;
    ws.send("41/custom,").await;
    ws.send("40/custom,").await;
    ws.send("41/custom,").await;
    ws.send("40/custom,{\"n\":2}").await;
    fixture
        .log
        .wait_for("disconnected: client namespace disconnect")
        .await;
    assert!(
        !fixture.log.lines().contains(&"let go".to_owned()),
        "leaving does not wait for the handler"
    );
    assert_eq!(
        ws.text().await,
        "42[\"held\",\"\"]",
        "the main namespace's hold is not the other's to drop"
    );
    assert!(ws.text().await.starts_with("40/custom,{\"sid\":"));
    assert_eq!(ws.text().await, "42/custom,[\"auth\",{\"n\":2}]");
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.contains("never"))
    );
    ws.expect_silence().await;
}

#[tokio::test]
async fn an_event_that_disconnects_its_own_socket_delays_nothing() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"leave and hold\",60000]").await;
    ws.send("42/custom,[\"message\",1]").await;
    assert_eq!(ws.text().await, "41");
    assert_eq!(ws.text().await, "42/custom,[\"message-back\",1]");
    no_ghost(&fixture).await;
}

#[tokio::test]
async fn s3_disconnect_and_close_sends_a_disconnect_in_each_namespace_first() {
    let (fixture, mut ws) = in_both().await;
    let sockets = fixture.echo.sockets.lock().clone();
    sockets[1].emit("last", &1).unwrap();
    sockets[0].disconnect_and_close();
    assert_eq!(sockets[0].emit("late", &1), Err(EmitError::Closed));
    // Node's client does not reconnect after a DISCONNECT; after a closed transport it does.
    assert_eq!(ws.text().await, "42/custom,[\"last\",1]");
    assert_eq!([ws.text().await, ws.text().await], ["41", "41/custom,"]);
    assert_eq!(ws.end().await, Some(1000));
    expect_no_connections(&fixture).await;
    let reasons: Vec<_> = fixture
        .log
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("disconnected"))
        .collect();
    assert_eq!(reasons, ["disconnected: server namespace disconnect"; 2]);
    // A handle to an ended socket does not close its client's new socket.
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[2].clone();
    ws.send("41").await;
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{\"sid\":"));
    socket.disconnect_and_close();
    ws.send("42[\"message\",1]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",1]");
}

#[tokio::test]
async fn s3_all_sockets_of_a_broadcast_can_be_disconnected() {
    let fixture = start(config()).await;
    let (mut ws, poller, mut other) = (
        Ws::join(fixture.addr).await,
        Poller::join(fixture.addr).await,
        Ws::join(fixture.addr).await,
    );
    let sockets = fixture.echo.sockets.lock().clone();
    sockets[..2].iter().for_each(|socket| socket.join("out"));
    fixture.io.of("/").unwrap().to("out").disconnect_and_close();
    assert_eq!(ws.text().await, "41");
    assert_eq!(ws.end().await, Some(1000));
    assert_eq!(
        [poller.poll().await.body, poller.poll().await.body],
        ["41", "1"]
    );
    other.send("42[\"message\",1]").await;
    assert_eq!(other.text().await, "42[\"message-back\",1]");
}

#[tokio::test]
async fn s3_a_disconnected_socket_is_not_recovered() {
    let recovery = Some(Recovery {
        for_everybody: true,
        ..Recovery::default()
    });
    let fixture = start(Config {
        recovery,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    socket.disconnect_and_close();
    assert_eq!(ws.text().await, "41");
    ws.end().await;
    fixture
        .log
        .wait_for("disconnected: server namespace disconnect")
        .await;
    assert_eq!(fixture.io.recovery_bytes(), 0);
    // A suspended socket ends at once.
    drop(Ws::join(fixture.addr).await);
    fixture.log.wait_for("suspended: transport close").await;
    fixture.log.clear();
    let socket = fixture.echo.sockets.lock()[1].clone();
    socket.disconnect_and_close();
    assert_eq!(
        fixture.log.lines(),
        ["disconnected: server namespace disconnect"]
    );
}

#[tokio::test]
async fn s4_a_handler_sees_the_rooms_that_a_socket_is_about_to_leave() {
    let fixture = start(config()).await;
    let mut other = Ws::join(fixture.addr).await;
    fixture.echo.sockets.lock()[0].join("observers");
    for end in ["cut", "leave", "put out", "close"] {
        let mut ws = Ws::join(fixture.addr).await;
        let socket = fixture.echo.sockets.lock().last().unwrap().clone();
        socket.join("observers");
        socket.join("hall");
        fixture.log.clear();
        match end {
            "cut" => drop(ws),
            "leave" => ws.send("41").await,
            "put out" => socket.disconnect(),
            _ => socket.close_transport(),
        }
        fixture
            .log
            .wait_for("disconnecting from [\"observers\", \"hall\"]")
            .await;
        // It can still send to the rooms' other members.
        assert_eq!(other.text().await, "42[\"leaving\",2]");
        let left = tokio::time::timeout(PATIENCE, async {
            while !socket.rooms().is_empty()
                || !fixture
                    .log
                    .lines()
                    .iter()
                    .any(|line| line.starts_with("disconnected"))
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(left.await.is_ok(), "{end}");
    }
}

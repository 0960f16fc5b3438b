//! What becomes of held events when the socket that they were held for leaves.

mod common;

use std::time::Duration;

use common::{Fixture, Ws, config, start};

/// In both namespaces; the main one's socket is the first.
async fn in_both() -> (Fixture, Ws) {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("40/custom,").await;
    assert!(ws.text().await.starts_with("40/custom,{\"sid\":"));
    (fixture, ws)
}

/// That a future held for 50 ms is not heard of again.
async fn no_ghost(fixture: &Fixture) {
    tokio::time::sleep(Duration::from_millis(120)).await;
    let lines = fixture.log.lines();
    assert!(!lines.iter().any(|line| line == "let go"), "{lines:?}");
}

#[tokio::test]
async fn what_was_held_for_a_socket_is_dropped_when_the_server_takes_it_out() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"hold\",50]").await;
    ws.send("42[\"message\",\"never\"]").await;
    ws.send("42/custom,[\"message\",1]").await;
    fixture.log.wait_for("event hold 50").await;
    let socket = fixture.echo.sockets.lock()[0].clone();
    socket.disconnect();
    assert_eq!(ws.text().await, "41");
    assert_eq!(ws.text().await, "42/custom,[\"message-back\",1]", "the other namespace goes on, at once");
    assert!(fixture.log.lines().contains(&"disconnected: server namespace disconnect".to_owned()));
    no_ghost(&fixture).await;
    assert!(!fixture.log.lines().iter().any(|line| line.contains("never")));
    // And the client may come back.
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{\"sid\":"));
    ws.send("42[\"message\",2]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",2]");
}

#[tokio::test]
async fn what_was_held_for_a_socket_is_dropped_when_its_client_leaves() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"hold\",50]").await;
    ws.send("42[\"message\",\"never\"]").await;
    ws.send("451-[\"message\",\"never\",{\"_placeholder\":true,\"num\":0}]").await;
    ws.send_binary(&[1]).await;
    ws.send("42/custom,[\"message\",1]").await;
    ws.send("41").await;
    assert_eq!(ws.text().await, "42/custom,[\"message-back\",1]");
    assert!(fixture.log.lines().contains(&"disconnected: client namespace disconnect".to_owned()));
    no_ghost(&fixture).await;
    assert!(!fixture.log.lines().iter().any(|line| line.contains("never")));
}

#[tokio::test]
async fn leaving_and_coming_back_behind_a_hold_keeps_its_order() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"hold\",50]").await;
    ws.send("42/custom,[\"message\",\"never\"]").await;
    ws.send("41/custom,").await;
    ws.send("40/custom,").await;
    ws.send("41/custom,").await;
    ws.send("40/custom,{\"n\":2}").await;
    fixture.log.wait_for("disconnected: client namespace disconnect").await;
    assert!(!fixture.log.lines().contains(&"let go".to_owned()), "leaving waits for nobody");
    assert_eq!(ws.text().await, "42[\"held\",\"\"]", "the main namespace's hold is not the other's to drop");
    assert!(ws.text().await.starts_with("40/custom,{\"sid\":"));
    assert_eq!(ws.text().await, "42/custom,[\"auth\",{\"n\":2}]");
    assert!(!fixture.log.lines().iter().any(|line| line.contains("never")));
    ws.quiet().await;
}

#[tokio::test]
async fn an_event_that_takes_its_own_socket_out_holds_nothing() {
    let (fixture, mut ws) = in_both().await;
    ws.send("42[\"leave and hold\",50]").await;
    ws.send("42/custom,[\"message\",1]").await;
    assert_eq!(ws.text().await, "41");
    assert_eq!(ws.text().await, "42/custom,[\"message-back\",1]");
    no_ghost(&fixture).await;
}

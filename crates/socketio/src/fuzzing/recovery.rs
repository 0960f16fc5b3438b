//! The recovery of a socket.

use std::sync::Arc;

use serde_json::{Value, value::RawValue};

use crate::{
    Config, ConnectRequest, DisconnectReason, Handshake, Packet, Recovery, SocketIo, TransportKind,
    codec::frame,
    id::Id,
    recovery::{Recovering, RecoveryRequest, SuspendOutcome},
    session::{Item, Session},
};

/// Runs a recoverable socket through the script in `data`: whatever is emitted, lost and requested,
/// a client that resumes receives all missed events in order and once. After the first line follows
/// an `auth` payload or an offset.
pub fn recovery(data: &[u8]) {
    let (script, auth_text) = data.split_at(
        data.iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(data.len()),
    );
    let auth_text = String::from_utf8_lossy(auth_text).trim_start().to_owned();
    let peer = ([127, 0, 0, 1], 1).into();
    let handshake = Arc::new(Handshake::bare(peer));
    let auth = RawValue::from_string(auth_text.clone()).ok();
    let request = ConnectRequest {
        socket_id: String::new(),
        namespace: "/".into(),
        auth,
        handshake: handshake.clone(),
    };
    let request = RecoveryRequest::read(request.auth.as_deref());
    let limits = Recovery {
        max_bytes: 2_000,
        max_total_bytes: 3_000,
        ..Recovery::default()
    };
    let server = SocketIo::builder(Config {
        recovery: Some(limits),
        ..Config::default()
    })
    .build()
    .server;
    let totals = server.namespaces.hub.recoverable.totals();
    let session = || {
        Session::new(
            server.engine.clone(),
            Id::random().unwrap(),
            TransportKind::WebSocket,
            handshake.clone(),
        )
    };
    let mut current = session();
    let recovering = Recovering::new(current.clone(), 7, totals.clone()).unwrap();
    // Numbers of the last event received and of the last event emitted.
    let (mut has, mut last, mut is_away, mut is_lost) = (0, 0, false, false);
    for &op in script {
        match op {
            b'e'..=b'z' => {
                let packet = Packet::event(
                    "/",
                    "n",
                    &format!(
                        "{},\"{}\"",
                        last + 1,
                        "x".repeat(usize::from(op - b'e') * 20)
                    ),
                );
                // An event that does not fit ends the recovery of a suspended socket.
                match recovering.push_events(&packet, None) {
                    Ok(()) => last += 1,
                    Err(_) => is_lost = true,
                }
            }
            b'L' if !is_away => {
                is_away = matches!(
                    recovering.suspend(&current, DisconnectReason::TransportClose),
                    SuspendOutcome::Until(_)
                );
                assert!(is_away);
            }
            b'R' if !is_away => has = received(&current, has),
            b'C' | b'W' => {
                let offset = if op == b'C' {
                    Some(format!("{has}.7"))
                } else {
                    request.as_ref().and_then(|request| request.offset.clone())
                };
                let request = RecoveryRequest {
                    pid: recovering.pid().to_owned(),
                    offset,
                };
                let Some(after) = recovering.resumes_after(&request) else {
                    continue;
                };
                assert!(is_away && !is_lost && after <= last);
                current = session();
                assert!(recovering.resume(&current, after, &Packet::connected("/", "x", None)));
                is_away = false;
                has = received(&current, after);
                assert_eq!(has, last, "nothing is missing");
            }
            _ => {}
        }
        assert!(totals.bytes() <= 2_000);
        assert_eq!(totals.waiting(), usize::from(is_away));
    }
    drop(recovering);
    assert_eq!((totals.bytes(), totals.waiting()), (0, 0));
}

/// Takes the queued items; checks that the events have consecutive numbers, and returns the last.
fn received(session: &Session, mut has: u64) -> u64 {
    for item in session.take_queue(usize::MAX) {
        let Item::Frames(frames) = item else { continue };
        for (_, data) in frame::server_frames(&frames) {
            let text = std::str::from_utf8(data).unwrap();
            if let Some(event) = text.strip_prefix("42") {
                has += 1;
                let values: Vec<Value> = serde_json::from_str(event).unwrap();
                assert_eq!(
                    (values[1].as_u64(), values[3].as_str()),
                    (Some(has), Some(&*format!("{has}.7")))
                );
            }
        }
    }
    has
}

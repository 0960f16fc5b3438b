//! What a client sends over any transport: Engine.IO packets.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::{
    DisconnectReason, TransportKind,
    codec::{
        engine::{self, EngineType},
        frame::{self, OpCode},
        message::Message,
        payload,
    },
    protocol::Connection,
    session::Session,
    timers::TimerKind,
};

/// Handles a message of a WebSocket. A close sets `close_code`.
pub(crate) fn message(
    session: &Arc<Session>,
    connection: &mut impl Connection<Session>,
    close_code: &mut u16,
    message: Message<'_>,
) -> Result<(), DisconnectReason> {
    match message {
        Message::Text(text) => self::text(session, connection, TransportKind::WebSocket, text),
        Message::Binary(data) => binary(
            session,
            connection,
            TransportKind::WebSocket,
            Bytes::copy_from_slice(data),
        ),
        Message::Ping(data) => {
            let mut pong = BytesMut::new();
            frame::encode(&mut pong, OpCode::Pong, data);
            let _ = session.push(pong.freeze(), None);
            Ok(())
        }
        Message::Pong => Ok(()),
        Message::Close(code) => {
            *close_code = if code == 1005 { 1000 } else { code };
            Err(DisconnectReason::TransportClose)
        }
    }
}

/// Handles an Engine.IO packet that arrived as text.
pub(crate) fn text(
    session: &Arc<Session>,
    connection: &mut impl Connection<Session>,
    transport: TransportKind,
    packet: &str,
) -> Result<(), DisconnectReason> {
    // `forceBase64` of Node's client applies to WebSocket too.
    if let Some(base64) = packet.strip_prefix('b') {
        let data = payload::binary(base64).ok_or(DisconnectReason::ParseError)?;
        return binary(session, connection, transport, data.into());
    }
    let (kind, data) = engine::decode(packet).ok_or(DisconnectReason::ParseError)?;
    if kind == EngineType::Message {
        session
            .engine
            .observe(|observer| observer.received(transport, packet.len()));
    }
    match kind {
        EngineType::Message => connection
            .text(session, data)
            .inspect_err(|_| session.close_at_next_poll()),
        EngineType::Pong => {
            pong(session);
            connection.pong();
            Ok(())
        }
        EngineType::Close => Err(DisconnectReason::TransportClose),
        EngineType::Upgrade | EngineType::Noop => Ok(()),
        // In Engine.IO protocol 4 only the server sends PING.
        EngineType::Ping | EngineType::Open => Err(DisconnectReason::ParseError),
    }
}

fn binary(
    session: &Arc<Session>,
    connection: &mut impl Connection<Session>,
    transport: TransportKind,
    data: Bytes,
) -> Result<(), DisconnectReason> {
    session
        .engine
        .observe(|observer| observer.received(transport, data.len()));
    connection
        .binary(session, data)
        .inspect_err(|_| session.close_at_next_poll())
}

/// The client is alive: schedules the next PING one interval from now.
pub(crate) fn pong(session: &Session) {
    if let Some(due) = session.pong() {
        let (engine, now) = (&session.engine, Instant::now());
        // With an observer, PINGs are due relative to when they were sent.
        engine.observe(|observer| {
            observer.pong((now + engine.config.ping_timeout).saturating_duration_since(due))
        });
        engine.timers.push(
            TimerKind::Ping,
            now + engine.config.ping_interval,
            session.sid.key(),
        );
        session.drop_polling_state();
    }
}

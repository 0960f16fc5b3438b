//! Handling of packets as text, the default encoding.

use std::sync::Arc;

use super::{
    partial::PartialPacket,
    state::{Dispatch, Outcome},
};
use crate::{
    AckReply, DisconnectReason,
    codec::packet::{self, Incoming, PacketError},
    event::Attachments,
    session::Session,
};

impl Dispatch {
    pub(super) fn handle_text(&mut self, session: &Arc<Session>, text: &str) -> Outcome {
        if self.partial.is_some() {
            return Err(DisconnectReason::ParseError);
        }
        let config = &session.engine.config;
        let packet = packet::decode(text, config.max_attachments, config.max_nesting)
            .map_err(parse_error)?;
        match packet {
            Incoming::Connect { namespace, auth } => self.connect(session, namespace, auth),
            Incoming::Disconnect { namespace } => self.disconnect(session, namespace),
            Incoming::Event {
                namespace,
                ack,
                text,
                parts,
                attachments: 0,
            } => self.event(
                session,
                namespace,
                text.into(),
                &parts,
                Attachments::default(),
                ack,
            ),
            Incoming::Event {
                namespace,
                ack,
                text: array,
                parts,
                attachments,
            } => {
                let packet = PartialPacket::Event {
                    text: array.into(),
                    parts,
                    ack,
                };
                self.start_partial(session, namespace, packet, text.len(), attachments)
            }
            Incoming::Ack {
                namespace,
                id,
                args,
                attachments: 0,
            } => self.acknowledge(
                namespace,
                id,
                AckReply {
                    args: args.into(),
                    attachments: Vec::new(),
                },
            ),
            Incoming::Ack {
                namespace,
                id,
                args,
                attachments,
            } => {
                let packet = PartialPacket::Ack {
                    id,
                    args: args.into(),
                };
                self.start_partial(session, namespace, packet, text.len(), attachments)
            }
        }
    }

    /// Handles a DISCONNECT at once, although earlier messages are held back: the client's socket
    /// ends now, and its earlier messages are ignored when they are handled.
    pub(super) fn try_early_disconnect(&mut self, session: &Session, text: &str) -> bool {
        let config = &session.engine.config;
        if !text.starts_with('1') {
            return false;
        }
        let Ok(Incoming::Disconnect { namespace }) =
            packet::decode(text, config.max_attachments, config.max_nesting)
        else {
            return false;
        };
        self.early_disconnect(session, namespace)
    }
}

pub(super) fn parse_error(error: PacketError) -> DisconnectReason {
    tracing::debug!(?error, "invalid Socket.IO packet; closing the connection");
    DisconnectReason::ParseError
}

//! Handling of msgpack packets: each is one binary message.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    state::{Dispatch, Outcome},
    text::parse_error,
};
use crate::{
    AckReply, Parser,
    codec::msgpack::{self, Incoming},
    event::Attachments,
    session::Session,
};

impl Dispatch {
    pub(super) fn handle_msgpack(&mut self, session: &Arc<Session>, message: &Bytes) -> Outcome {
        let config = &session.engine.config;
        match msgpack::decode(message, config.max_attachments, config.max_nesting)
            .map_err(parse_error)?
        {
            Incoming::Connect { namespace, auth } => {
                self.connect(session, namespace, auth.as_deref())
            }
            Incoming::Disconnect { namespace } => self.disconnect(session, namespace),
            Incoming::Event {
                namespace,
                ack,
                text,
                parts,
                attachments,
            } => self.event(
                session,
                namespace,
                text.into(),
                &parts,
                Attachments::of(attachments),
                ack,
            ),
            Incoming::Ack {
                namespace,
                id,
                args,
                attachments,
            } => self.acknowledge(
                namespace,
                id,
                AckReply {
                    args: args.into(),
                    attachments,
                },
            ),
        }
    }

    /// Handles a DISCONNECT at once: see [`Self::try_early_disconnect`].
    pub(super) fn try_early_disconnect_binary(
        &mut self,
        session: &Session,
        message: &Bytes,
    ) -> bool {
        let config = &session.engine.config;
        if config.parser != Parser::MsgPack || !msgpack::is_disconnect(message) {
            return false;
        }
        match msgpack::decode(message, config.max_attachments, config.max_nesting) {
            Ok(Incoming::Disconnect { namespace }) => self.early_disconnect(session, namespace),
            _ => false,
        }
    }
}

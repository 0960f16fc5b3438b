//! Attachments of binary packets, as they arrive (Socket.IO protocol 5, "Packet encoding").

use bytes::Bytes;

use super::{
    partial::{Partial, PartialPacket},
    state::{Dispatch, Outcome, count_received},
};
use crate::{AckReply, DisconnectReason, event::Attachments, session::Session};

impl Dispatch {
    /// Waits for the attachments of a packet. They are dropped if the client has been disconnected
    /// from the namespace; `Err` if it never joined it.
    pub(super) fn start_partial(
        &mut self,
        session: &Session,
        namespace: &str,
        packet: PartialPacket,
        bytes: usize,
        missing: usize,
    ) -> Outcome {
        let socket = self.socket(namespace)?.map(|(_, socket)| socket);
        let mut packet = socket.is_some().then_some(packet);
        if socket.is_some_and(|socket| !socket.takes_attachments())
            && let Some(packet) = packet.take()
        {
            self.handle_complete(
                session,
                namespace,
                packet,
                Attachments {
                    taken: Vec::new(),
                    refused: missing,
                },
            )?;
        }
        let mut received = session.received();
        if packet.is_some() {
            count_received(&mut received, bytes)?;
        }
        let partial = Partial {
            namespace: namespace.into(),
            packet,
            attachments: Vec::new(),
            bytes,
            received,
            missing,
        };
        self.partial = Some(Box::new(partial));
        Ok(())
    }

    pub(super) fn handle_complete(
        &mut self,
        session: &Session,
        namespace: &str,
        packet: PartialPacket,
        attachments: Attachments,
    ) -> Outcome {
        match packet {
            PartialPacket::Event { text, parts, ack } => {
                self.event(session, namespace, text, &parts, attachments, ack)
            }
            PartialPacket::Ack { id, args } => self.acknowledge(
                namespace,
                id,
                AckReply {
                    args,
                    attachments: attachments.taken,
                },
            ),
        }
    }

    pub(super) fn handle_attachment(&mut self, session: &Session, data: Bytes) -> Outcome {
        let partial = self.partial.as_mut().ok_or(DisconnectReason::ParseError)?;
        partial.missing -= 1;
        if partial.packet.is_some() {
            partial.bytes += data.len();
            if partial.bytes > session.engine.config.max_payload {
                return Err(DisconnectReason::ParseError);
            }
            partial.attachments.push(data);
            count_received(&mut partial.received, partial.bytes)?;
        }
        let Some(complete) = self.partial.take_if(|partial| partial.missing == 0) else {
            return Ok(());
        };
        let Partial {
            namespace,
            packet,
            attachments,
            ..
        } = *complete;
        packet.map_or(Ok(()), |packet| {
            self.handle_complete(session, &namespace, packet, Attachments::of(attachments))
        })
    }
}

//! The part of a session that an upgrade from polling to WebSocket uses.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use super::{Item, Session, Shared};
use crate::{TransportKind, packet, websocket::WebSocket};

/// An upgrade that completed after its session had ended.
pub(crate) struct EndedSession {
    pub(crate) handover: Box<WebSocket>,
    /// Items to send before the close.
    pub(crate) rest: Option<VecDeque<Item>>,
}

impl Session {
    /// Starts an upgrade; returns false if none is possible or one is in progress.
    pub(crate) fn start_upgrade(&self) -> bool {
        let mut shared = self.shared.lock();
        let can = shared.closing.is_none()
            && shared.transport == TransportKind::Polling
            && !shared.upgrading;
        shared.upgrading |= can;
        can
    }

    /// Answers the open poll, so that the client can stop polling.
    pub(crate) fn release_poll(&self) {
        if let Some(polling) = &mut self.shared.lock().polling
            && polling.poll_open
        {
            polling.release = true;
            if let Some(poll) = polling.poll.take() {
                poll.wake();
            }
        }
    }

    /// The upgrade has failed, and has closed its WebSocket if the session has ended.
    pub(crate) fn cancel_upgrade(&self) {
        self.shared.lock().upgrading = false;
        if self.engine.registry.get(self.sid.key()).is_none() {
            drop(self.take_alive_guard());
        }
    }

    /// Completes when the session has ended, so that an upgrade cannot continue it.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.shared.lock().polling {
            Some(polling) if !polling.has_ended => {
                polling.probing = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Continues the session on the WebSocket. If the session has ended in the meantime, returns
    /// the WebSocket with the items that are still to be sent, because the client does not poll any
    /// more.
    pub(crate) fn finish_upgrade(
        &self,
        handover: Box<WebSocket>,
        base64: bool,
    ) -> Result<(), EndedSession> {
        let mut shared = self.shared.lock();
        if base64 {
            shared.switch_to_base64();
        }
        // A session that closes gracefully and has not ended yet ends on the WebSocket.
        if let Some(reason) = shared
            .closing
            .filter(|reason| shared.ended || !reason.is_graceful())
        {
            let rest = reason
                .is_graceful()
                .then(|| std::mem::take(&mut shared.queue));
            if rest.is_some() {
                shared.written(usize::MAX);
            }
            drop(shared);
            if let Some(rest) = &rest {
                self.observe_sent(TransportKind::WebSocket, rest);
            }
            return Err(EndedSession { handover, rest });
        }
        shared.upgrading = false;
        #[cfg(feature = "deflate")]
        self.compress_on(&handover, base64);
        shared.transport = TransportKind::WebSocket;
        if let Some(polling) = &mut shared.polling {
            polling.handover = Some(handover);
            if let Some(poll) = polling.poll.take() {
                poll.wake();
            }
        }
        shared.wake_driver();
        Ok(())
    }

    /// Drops the polling state of an upgraded session, once no request uses it.
    pub(crate) fn drop_polling_state(&self) {
        let mut shared = self.shared.lock();
        shared.polling.take_if(|polling| {
            !polling.poll_open
                && !polling.post_open
                && polling.inbox.is_none()
                && polling.handover.is_none()
        });
    }
}

impl Shared {
    /// Sends binary messages as base64 text from now on, including queued ones.
    fn switch_to_base64(&mut self) {
        self.base64 = true;
        let mut grown = 0;
        for item in &mut self.queue {
            if let Item::Frames(frames) = item {
                let text = packet::base64_frames(frames.clone());
                grown += text.len() - frames.len();
                *frames = text;
            }
        }
        // The expansion must not disconnect the client.
        self.queued += grown;
        self.oversized += grown;
        // The buffers that were counted for its address no longer exist; the next push counts the
        // queue again.
        if let Some(stall) = &mut self.stall {
            stall.stop_counting();
        }
    }
}

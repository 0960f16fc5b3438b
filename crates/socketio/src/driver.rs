//! A connection's task. On polling, HTTP requests pass it what the client sent; on WebSocket it
//! reads and writes the stream itself. The same task continues after an upgrade, which preserves
//! the order of packets.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    DisconnectReason, TransportKind,
    codec::{message::Limits, payload},
    incoming,
    link::Link,
    protocol::Connection,
    session::{Item, Session},
    timers::TimerKind,
    websocket::{ReadEnd, WebSocket},
};

/// Messages handled in one run before other tasks may run.
const MESSAGES_PER_RUN: usize = 64;

/// Close code "Try Again Later" (<https://www.iana.org/assignments/websocket>).
const TRY_AGAIN_LATER: u16 = 1013;

/// A polling payload that is being handled, one packet at a time.
struct Inbox {
    payload: Bytes,
    at: usize,
}

pub(crate) struct Driver<C: Connection<Session>> {
    session: Arc<Session>,
    link: Link,
    connection: C,
    inbox: Option<Box<Inbox>>,
    backlogged: bool,
    close_code: u16,
    ended: bool,
    /// The last run left items to the next, so that other tasks could add to them.
    has_yielded: bool,
}

impl<C: Connection<Session>> Driver<C> {
    pub(crate) fn new(session: Arc<Session>, link: Link, connection: C) -> Self {
        let mut driver = Self {
            session,
            link,
            connection,
            inbox: None,
            backlogged: false,
            close_code: 1000,
            ended: false,
            has_yielded: false,
        };
        // Called once the driver exists: if the application panics, dropping the driver ends the
        // connection.
        driver.connection.opened(&driver.session);
        driver
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut budget = MESSAGES_PER_RUN;
        // The runtime runs a task right after the one that woke it. Tasks that are ready now may have
        // more for this connection, such as the acknowledgements of one database transaction, and
        // one system call writes all of it.
        if !std::mem::take(&mut self.has_yielded) && self.session.awaits_more_items() {
            self.has_yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let run = self.session.begin_run(cx.waker());
            if let Some(websocket) = run.handover {
                self.switch_to_websocket(*websocket);
            }
            if run.socket_left {
                self.connection.close_left_sockets(&self.session);
            }
            if let Some(reason) = run.closing {
                self.end(reason);
                return Poll::Ready(());
            }
            if let Err(reason) = self.connection.advance(&self.session, cx, &mut budget) {
                self.session.close_at_next_poll();
                self.session.close(reason);
                continue;
            }
            if let Err(reason) = self.receive(cx, run.joined, &mut budget) {
                self.session.close(reason);
            }
            let mut can_write = false;
            if let Link::WebSocket(websocket) = &mut self.link {
                match self.session.flush(websocket, cx) {
                    Ok(all) => can_write = all,
                    Err(_) => self.session.close(DisconnectReason::TransportClose),
                }
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !self.connection.needs_advance()
                && self.session.end_run(can_write, self.can_receive())
            {
                return Poll::Pending;
            }
        }
    }

    fn switch_to_websocket(&mut self, websocket: WebSocket) {
        self.link = Link::WebSocket(websocket);
        let engine = &self.session.engine;
        engine
            .counter(TransportKind::Polling)
            .fetch_sub(1, Ordering::Relaxed);
        engine
            .counter(TransportKind::WebSocket)
            .fetch_add(1, Ordering::Relaxed);
        engine.observe(|observer| observer.upgraded());
    }

    fn can_receive(&self) -> bool {
        accepts_more(&self.connection, &self.session)
    }

    /// Reads and handles what the client sent. `Err` is the reason to close the connection.
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        joined: bool,
        budget: &mut usize,
    ) -> Result<(), DisconnectReason> {
        let can_receive = self.can_receive();
        if self.backlogged == can_receive {
            self.backlogged = !can_receive;
            self.session.set_backlogged(self.backlogged);
        }
        if !can_receive {
            return Ok(());
        }
        // Packets that arrived by polling precede all packets of the WebSocket.
        if self.inbox.is_none() {
            self.inbox = self
                .session
                .take_inbox()
                .map(|payload| Box::new(Inbox { payload, at: 0 }));
        }
        while self.inbox.is_some() {
            if *budget == 0 || !self.can_receive() {
                return Ok(());
            }
            *budget -= 1;
            self.handle_next_in_inbox()?;
        }
        let Link::WebSocket(websocket) = &mut self.link else {
            return Ok(());
        };
        let config = &self.session.engine.config;
        let max_payload = if joined {
            config.max_payload
        } else {
            config.max_payload.min(config.max_connect_bytes)
        };
        let limits = Limits {
            max_payload,
            max_fragments: config.max_fragments,
        };
        let mut outcome = Ok(());
        let (session, connection, close_code) =
            (&self.session, &mut self.connection, &mut self.close_code);
        let end = websocket.read(&|| session.received(), cx, limits, &mut |message| {
            *budget = budget.saturating_sub(1);
            outcome = incoming::message(session, connection, close_code, message);
            if outcome.is_err() || *budget == 0 || !accepts_more(connection, session) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        outcome?;
        match end {
            ReadEnd::Pending | ReadEnd::Stopped => Ok(()),
            ReadEnd::Closed => Err(DisconnectReason::TransportClose),
            ReadEnd::OverLimit => Err(DisconnectReason::TooMuchReceived),
            ReadEnd::Refused(error) => {
                tracing::debug!(?error, "invalid WebSocket frame; closing the connection");
                self.close_code = error.close_code();
                Err(DisconnectReason::TransportError)
            }
        }
    }

    fn handle_next_in_inbox(&mut self) -> Result<(), DisconnectReason> {
        let Some(inbox) = &mut self.inbox else {
            return Ok(());
        };
        let rest = &inbox.payload[inbox.at..];
        let length = memchr::memchr(payload::SEPARATOR, rest).unwrap_or(rest.len());
        let range = inbox.at..inbox.at + length;
        let data = inbox.payload.slice(range);
        inbox.at += length + 1;
        if inbox.at > inbox.payload.len() {
            self.inbox = None;
        }
        // The whole payload was validated when it arrived.
        let packet = std::str::from_utf8(&data).map_err(|_| DisconnectReason::ParseError)?;
        // The POST has already recorded its PONGs, so that they need not wait behind held-back
        // events.
        if packet == "3" {
            self.connection.pong();
            return Ok(());
        }
        incoming::text(
            &self.session,
            &mut self.connection,
            TransportKind::Polling,
            packet,
        )
    }

    /// Ends the connection: notifies the application, and the client as far as possible.
    fn end(&mut self, reason: DisconnectReason) {
        self.ended = true;
        let engine = self.session.engine.clone();
        let kind = self.link.kind();
        // If the handler panics, the panic hook has reported it; the connection must end anyway.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            self.connection.end(&self.session, reason);
        }));
        engine.observe(|observer| observer.closed(kind, reason));
        // Decremented after the handler has run: an application that sees zero connections can rely
        // on all handlers having run.
        engine.counter(kind).fetch_sub(1, Ordering::Release);
        self.inbox = None;
        let key = self.session.sid.key();
        match std::mem::replace(&mut self.link, Link::Polling) {
            Link::WebSocket(websocket) => {
                if reason == DisconnectReason::TooMuchReceived {
                    self.close_code = TRY_AGAIN_LATER;
                }
                let rest = self.session.end(reason, TransportKind::WebSocket).rest;
                self.close_websocket(websocket, rest);
            }
            Link::Polling => {
                let ended = self.session.end(reason, TransportKind::Polling);
                if let Some(websocket) = ended.handover {
                    self.close_websocket(*websocket, ended.rest);
                    return;
                }
                if reason == DisconnectReason::TransportClose {
                    drop(self.session.take_alive_guard());
                }
                // The next poll fetches the rest and the close; if none arrives, a timer removes
                // the session. A client that closes may have sent a poll at the same time, and
                // either may arrive first.
                if ended.awaits_poll && !ended.poll_open {
                    engine.timers.push(
                        TimerKind::Linger,
                        Instant::now() + engine.config.ping_timeout,
                        key,
                    );
                } else {
                    engine.remove_session(key);
                }
            }
        }
    }
}

impl<C: Connection<Session>> Driver<C> {
    /// Sends the remaining items and a close frame over the WebSocket, in a separate task.
    fn close_websocket(&self, websocket: WebSocket, rest: Option<VecDeque<Item>>) {
        let alive = self.session.take_alive_guard();
        self.session.engine.remove_session(self.session.sid.key());
        if tokio::runtime::Handle::try_current().is_ok() {
            let closing = websocket.close(rest, self.close_code);
            tokio::spawn(async move {
                closing.await;
                drop(alive);
            });
        }
    }
}

/// Whether the application accepts more messages at the moment.
fn accepts_more(connection: &impl Connection<Session>, session: &Session) -> bool {
    !connection.is_backlogged(session) && !session.engine.stopping.is_paused()
}

impl<C: Connection<Session>> Future for Driver<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.run(cx)
    }
}

impl<C: Connection<Session>> Drop for Driver<C> {
    fn drop(&mut self) {
        if !self.ended {
            // A handler panicked, or the runtime is shutting down. End the connection anyway, so
            // that handlers and counters stay correct; a second panic adds no information.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
                self.end(DisconnectReason::TransportClose)
            }));
        }
    }
}

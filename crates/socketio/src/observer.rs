//! Callbacks that report a server's work, for metrics.

use std::time::Duration;

use crate::{
    DisconnectReason, Rejection, TransportKind,
    codec::{
        frame::{self, OpCode},
        payload,
    },
    session::Item,
};

/// Receives events about a server's work: see [`crate::Builder::observer`]. Every method has an
/// empty default. A server without an observer does not read the clock for it.
///
/// The methods are called on connection tasks and from any thread, so they must return quickly and
/// must neither block nor panic: update atomics or a metrics library. The library holds no lock
/// while it calls them.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
/// use socketio::{Config, DisconnectReason, Observer, SocketIo, TransportKind};
///
/// #[derive(Default)]
/// struct Counts {
///     opened: AtomicU64,
///     closed: AtomicU64,
///     bytes_in: AtomicU64,
///     bytes_out: AtomicU64,
/// }
///
/// impl Observer for Counts {
///     fn opened(&self, _: TransportKind) {
///         self.opened.fetch_add(1, Relaxed);
///     }
///
///     fn closed(&self, _: TransportKind, _: DisconnectReason) {
///         self.closed.fetch_add(1, Relaxed);
///     }
///
///     fn received(&self, _: TransportKind, bytes: usize) {
///         self.bytes_in.fetch_add(bytes as u64, Relaxed);
///     }
///
///     fn sent(&self, _: TransportKind, _: usize, bytes: usize) {
///         self.bytes_out.fetch_add(bytes as u64, Relaxed);
///     }
/// }
///
/// let counts = Arc::new(Counts::default());
/// let io = SocketIo::builder(Config::default()).observer(counts.clone()).build();
/// assert_eq!(counts.opened.load(Relaxed) - counts.closed.load(Relaxed), io.connections().polling as u64);
/// ```
#[allow(unused_variables, reason = "the parameter names are documentation")]
pub trait Observer: Send + Sync + 'static {
    /// A connection was opened. Called once per connection, as is [`Self::closed`].
    fn opened(&self, transport: TransportKind) {}

    /// A request for a session of another node is passed on to it: see [`crate::Builder::nodes`].
    fn forwarded(&self, transport: TransportKind) {}

    /// A connection was upgraded from polling to WebSocket.
    fn upgraded(&self) {}

    /// A connection was closed, and its handlers have been called.
    fn closed(&self, transport: TransportKind, reason: DisconnectReason) {}

    /// A request or a TCP connection was refused.
    fn refused(&self, why: Rejection) {}

    /// A client's message arrived: a Socket.IO packet, or a binary attachment. `bytes` is its size
    /// without transport framing; base64 counts as the bytes that it encodes.
    fn received(&self, transport: TransportKind, bytes: usize) {}

    /// Messages were passed to a transport for writing. `bytes` counts as in [`Self::received`]. If
    /// the connection then fails, the client may not have received all of them.
    fn sent(&self, transport: TransportKind, messages: usize, bytes: usize) {}

    /// A packet was not queued because the queue was full. Unless the packet was volatile, the
    /// client is disconnected ([`DisconnectReason::SlowReader`]), or gets a new socket if its
    /// socket was suspended.
    fn queue_full(&self) {}

    /// A client answered a PING; `latency` is the time since the PING was queued. If the
    /// application held back the client's events, it counts from the last time that the connection
    /// was read.
    fn pong(&self, latency: Duration) {}

    /// An event is about to be passed to its handler. Clients choose event names freely: restrict a
    /// metric label to known names.
    fn event(&self, namespace: &str, name: &str) {}

    /// A handler has processed an event. `took` is the time that [`crate::Handler::event`] occupied
    /// the connection's task, without the future that it may have returned.
    fn handled(&self, namespace: &str, took: Duration) {}
}

impl<T: Observer + ?Sized> Observer for std::sync::Arc<T> {
    fn opened(&self, transport: TransportKind) {
        (**self).opened(transport);
    }

    fn forwarded(&self, transport: TransportKind) {
        (**self).forwarded(transport);
    }

    fn upgraded(&self) {
        (**self).upgraded();
    }

    fn closed(&self, transport: TransportKind, reason: DisconnectReason) {
        (**self).closed(transport, reason);
    }

    fn refused(&self, why: Rejection) {
        (**self).refused(why);
    }

    fn received(&self, transport: TransportKind, bytes: usize) {
        (**self).received(transport, bytes);
    }

    fn sent(&self, transport: TransportKind, messages: usize, bytes: usize) {
        (**self).sent(transport, messages, bytes);
    }

    fn queue_full(&self) {
        (**self).queue_full();
    }

    fn pong(&self, latency: Duration) {
        (**self).pong(latency);
    }

    fn event(&self, namespace: &str, name: &str) {
        (**self).event(namespace, name);
    }

    fn handled(&self, namespace: &str, took: Duration) {
        (**self).handled(namespace, took);
    }
}

/// Counts the messages in items that are to be sent, and their bytes.
pub(crate) fn messages<'a>(items: impl IntoIterator<Item = &'a Item>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for item in items {
        let Item::Frames(frames) = item else { continue };
        for (opcode, data) in frame::server_frames(frames) {
            // PINGs and other transport packets carry no message.
            let length = match (opcode, data.first()) {
                (OpCode::Binary, _) | (OpCode::Text, Some(b'4')) => data.len(),
                (OpCode::Text, Some(b'b')) => payload::binary_length(&data[1..]),
                _ => continue,
            };
            count += 1;
            bytes += length;
        }
    }
    (count, bytes)
}

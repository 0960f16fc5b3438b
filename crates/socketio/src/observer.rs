//! What an application may be told about a server's work, for its metrics.

use std::time::Duration;

use crate::{
    DisconnectReason, Rejection, TransportKind,
    codec::{
        frame::{self, OpCode},
        payload,
    },
    session::Item,
};

/// Is told what a server does: see [`crate::Builder::observer`]. Every method does nothing unless
/// it is written. A server without an observer does not even look at the clock for it.
///
/// All of it is called where it happens, on the tasks of connections and from any thread, so it
/// must be quick, and neither block nor panic: atomics, or a metrics library's. It is never called
/// with a lock of the library held.
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
#[allow(unused_variables, reason = "the names say what they are")]
pub trait Observer: Send + Sync + 'static {
    /// A connection is open. It is told of once, and [`Self::closed`] once for each.
    fn opened(&self, transport: TransportKind) {}

    /// A connection has gone over from polling to WebSocket.
    fn upgraded(&self) {}

    /// A connection is closed, and its handlers were told.
    fn closed(&self, transport: TransportKind, reason: DisconnectReason) {}

    /// A request or a TCP connection was refused.
    fn refused(&self, why: Rejection) {}

    /// A message of a client came: a Socket.IO packet or a binary attachment of one. `bytes` as the
    /// client wrote it, without what the transport puts around it; base64 counts as the bytes it
    /// stands for.
    fn received(&self, transport: TransportKind, bytes: usize) {}

    /// Messages were given to a transport to be written, counted as in [`Self::received`]. Of what
    /// was given to a connection that broke then, nobody knows how much arrived.
    fn sent(&self, transport: TransportKind, messages: usize, bytes: usize) {}

    /// Something was not queued because too much waits already. Unless it was volatile, the client
    /// is cut off for it ([`DisconnectReason::SlowReader`]), or will find a fresh socket if it was
    /// away.
    fn queue_full(&self) {}

    /// A client answered a ping, so long after the ping was queued for it. Time in which the
    /// application held back its events counts from when it was last looked at only.
    fn pong(&self, latency: Duration) {}

    /// An event is about to be given to its handler. The name is the client's to choose: not for a
    /// label without a list of those that are known.
    fn event(&self, namespace: &str, name: &str) {}

    /// A handler has taken an event: how long [`crate::Handler::event`] kept the connection's task,
    /// without the future that it may have given back.
    fn handled(&self, namespace: &str, took: Duration) {}
}

impl<T: Observer + ?Sized> Observer for std::sync::Arc<T> {
    fn opened(&self, transport: TransportKind) {
        (**self).opened(transport);
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

/// How many messages there are in what is to be sent, and how many bytes.
pub(crate) fn messages<'a>(items: impl IntoIterator<Item = &'a Item>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for item in items {
        let Item::Frames(frames) = item else { continue };
        for (opcode, data) in frame::server_frames(frames) {
            // Pings, and all that is the transport's own, carry no message.
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

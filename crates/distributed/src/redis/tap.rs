//! Takes the messages of subscriptions out of the bytes of a server, before the client parses them.
//!
//! The client makes a tree of values of each message, which costs more than all that is done with one.
//! Everything else, as answers to commands, passes on to it unchanged.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How a message of a subscription begins in RESP3.
const MESSAGE: &[u8] = b">3\r\n$7\r\nmessage\r\n";
/// Free space for each read.
const READ: usize = 16 * 1_024;
/// Space that is kept while there is nothing in it.
const KEEP: usize = 4 * READ;
/// The most levels of an answer.
const MOST_LEVELS: usize = 32;

/// Called with a channel and a payload.
pub(crate) type OnMessage = Box<dyn Fn(&[u8], &[u8]) + Send + Sync>;

/// A stream without its messages.
pub(super) struct Tap<S> {
    stream: S,
    on_message: OnMessage,
    /// Received bytes that were not passed on yet, from `from` on.
    bytes: Vec<u8>,
    from: usize,
    /// The next bytes that pass on.
    passing: usize,
    /// No RESP3 any more: everything passes on, and the client reports it.
    is_open: bool,
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S, on_message: OnMessage) -> Self {
        Self {
            stream,
            on_message,
            bytes: Vec::new(),
            from: 0,
            passing: 0,
            is_open: false,
        }
    }

    /// Handles whole messages. Sets what passes on next, if that is whole.
    fn sort(&mut self) {
        while self.passing == 0 && self.from < self.bytes.len() {
            if self.is_open {
                self.passing = self.bytes.len() - self.from;
                return;
            }
            match next(&self.bytes[self.from..]) {
                Next::Message {
                    channel,
                    payload,
                    length,
                } => {
                    (self.on_message)(channel, payload);
                    self.from += length;
                }
                Next::Other { length } => self.passing = length,
                Next::Incomplete => return,
                Next::Malformed => self.is_open = true,
            }
        }
    }

    /// Removes handled bytes.
    fn compact(&mut self) {
        self.bytes.drain(..self.from);
        self.from = 0;
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEEP);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            this.sort();
            if this.passing > 0 {
                let count = this.passing.min(out.remaining());
                out.put_slice(&this.bytes[this.from..this.from + count]);
                this.from += count;
                this.passing -= count;
                return Poll::Ready(Ok(()));
            }
            this.compact();
            // The future keeps nothing between two polls.
            this.bytes.reserve(READ);
            let read = pin!(this.stream.read_buf(&mut this.bytes)).poll(cx);
            if ready!(read)? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next<'a> {
    Message {
        channel: &'a [u8],
        payload: &'a [u8],
        length: usize,
    },
    Other {
        length: usize,
    },
    Incomplete,
    Malformed,
}

/// The next complete value.
fn next(bytes: &[u8]) -> Next<'_> {
    let mut scan = Scan { bytes, at: 0 };
    if bytes.starts_with(MESSAGE) {
        scan.at = MESSAGE.len();
        let parts = scan.bulk().and_then(|channel| Ok((channel, scan.bulk()?)));
        return match parts {
            Ok((channel, payload)) => Next::Message {
                channel,
                payload,
                length: scan.at,
            },
            Err(Stop::Incomplete) => Next::Incomplete,
            Err(Stop::Malformed) => Next::Malformed,
        };
    }
    match scan.value(0) {
        Ok(()) => Next::Other { length: scan.at },
        Err(Stop::Incomplete) => Next::Incomplete,
        Err(Stop::Malformed) => Next::Malformed,
    }
}

enum Stop {
    Incomplete,
    Malformed,
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = self.bytes.get(self.at..).ok_or(Stop::Incomplete)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let end = end.ok_or(Stop::Incomplete)?;
        self.at += end + 2;
        Ok(&rest[..end])
    }

    /// `None` for a value that is absent.
    fn count(digits: &[u8]) -> Result<Option<usize>, Stop> {
        if digits.first() == Some(&b'-') {
            return Ok(None);
        }
        let text = std::str::from_utf8(digits).map_err(|_| Stop::Malformed)?;
        text.parse().map(Some).map_err(|_| Stop::Malformed)
    }

    /// So many bytes and the end of their line.
    fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(count).ok_or(Stop::Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Incomplete)?;
        match self.bytes.get(end..end.saturating_add(2)) {
            Some(b"\r\n") => {}
            Some(_) => return Err(Stop::Malformed),
            None => return Err(Stop::Incomplete),
        }
        self.at = end + 2;
        Ok(taken)
    }

    fn bulk(&mut self) -> Result<&'a [u8], Stop> {
        match self.line()?.split_first() {
            Some((b'$', digits)) => {
                let count = Self::count(digits)?.ok_or(Stop::Malformed)?;
                self.take(count)
            }
            _ => Err(Stop::Malformed),
        }
    }

    /// Passes a value of any type.
    fn value(&mut self, level: usize) -> Result<(), Stop> {
        if level > MOST_LEVELS {
            return Err(Stop::Malformed);
        }
        let (kind, rest) = self.line()?.split_first().ok_or(Stop::Malformed)?;
        let values = match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => return Ok(()),
            b'$' | b'!' | b'=' => {
                if let Some(count) = Self::count(rest)? {
                    self.take(count)?;
                }
                return Ok(());
            }
            b'*' | b'~' | b'>' => Self::count(rest)?.unwrap_or(0),
            b'%' => Self::count(rest)?.unwrap_or(0).saturating_mul(2),
            b'|' => Self::count(rest)?
                .unwrap_or(0)
                .saturating_mul(2)
                .saturating_add(1),
            _ => return Err(Stop::Malformed),
        };
        for _ in 0..values {
            self.value(level + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::AsyncWriteExt as _;

    fn message(channel: &str, payload: &str) -> String {
        let (c, p) = (channel.len(), payload.len());
        format!(">3\r\n$7\r\nmessage\r\n${c}\r\n{channel}\r\n${p}\r\n{payload}\r\n")
    }

    /// The bytes passed on, and the messages, if the input arrives in pieces of this size.
    async fn tapped(text: &str, piece: usize) -> (String, Vec<String>) {
        let (mut server, client) = tokio::io::duplex(piece);
        let messages = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let heard = Arc::clone(&messages);
        let on_message = move |channel: &[u8], payload: &[u8]| {
            let text = [channel, b"=", payload].concat();
            heard.lock().push(String::from_utf8(text).expect("a text"));
        };
        let mut tap = Tap::new(client, Box::new(on_message));
        let text = text.to_owned();
        let writing = tokio::spawn(async move {
            server.write_all(text.as_bytes()).await.expect("written");
        });
        let mut passed = String::new();
        tap.read_to_string(&mut passed).await.expect("a text");
        writing.await.expect("written");
        let messages = messages.lock().clone();
        (passed, messages)
    }

    #[tokio::test]
    async fn messages_are_extracted_and_other_replies_pass_through() {
        let others = [
            "+OK\r\n",
            "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*2\r\n_\r\n#t\r\n",
            ">3\r\n$9\r\nsubscribe\r\n$7\r\nmessage\r\n:1\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "|1\r\n+k\r\n+v\r\n*1\r\n$5\r\na\r\nbc\r\n",
            "-ERR it\r\n",
            "!5\r\nERR x\r\n",
            "=5\r\ntxt:a\r\n",
            "~1\r\n,1.5\r\n",
            "(12345678901234567890\r\n",
            ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\np\r\n",
        ];
        let mut text = String::new();
        let mut expected = Vec::new();
        for (number, other) in others.iter().enumerate() {
            let payload = format!("{number} > 3\r\n$7\r\nmessage {}", "x".repeat(number * 9));
            text += other;
            text += &message("c", &payload);
            text += &message("d", "");
            expected.push(format!("c={payload}"));
            expected.push("d=".to_owned());
        }
        for piece in [1, 2, 3, 7, 64, 5_000] {
            let (passed, messages) = tapped(&text, piece).await;
            assert_eq!(passed, others.concat(), "in pieces of {piece}");
            assert_eq!(messages, expected, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn invalid_resp3_passes_through_to_the_client() {
        for bad in [
            "hello\r\n",
            "$x\r\n",
            ">3\r\n$7\r\nmessage\r\n:1\r\n",
            "$1\r\nabc",
        ] {
            let text = format!("{}{bad}{}", message("c", "p"), message("c", "q"));
            let (passed, messages) = tapped(&text, 64).await;
            assert_eq!(messages, ["c=p"], "{bad:?}");
            assert_eq!(passed, format!("{bad}{}", message("c", "q")), "{bad:?}");
        }
        let deep = "*1\r\n".repeat(MOST_LEVELS + 2);
        assert_eq!(next(deep.as_bytes()), Next::Malformed);
    }

    #[tokio::test]
    async fn a_long_message_may_come_in_many_pieces() {
        let payload = "x".repeat(200_000);
        let text = message("c", &payload) + "+OK\r\n" + &message("c", "after");
        let (passed, messages) = tapped(&text, 1_000).await;
        assert_eq!(passed, "+OK\r\n");
        assert_eq!(messages, [format!("c={payload}"), "c=after".to_owned()]);
    }
}

//! Moves a suspended socket to the node on which its client resumes it.
//!
//! The node that got the client's CONNECT asks the node that has the socket, by requests to the
//! server's own path with `move=<step>` in the query and the nodes' proof in the headers:
//! 1. `claim`: the node that has the socket suspends it, if it is not yet, and answers with what the
//!    application needs to emit events to it elsewhere. Or it answers which node has the socket.
//! 2. The new node prepares, and stores what is emitted to the socket from then on.
//! 3. `take`: the old node waits until it has emitted what was published before, hands the stored
//!    events over, and ends the socket. A socket is taken once. Then the new node waits until it has
//!    emitted what was published before, to send once what both have.
//! 4. `written` and `placed`: the new node has written the events; the node that made the private id
//!    learns where the socket is.
//!
//! Fields and steps that a node does not know mean that it has no such socket: nodes of two versions
//! work side by side.

mod fetch;
mod request;

pub(crate) use self::{fetch::fetch, request::answer};

use bytes::{Bytes, BytesMut};
use http::{Method, request::Parts};
use serde::{Deserialize, Serialize};

use crate::{
    query,
    recovery::{Claim, MovedLog, RecoveryRequest},
};

/// Maximum bytes of a request.
const MAX_REQUEST: usize = 64 << 10;
/// Maximum bytes of the reply to a claim.
const MAX_CLAIM: usize = 5 << 20;

/// Whether a request of another node is one of these.
pub(crate) fn is_request(parts: &Parts) -> bool {
    parts.method == Method::POST && query::find(parts.uri.query().unwrap_or(""), "move").is_some()
}

/// The body of a request.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    #[serde(flatten)]
    request: RecoveryRequest,
    namespace: String,
    /// The tag of the node that asks.
    by: String,
}

/// The reply to a claim.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ClaimReply {
    /// The tag of the node that has the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    socket: Option<Claim>,
}

/// The head of the reply to a take. The events follow it.
#[derive(Debug, Serialize, Deserialize)]
struct LogHead {
    after: u64,
    last: u64,
    has_callbacks: bool,
    /// Bytes of each event.
    events: Vec<usize>,
}

/// One line of JSON, then the events one after the other.
fn encode_log(log: &MovedLog) -> Bytes {
    let head = LogHead {
        after: log.after,
        last: log.last,
        has_callbacks: log.has_callbacks,
        events: log.events.iter().map(Bytes::len).collect(),
    };
    let mut body = BytesMut::from(&serde_json::to_vec(&head).unwrap_or_default()[..]);
    body.extend_from_slice(b"\n");
    log.events
        .iter()
        .for_each(|event| body.extend_from_slice(event));
    body.freeze()
}

fn decode_log(mut body: Bytes) -> Option<MovedLog> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let head: LogHead = serde_json::from_slice(&body.split_to(end)).ok()?;
    let mut rest = body.slice(1..);
    let mut events = Vec::with_capacity(head.events.len());
    for length in head.events {
        if length > rest.len() {
            return None;
        }
        // Copied, so that an event does not keep all of them alive.
        events.push(Bytes::copy_from_slice(&rest.split_to(length)));
    }
    rest.is_empty().then_some(MovedLog {
        after: head.after,
        last: head.last,
        has_callbacks: head.has_callbacks,
        events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_over_the_wire_whole_or_not_at_all() {
        let log = MovedLog {
            after: 3,
            last: 6,
            has_callbacks: true,
            events: [&b"one\n"[..], b"", b"three"]
                .map(Bytes::from_static)
                .to_vec(),
        };
        let body = encode_log(&log);
        let back = decode_log(body.clone()).unwrap();
        assert_eq!((back.after, back.last, back.has_callbacks), (3, 6, true));
        assert_eq!(back.events, log.events);
        for end in 0..body.len() {
            assert!(decode_log(body.slice(..end)).is_none(), "{end}");
        }
        assert!(decode_log([&body[..], b"x"].concat().into()).is_none());
        // Of a later version.
        let later = [
            br#"{"after":0,"last":0,"has_callbacks":false,"events":[],"more":1}"#,
            &b"\n"[..],
        ];
        assert!(decode_log(later.concat().into()).is_some());
    }

    #[test]
    fn c15_replies_of_another_version_are_read_as_far_as_they_are_known() {
        let reply: ClaimReply = serde_json::from_str(r#"{"gone":true,"at":"n2"}"#).unwrap();
        assert_eq!(reply.at.as_deref(), Some("n2"));
        let reply: ClaimReply = serde_json::from_str("{}").unwrap();
        assert!(reply.at.is_none() && reply.socket.is_none());
    }
}

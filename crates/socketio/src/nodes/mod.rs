//! Several servers that act as one: each accepts any request, and passes on requests for sessions of
//! another.

mod ask;
mod forward;
mod pool;
mod tunnel;

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use tokio::sync::watch;

use self::pool::Pool;
use crate::Config;

/// Longest tag: it is part of the id of every session, and so of every request.
const MAX_TAG: usize = 32;

/// Names a node in the ids of its sessions, which become `<tag>.<random>`.
///
/// Every start of a node needs a tag of its own: a node that comes back under its old tag is asked
/// for sessions that ended with its predecessor. Ids are visible to clients, so a tag is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTag(Box<str>);

impl NodeTag {
    /// Takes 1 to 32 ASCII letters, digits, `-` and `_`; returns `None` for any other text.
    pub fn new(text: &str) -> Option<Self> {
        is_tag(text).then(|| Self(text.into()))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_tag(text: &str) -> bool {
    (1..=MAX_TAG).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// What a server needs to know of the other nodes: see [`crate::Builder::nodes`].
pub trait Nodes: Send + Sync + 'static {
    /// Where the node with this tag takes HTTP requests from other nodes, as `host:port`. `None` if
    /// there is no such node (any more): the session is unknown then.
    ///
    /// It is called for each request that is passed on, and every 10 s while one waits for its
    /// response or a WebSocket is open. The tag is what a client sent: answer from memory, and limit
    /// how often you look for an unknown one.
    fn find<'a>(
        &'a self,
        tag: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

    /// Adds to the headers of a request to another node what proves that a node sends it, and the
    /// client's address. Replace what the client may have sent under the same names.
    fn sign(&self, headers: &mut HeaderMap, client: SocketAddr);

    /// The client's address if these headers are of a request that another node has signed; `None`
    /// for a request of a client. Compare the proof in constant time. It is called for every request.
    fn verify(&self, headers: &HeaderMap) -> Option<SocketAddr>;
}

/// This node among the others.
pub(crate) struct Cluster {
    /// The tag with the dot after it.
    prefix: Box<str>,
    nodes: Arc<dyn Nodes>,
    pool: Pool,
    limits: Limits,
    /// True once this node must pass no more requests on.
    stopping: watch::Sender<bool>,
    tunnels: Arc<AtomicUsize>,
    forwarded: AtomicU64,
}

/// How long another node may take.
#[derive(Clone, Copy)]
struct Limits {
    /// For the head of a response: a poll is answered by the next PING at the latest.
    response: Duration,
    /// For a tunnel without traffic: a WebSocket carries at least its PINGs.
    silence: Duration,
    /// For the handshake of a WebSocket.
    upgrade: Duration,
    /// For bytes that wait for a reader.
    write: Option<Duration>,
}

/// The node of the session that an id names.
pub(crate) enum Owner<'a> {
    /// This node's; the id without its tag.
    Here(&'a str),
    /// Of the node with this tag.
    Other(&'a str),
}

impl Cluster {
    pub(crate) fn new(tag: &NodeTag, nodes: Arc<dyn Nodes>, config: &Config) -> Self {
        let alive = config.ping_interval + config.ping_timeout;
        Self {
            prefix: format!("{tag}.").into(),
            nodes,
            pool: Pool::default(),
            limits: Limits {
                response: alive + config.body_timeout,
                silence: alive + Duration::from_secs(5),
                upgrade: config.upgrade_timeout,
                write: config.write_timeout,
            },
            stopping: watch::Sender::new(false),
            tunnels: Arc::default(),
            forwarded: AtomicU64::new(0),
        }
    }

    /// What precedes the random part of this node's ids.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// This node's tag.
    pub(crate) fn tag(&self) -> &str {
        self.prefix.trim_end_matches('.')
    }

    /// Whether this node made the id.
    pub(crate) fn is_own(&self, id: &str) -> bool {
        id.starts_with(&*self.prefix)
    }

    /// `None` if the text is no id of any node.
    pub(crate) fn owner<'a>(&self, id: &'a str) -> Option<Owner<'a>> {
        if let Some(local) = id.strip_prefix(&*self.prefix) {
            return Some(Owner::Here(local));
        }
        let (tag, _) = id.split_once('.')?;
        is_tag(tag).then_some(Owner::Other(tag))
    }

    /// The client's address, if another node has signed the request.
    pub(crate) fn verify(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        self.nodes.verify(headers)
    }

    /// Passes nothing on from now on, and ends what is being passed on.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }

    pub(crate) fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::NodeTag;

    #[test]
    fn a_tag_is_short_and_needs_no_escape_in_a_url() {
        for good in ["a", "node-1_B", &"x".repeat(32)] {
            assert_eq!(NodeTag::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a.b", "a b", "é", "a%", "a/b", &"x".repeat(33)] {
            assert_eq!(NodeTag::new(bad), None, "{bad}");
        }
    }
}

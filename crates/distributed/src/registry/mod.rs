//! The nodes of a cluster: their addresses, and the secret by which they authenticate each other.
//!
//! Each node writes its entry every two seconds and reads all others in the same step. The last
//! read stays valid while Redis is unreachable, because nodes cannot report leaving then.

mod entry;
mod known;

pub use entry::NodeEntry;

use crate::redis::{RedisClient, RedisError, RedisResult, RedisScript};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use known::Known;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::{Mutex, RwLock};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// The pause between two writes of the own entry.
const BEAT: Duration = Duration::from_secs(2);
/// The expiry of an entry that is not renewed.
const FORGET_MS: u64 = 60_000;
/// The shortest pause between two reads for the sake of unknown tags.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The time limit of a read that a caller waits for.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);

/// This node among the others.
pub struct NodeRegistry {
    redis: RedisClient,
    list: String,
    secret: String,
    beat: RedisScript,
    tag: String,
    id: String,
    version: String,
    /// The secret of a cluster that has none yet.
    candidate: String,
    /// The own entry, once it is announced.
    own: Mutex<Option<String>>,
    known: RwLock<Known>,
    looking: tokio::sync::Mutex<()>,
}

/// # Panics
/// If the system has no random bytes.
fn random<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

impl NodeRegistry {
    /// A registry in which this node is not announced yet. `id` and `version` are for people.
    #[must_use]
    pub fn new(redis: RedisClient, id: &str, version: &str) -> Self {
        let prefix = redis.options().prefix();
        Self {
            list: format!("{prefix}:{{{prefix}:nodes}}:list"),
            secret: format!("{prefix}:{{{prefix}:nodes}}:secret"),
            redis,
            beat: RedisScript::new(include_str!("beat.lua")),
            tag: random::<6>(),
            id: id.to_owned(),
            version: version.to_owned(),
            candidate: random::<32>(),
            own: Mutex::default(),
            known: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// The tag of this start of the node: eight letters, digits, `-` and `_`.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Announces that this node accepts requests of other nodes at `address`. Call it before the
    /// first client can connect, so that every id with this tag can be resolved.
    ///
    /// # Errors
    /// When Redis does not answer; [`NodeRegistry::run`] announces the node later.
    pub async fn announce(&self, address: &str) -> RedisResult<()> {
        let entry = NodeEntry {
            id: self.id.clone(),
            tag: String::new(),
            address: address.to_owned(),
            version: self.version.clone(),
        };
        let json = serde_json::to_string(&entry)
            .map_err(|error| RedisError::Unexpected(error.to_string()))?;
        *self.own.lock() = Some(json);
        self.read().await
    }

    /// Writes the own entry and reads the others, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(BEAT).await;
            if let Err(error) = self.read().await
                && let Some(Due { left_out }) = throttle::due("nodes", &error.to_string(), None)
            {
                tracing::warn!(%error, left_out, "the registry of nodes could not be read; the last state counts");
            }
        }
    }

    /// Removes this node, once it takes no more requests.
    ///
    /// # Errors
    /// When Redis does not answer: the other nodes find out by themselves.
    pub async fn leave(&self) -> RedisResult<()> {
        *self.own.lock() = None;
        let mut command = redis::cmd("HDEL");
        command.arg(&self.list).arg(&self.tag);
        self.redis.query(&command).await
    }

    /// Where the node with this tag is. Reads the registry if the tag is unknown: its node may have
    /// started a moment ago.
    pub async fn find(&self, tag: &str) -> Option<String> {
        let asked = Instant::now();
        if let Some(found) = self.known.read().address(tag) {
            return Some(found);
        }
        let look = async {
            // One read serves all waiting requests, because clients can invent tags.
            let _one = self.looking.lock().await;
            let last = self.known.read().read_at();
            if last.is_some_and(|last| last >= asked) {
                return;
            }
            if let Some(last) = last {
                tokio::time::sleep_until(last + LOOK_EVERY).await;
            }
            let _ = self.read().await;
        };
        let _ = tokio::time::timeout(LOOK_DEADLINE, look).await;
        self.known.read().address(tag)
    }

    /// The secret of the cluster, by which nodes prove themselves; `None` before Redis first
    /// answered.
    #[must_use]
    pub fn secret(&self) -> Option<Arc<str>> {
        self.known.read().secrets().next().cloned()
    }

    /// Calls `check` with each secret that may be in use: when Redis lost the secret, nodes take a
    /// moment to agree on the next one.
    pub fn any_secret(&self, check: impl FnMut(&Arc<str>) -> bool) -> bool {
        self.known.read().secrets().any(check)
    }

    /// The nodes that are there, this one included.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeEntry> {
        self.known.read().nodes()
    }

    async fn read(&self) -> RedisResult<()> {
        let own = self.own.lock().clone().unwrap_or_default();
        let secret = self
            .secret()
            .map_or_else(|| self.candidate.clone(), |secret| secret.to_string());
        let call = self
            .beat
            .call()
            .key(&self.list)
            .key(&self.secret)
            .arg(&self.tag)
            .arg(own)
            .arg(secret)
            .arg(FORGET_MS);
        let began = Instant::now();
        let answer: Vec<String> = self.redis.run(&call).await?;
        self.known.write().update(&answer, began);
        Ok(())
    }
}

/// The address of this machine from which Redis is reached, where other nodes probably reach it.
/// Loopback if Redis is on this machine.
pub async fn local_address(redis: &RedisClient) -> IpAddr {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let Some((host, port)) = redis.options().first_address() else {
        return loopback;
    };
    let Ok(mut found) = tokio::net::lookup_host((host, port)).await else {
        return loopback;
    };
    let Some(address) = found.next() else {
        return loopback;
    };
    // Connecting a datagram socket chooses the route and sends nothing.
    let any: (IpAddr, u16) = if address.is_ipv4() {
        ([0, 0, 0, 0].into(), 0)
    } else {
        ([0u16; 8].into(), 0)
    };
    let connected = async {
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        socket.local_addr()
    };
    connected.await.map_or(loopback, |local| local.ip())
}

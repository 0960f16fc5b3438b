//! Rate limits and counts of connections that hold for all nodes together.
//!
//! A node decides by its own counts, and reports its admissions to Redis twice a second: one script call
//! for each bucket of keys, however many keys and uses there are. The answers say which keys have
//! used up what all nodes together allow. While Redis is away, each node's own limits go on.

mod pending;

use crate::redis::{RedisClient, RedisError, RedisScript};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use lamplight_usecases::ports::{SharedLimits, SharedRule};
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use pending::{Connections, KeyDigest, Uses};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The pause between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// Reports come late, and uses of half a second then count as one moment. This much more than a
/// burst is therefore admitted.
const SLACK: Duration = REPORT_EVERY.saturating_mul(2);
/// Counts of connections are valid for so long, and repeated three times meanwhile.
const COUNTS_VALID: Duration = Duration::from_secs(30);
const REPEAT_COUNTS: Duration = Duration::from_secs(10);
/// Keys are spread over this many hash slots.
const BUCKETS: u8 = 16;
/// Keys of one call, so that no call takes Redis long.
const KEYS_AT_ONCE: usize = 256;
/// The most calls that wait for Redis at the same time, so that one that does not answer delays a
/// report by one deadline, and not by one for each bucket.
const CALLS_AT_ONCE: usize = BUCKETS as usize;

/// The limits that all nodes count together.
pub struct RedisLimits {
    redis: RedisClient,
    prefix: String,
    node: String,
    count: RedisScript,
    connections: RedisScript,
    uses: Mutex<Uses>,
    waits: Mutex<HashMap<(&'static str, KeyDigest), Instant>>,
    /// The length of `waits`, which is usually empty.
    waiting: AtomicUsize,
    counts: Mutex<Connections>,
}

impl RedisLimits {
    /// `node` is the id of this node. Nothing is reported unless [`RedisLimits::run`] is polled.
    #[must_use]
    pub fn new(redis: RedisClient, node: &str) -> Self {
        Self {
            prefix: redis.options().prefix().to_owned(),
            redis,
            node: node.to_owned(),
            count: RedisScript::new(include_str!("count.lua")),
            connections: RedisScript::new(include_str!("connections.lua")),
            uses: Mutex::default(),
            waits: Mutex::default(),
            waiting: AtomicUsize::new(0),
            counts: Mutex::default(),
        }
    }

    /// Reports, for as long as it is polled.
    pub async fn run(&self) {
        let mut repeat_at = Instant::now() + REPEAT_COUNTS;
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            if Instant::now() >= repeat_at {
                repeat_at = Instant::now() + REPEAT_COUNTS;
                self.counts.lock().repeat();
            }
            self.report().await;
        }
    }

    /// Reports the uses since the last report to Redis, and receives the keys that have to wait.
    pub async fn report(&self) {
        self.forget_waits();
        let uses = self.uses.lock().take();
        let counts = self.counts.lock().take_changes();
        if uses.is_empty() && counts.is_empty() {
            return;
        }
        let outage = Mutex::new(None);
        let mut calls: Vec<BoxFuture<'_, ()>> = Vec::new();
        for (bucket, uses) in by_bucket(uses.into_iter(), |((_, key), _)| *key) {
            calls.push(Box::pin(self.report_uses(bucket, uses, &outage)));
        }
        let digest = |(address, _): &(IpAddr, usize)| KeyDigest::of(&address.to_string());
        for (bucket, counts) in by_bucket(counts.into_iter(), digest) {
            calls.push(Box::pin(self.report_connections(bucket, counts, &outage)));
        }
        // Redis may not answer at all: once one call has waited for it, the others need not.
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
        while calls.next().await.is_some() {}
        drop(calls);
        if let Some(error) = outage.into_inner()
            && let Some(Due { left_out }) = throttle::due("limits", "", None)
        {
            tracing::warn!(%error, left_out, "limits hold for this node alone");
        }
    }

    /// Uses while Redis is unreachable are not reported later.
    async fn report_uses(
        &self,
        bucket: u8,
        uses: Vec<((SharedRule, KeyDigest), u32)>,
        outage: &Mutex<Option<RedisError>>,
    ) {
        if outage.lock().is_some() {
            return;
        }
        let mut call = self.count.call().arg(micros(SLACK));
        for ((rule, key), uses) in &uses {
            let burst = micros(rule.per);
            call = call
                .key(self.key(bucket, rule.name, key))
                .arg(*uses)
                .arg(burst / u64::from(rule.count.max(1)))
                .arg(burst);
        }
        match self.redis.run::<Vec<u64>>(&call).await {
            Ok(waits) => {
                let keys = uses.iter().map(|((rule, key), _)| (rule.name, *key));
                self.set_waits(keys.zip(waits));
            }
            Err(error) => *outage.lock() = Some(error),
        }
    }

    async fn report_connections(
        &self,
        bucket: u8,
        counts: Vec<(IpAddr, usize)>,
        outage: &Mutex<Option<RedisError>>,
    ) {
        let is_away = outage.lock().is_some();
        let valid = u64::try_from(COUNTS_VALID.as_millis()).unwrap_or(u64::MAX);
        let mut call = self.connections.call().arg(&self.node).arg(valid);
        for (address, count) in &counts {
            let key = KeyDigest::of(&address.to_string());
            call = call.key(self.key(bucket, "connections", &key)).arg(*count);
        }
        let elsewhere = match is_away {
            true => None,
            false => match self.redis.run::<Vec<usize>>(&call).await {
                Ok(elsewhere) => Some(elsewhere),
                Err(error) => {
                    *outage.lock() = Some(error);
                    None
                }
            },
        };
        let mut held = self.counts.lock();
        match elsewhere {
            Some(elsewhere) => {
                for ((address, _), elsewhere) in counts.iter().zip(elsewhere) {
                    held.set_elsewhere(*address, elsewhere);
                }
            }
            None => counts
                .iter()
                .for_each(|(address, _)| held.report_again(*address)),
        }
    }

    fn key(&self, bucket: u8, rule: &str, key: &KeyDigest) -> String {
        format!("{{{}:l{bucket}}}:{rule}:{key}", self.prefix)
    }

    fn set_waits(&self, waits: impl Iterator<Item = ((&'static str, KeyDigest), u64)>) {
        let now = Instant::now();
        let mut held = self.waits.lock();
        for (key, wait) in waits.filter(|(_, wait)| *wait > 0) {
            held.insert(key, now + Duration::from_millis(wait));
        }
        self.waiting.store(held.len(), Ordering::Relaxed);
    }

    fn forget_waits(&self) {
        let now = Instant::now();
        let mut held = self.waits.lock();
        held.retain(|_, until| *until > now);
        self.waiting.store(held.len(), Ordering::Relaxed);
    }
}

impl SharedLimits for RedisLimits {
    fn add(&self, rule: SharedRule, key: &str, uses: u32) {
        self.uses.lock().add(rule, KeyDigest::of(key), uses);
    }

    fn wait(&self, rule: SharedRule, key: &str) -> Option<Duration> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let until = *self.waits.lock().get(&(rule.name, KeyDigest::of(key)))?;
        let wait = until.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then_some(wait)
    }

    fn set_connections(&self, address: IpAddr, count: usize) {
        self.counts.lock().set(address, count);
    }

    fn connections_elsewhere(&self, address: IpAddr) -> usize {
        self.counts.lock().elsewhere(address)
    }
}

/// The items of each bucket, at most [`KEYS_AT_ONCE`] together.
fn by_bucket<T>(
    items: impl Iterator<Item = T>,
    digest: impl Fn(&T) -> KeyDigest,
) -> Vec<(u8, Vec<T>)> {
    let mut parts: Vec<(u8, Vec<T>)> = Vec::new();
    let mut open = [None; BUCKETS as usize];
    for item in items {
        let bucket = digest(&item).bucket(BUCKETS);
        let open = &mut open[usize::from(bucket)];
        let part = match *open {
            Some(index) => index,
            None => {
                parts.push((bucket, Vec::new()));
                *open.insert(parts.len() - 1)
            }
        };
        parts[part].1.push(item);
        if parts[part].1.len() == KEYS_AT_ONCE {
            *open = None;
        }
    }
    parts
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

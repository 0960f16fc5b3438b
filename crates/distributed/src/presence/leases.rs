//! Leases: which nodes may write, and what those left behind that may no longer.

use super::keys::BUCKETS;
use super::node::Node;
use super::scripts::Writer;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use lamplight_domain::identity::{NodeId, UserId};
use lamplight_domain::presence::{NodeLease, OfflineReason};
use lamplight_domain::time::{Moment, Timestamp};
use lamplight_usecases::ports::{StoreError, StoreResult};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a node has for closing what another one left behind, until a third one continues.
const CLAIM: Duration = Duration::from_secs(10);
/// The most users that are closed, or buckets that are called, at the same time.
const AT_ONCE: usize = 64;

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It lapsed.
    Lost,
    /// The node was started again.
    Restarted,
    /// The node gave it up.
    Released,
}

/// A lease that ended and whose users are to be closed.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    node: NodeId,
    incarnation: u64,
    /// When it would have lapsed on the clock of the leases; for a restarted node how much was left
    /// of it, in milliseconds.
    expires: u64,
    seen: Timestamp,
    end: End,
    /// This call ended it. Otherwise another node began to close it and did not finish.
    is_new: bool,
}

pub(super) struct Acquired {
    pub(super) lease: NodeLease,
    /// The lease and sessions of an earlier incarnation of this node.
    pub(super) earlier: Vec<Ended>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn number(text: &str) -> StoreResult<u64> {
    let unexpected = || StoreError::Internal(format!("not a number in a lease: {text}"));
    text.parse().map_err(|_| unexpected())
}

fn read_ended(parts: &[String]) -> StoreResult<Vec<Ended>> {
    let read = |parts: &[String]| {
        let [incarnation, expires, seen, how, node, is_new] = parts else {
            return Err(StoreError::Internal("a lease of another form".to_owned()));
        };
        Ok(Ended {
            node: NodeId::trusted(node.as_str()),
            incarnation: number(incarnation)?,
            expires: number(expires)?,
            seen: Timestamp(i64::try_from(number(seen)?).unwrap_or(i64::MAX)),
            end: match how.as_str() {
                "restarted" => End::Restarted,
                "released" => End::Released,
                _ => End::Lost,
            },
            is_new: is_new == "1",
        })
    };
    parts.chunks(6).map(read).collect()
}

impl Node {
    /// One step of the leases. If no node made a step for half a lease, no node could renew.
    async fn lease_step(&self, step: &str, incarnation: u64) -> StoreResult<Vec<String>> {
        let keys = &self.feed.keys;
        let call = self
            .feed
            .scripts
            .leases
            .call()
            .key(&keys.held_leases)
            .key(&keys.ended_leases)
            .key(&keys.leases_meta)
            .arg(step)
            .arg(millis(self.rules.lease / 2))
            .arg(millis(self.rules.lease))
            .arg(millis(CLAIM))
            .arg(self.id.as_str())
            .arg(incarnation);
        Ok(self.feed.client.run(&call).await?)
    }

    fn lease(&self, incarnation: u64, expires: u64) -> NodeLease {
        NodeLease {
            node: self.id.clone(),
            incarnation,
            expires: Moment(expires),
        }
    }

    /// Begins an incarnation: first in the leases, then in all buckets, where it ends the writes of
    /// the one before.
    pub(super) async fn acquire(&self) -> StoreResult<Acquired> {
        let parts = self.lease_step("acquire", 0).await?;
        let [incarnation, expires, rest @ ..] = &parts[..] else {
            return Err(StoreError::Internal("a lease without a number".to_owned()));
        };
        let (incarnation, expires) = (number(incarnation)?, number(expires)?);
        let writer = Writer {
            node: &self.id,
            incarnation,
        };
        let (client, keys, scripts) = (&self.feed.client, &self.feed.keys, &self.feed.scripts);
        let fenced = stream::iter(0..BUCKETS)
            .map(|bucket| scripts.fence(client, keys, writer, bucket))
            .buffer_unordered(AT_ONCE);
        fenced.try_collect::<()>().await?;
        // Verify that the lease was not swept meanwhile: otherwise a bucket that is fenced late
        // would accept its writes.
        if self.lease_step("renew", incarnation).await?.is_empty() {
            return Err(StoreError::Unavailable(
                "the lease lapsed before it was complete".to_owned(),
            ));
        }
        self.set_incarnation(incarnation);
        Ok(Acquired {
            lease: self.lease(incarnation, expires),
            earlier: read_ended(rest)?,
        })
    }

    pub(super) async fn renew(&self) -> StoreResult<NodeLease> {
        let writer = self.writer()?;
        match &self.lease_step("renew", writer.incarnation).await?[..] {
            [expires, ..] => Ok(self.lease(writer.incarnation, number(expires)?)),
            // It was released meanwhile, and the node is to close its users yet.
            [] if self.is_leaving.load(Ordering::Relaxed) => Err(StoreError::Fenced),
            [] => Err(self.fenced(writer)),
        }
    }

    pub(super) async fn release(&self) -> StoreResult<()> {
        self.is_leaving.store(true, Ordering::Relaxed);
        let Ok(writer) = self.writer() else {
            return Ok(());
        };
        let incarnation = writer.incarnation;
        let parts = self.lease_step("release", incarnation).await?;
        for ended in read_ended(&parts)? {
            // This node closes its users itself, so it stays able to write until then.
            self.close_users(&ended).await?;
            self.unfence(&ended).await?;
            self.lease_step("closed", incarnation).await?;
        }
        self.fenced(writer);
        Ok(())
    }

    /// Closes what nodes left behind whose lease has lapsed. Returns the leases that this call ended.
    pub(super) async fn sweep(&self) -> StoreResult<Vec<NodeLease>> {
        let parts = self.lease_step("sweep", 0).await?;
        let mut swept = Vec::new();
        for ended in read_ended(&parts)? {
            self.close_ended(&ended).await?;
            if ended.is_new {
                tracing::info!(node = %ended.node, "closed the sessions of a dead node");
                swept.push(NodeLease {
                    node: ended.node,
                    incarnation: ended.incarnation,
                    expires: Moment(ended.expires),
                });
            }
        }
        Ok(swept)
    }

    /// Refuses the writes of an incarnation, and closes its users.
    pub(super) async fn close_ended(&self, ended: &Ended) -> StoreResult<()> {
        self.unfence(ended).await?;
        self.close_users(ended).await?;
        self.lease_step("closed", ended.incarnation).await?;
        Ok(())
    }

    async fn unfence(&self, ended: &Ended) -> StoreResult<()> {
        let writer = Writer {
            node: &ended.node,
            incarnation: ended.incarnation,
        };
        let (client, keys, scripts) = (&self.feed.client, &self.feed.keys, &self.feed.scripts);
        stream::iter(0..BUCKETS)
            .map(|bucket| scripts.unfence(client, keys, writer, bucket))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    async fn close_users(&self, ended: &Ended) -> StoreResult<()> {
        let users_of = async |bucket| -> StoreResult<Vec<String>> {
            let key = self.feed.keys.bucket(bucket).users_of(ended.incarnation);
            let command = ::redis::Cmd::smembers(&key);
            Ok(self.feed.client.query(&command).await?)
        };
        // The users of the next bucket are read while those of one are closed.
        stream::iter(0..BUCKETS)
            .map(users_of)
            .buffered(2)
            .map_ok(|users| stream::iter(users).map(Ok))
            .try_flatten()
            .map_ok(|user| self.close_user(ended, UserId::trusted(user)))
            .try_buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    }

    async fn close_user(&self, ended: &Ended, user: UserId) -> StoreResult<()> {
        let _turn = self.lock(&user).await;
        let grace = self.rules.grace;
        self.step(&user, |step| {
            let index = step.index(ended.incarnation);
            let now = step.now;
            let (end, reason) = match ended.end {
                // The grace period is over before the lease is.
                End::Lost => (Moment(0), OfflineReason::NodeLost),
                // Users who return to the restarted node within the grace period cause no event.
                End::Restarted => {
                    let left = Duration::from_millis(ended.expires).min(grace);
                    (now.moment.plus(left), OfflineReason::NodeLost)
                }
                End::Released => (now.moment.plus(grace), OfflineReason::Closed),
            };
            step.roster.close_node(now, index, end, reason, ended.seen)
        })
        .await
    }
}

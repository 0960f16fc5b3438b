//! Presence, the bus and the shared limits in Redis.

use super::component::{Component, Condition};
use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;
use lamplight_distributed::bus::RedisEventBus;
use lamplight_distributed::limits::RedisLimits;
use lamplight_distributed::presence::{Feed, RedisPresence};
use lamplight_distributed::redis::{RedisClient, RedisStatus};
use lamplight_usecases::ports::{EventBus as _, PresenceStore as _};
use std::sync::Arc;
use std::time::Duration;

/// How long the start waits for events and the presence of other nodes, if Redis answers.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// The bus, and the connection that the others use too.
pub(super) struct BusComponent {
    pub(super) client: RedisClient,
    pub(super) bus: RedisEventBus,
    pub(super) limits: Arc<RedisLimits>,
}

#[async_trait]
impl Component for BusComponent {
    async fn condition(&self) -> Condition {
        if self.bus.is_healthy() {
            return Condition::Working;
        }
        let cause = match self.client.status() {
            RedisStatus::Up { .. } => "events do not return from Redis".to_owned(),
            RedisStatus::Down { reason, .. } => reason.to_string(),
        };
        Condition::Degraded { part: "bus", cause }
    }

    fn measure(&self, gauges: &mut Gauges) {
        let stats = self.bus.stats();
        let is_up = self.client.status().is_up();
        let round_trip = stats.round_trip.unwrap_or_default();
        let lag = stats.lag.as_secs_f64();
        gauges.adapters.extend([
            ("lamplight_redis_up", f64::from(u8::from(is_up))),
            ("lamplight_bus_up", f64::from(u8::from(stats.is_healthy))),
            ("lamplight_bus_round_trip_seconds", round_trip.as_secs_f64()),
            ("lamplight_bus_lag_seconds", lag),
            ("lamplight_bus_queue_depth", stats.queued as f64),
            ("lamplight_bus_attached_users", stats.attached as f64),
            ("lamplight_bus_published", stats.published as f64),
            ("lamplight_bus_received", stats.received as f64),
            ("lamplight_bus_interruptions", stats.interruptions as f64),
            ("lamplight_bus_lost", stats.lost as f64),
        ]);
    }

    fn tasks(&self) -> Vec<Task> {
        let limits = Arc::clone(&self.limits);
        vec![Task::new("limits", async move { limits.run().await })]
    }

    async fn warm_up(&self) {
        // The start has waited for Redis already.
        if self.client.status().is_up() {
            self.bus.connected(PATIENCE).await;
        }
    }
}

pub(super) struct RedisPresenceComponent {
    pub(super) client: RedisClient,
    pub(super) presence: Arc<RedisPresence>,
    pub(super) feed: Arc<Feed>,
}

#[async_trait]
impl Component for RedisPresenceComponent {
    async fn condition(&self) -> Condition {
        if self.presence.is_degraded() {
            let cause = "presence shows this node's view only".to_owned();
            Condition::Degraded {
                part: "presence",
                cause,
            }
        } else {
            Condition::Working
        }
    }

    fn measure(&self, gauges: &mut Gauges) {
        gauges.online = self.presence.online_count();
        gauges.sessions = self.presence.session_count();
        let is_degraded = f64::from(u8::from(self.presence.is_degraded()));
        gauges.adapters.extend([
            ("lamplight_presence_degraded", is_degraded),
            (
                "lamplight_presence_lag_seconds",
                self.feed.lag().as_secs_f64(),
            ),
            ("lamplight_presence_reloads", self.feed.reloads() as f64),
        ]);
    }

    fn tasks(&self) -> Vec<Task> {
        let presence = Arc::clone(&self.presence);
        vec![Task::new("presence", async move { presence.run().await })]
    }

    async fn warm_up(&self) {
        if !self.client.status().is_up() {
            return;
        }
        let is_whole = async {
            while !self.feed.is_whole() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        drop(tokio::time::timeout(PATIENCE, is_whole).await);
    }

    async fn leave(&self) {
        if let Err(error) = self.presence.release_lease().await {
            tracing::debug!(%error, "the lease was not released; it lapses by itself");
        }
    }
}

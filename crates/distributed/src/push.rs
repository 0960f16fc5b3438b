//! [`PushSubscriptions`] on PostgreSQL; the statements are in `postgres/`.

use crate::postgres::{self, PostgresStore};
use async_trait::async_trait;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    NewSubscription, PushCounts, PushJob, PushKey, PushStep, PushSubscriptions, PushThen,
    StoreResult, SubscribeOutcome,
};
use std::time::Duration;

#[async_trait]
impl PushSubscriptions for PostgresStore {
    async fn push_key(&self, new: &PushKey, at: Timestamp) -> StoreResult<PushKey> {
        postgres::push_key(self, new, at).await
    }

    async fn replace_push_key(&self, new: &PushKey, at: Timestamp) -> StoreResult<()> {
        postgres::replace_push_key(self, new, at).await
    }

    async fn subscribe(
        &self,
        new: NewSubscription,
        most: usize,
        at: Timestamp,
    ) -> StoreResult<SubscribeOutcome> {
        postgres::subscribe(self, &new, most, at).await
    }

    async fn unsubscribe(&self, user: &UserId, endpoint: &str) -> StoreResult<()> {
        postgres::unsubscribe(self, user, endpoint).await
    }

    async fn end_subscription(&self, id: i64, endpoint: &str) -> StoreResult<()> {
        postgres::end_subscription(self, id, endpoint).await
    }

    async fn queue_pushes(&self, delay: Duration, limit: usize) -> StoreResult<PushStep> {
        postgres::queue_pushes(self, delay, limit).await
    }

    async fn claim_pushes(&self, lease: Duration, limit: usize) -> StoreResult<Vec<PushJob>> {
        postgres::claim_pushes(self, lease, limit).await
    }

    async fn move_push(&self, job: &PushJob, next_seq: u64, then: PushThen) -> StoreResult<bool> {
        postgres::move_push(self, job, next_seq, then).await
    }

    async fn push_counts(&self) -> StoreResult<PushCounts> {
        postgres::push_counts(self).await
    }
}

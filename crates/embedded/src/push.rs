//! [`PushSubscriptions`] on SQLite; the queries are in `sqlite/`.

use crate::sqlite::{self, Durability, SqliteStore};
use async_trait::async_trait;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    NewSubscription, PushCounts, PushJob, PushKey, PushStep, PushSubscriptions, PushThen,
    StoreResult, SubscribeOutcome,
};
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl PushSubscriptions for SqliteStore {
    async fn push_key(&self, new: &PushKey, at: Timestamp) -> StoreResult<PushKey> {
        if let Some(present) = self.read(sqlite::present_push_key).await? {
            return Ok(present);
        }
        let new = new.clone();
        self.write(move |batch| sqlite::push_key(batch.conn, &new, at))
            .answer()
            .await
    }

    async fn replace_push_key(&self, new: &PushKey, at: Timestamp) -> StoreResult<()> {
        let new = new.clone();
        self.write(move |batch| sqlite::replace_push_key(batch.conn, &new, at))
            .answer()
            .await
    }

    async fn subscribe(
        &self,
        new: NewSubscription,
        most: usize,
        at: Timestamp,
    ) -> StoreResult<SubscribeOutcome> {
        self.write(move |batch| sqlite::subscribe(batch.conn, &new, most, at))
            .answer()
            .await
    }

    async fn unsubscribe(&self, user: &UserId, endpoint: &str) -> StoreResult<()> {
        let (user, endpoint) = (user.clone(), endpoint.to_owned());
        self.write(move |batch| sqlite::unsubscribe(batch.conn, &user, &endpoint))
            .answer()
            .await
    }

    async fn end_subscription(&self, id: i64, endpoint: &str) -> StoreResult<()> {
        let endpoint = endpoint.to_owned();
        self.write(move |batch| sqlite::end_subscription(batch.conn, id, &endpoint))
            .answer()
            .await
    }

    async fn queue_pushes(&self, delay: Duration, limit: usize) -> StoreResult<PushStep> {
        let step = self
            .read(move |conn| sqlite::read_push_step(conn, limit).map(Arc::new))
            .await?;
        let mut written = 0;
        // The last part moves the position, also of a step without messages.
        let mut is_over = step.is_idle();
        while !is_over {
            let part = Arc::clone(&step);
            // The queue and its position reach the disk together, and can be made again.
            let write = self.write_as(Durability::Deferred, move |batch| {
                sqlite::write_push_step(batch.conn, &part, written, delay)
            });
            match write.answer().await? {
                Some(more) => written = more,
                None => {
                    return Ok(PushStep {
                        is_outrun: true,
                        ..step.outcome()
                    });
                }
            }
            is_over = step.is_written(written);
        }
        Ok(step.outcome())
    }

    async fn claim_pushes(&self, lease: Duration, limit: usize) -> StoreResult<Vec<PushJob>> {
        let due = self.read(move |conn| sqlite::due_pushes(conn, 1)).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        self.write_as(Durability::Deferred, move |batch| {
            sqlite::claim_pushes(batch.conn, lease, limit)
        })
        .answer()
        .await
    }

    async fn move_push(&self, job: &PushJob, next_seq: u64, then: PushThen) -> StoreResult<bool> {
        let job = job.clone();
        // After a power loss, the notification is sent again.
        self.write_as(Durability::Deferred, move |batch| {
            sqlite::move_push(batch.conn, &job, next_seq, then)
        })
        .answer()
        .await
    }

    async fn push_counts(&self) -> StoreResult<PushCounts> {
        self.read(sqlite::push_counts).await
    }
}

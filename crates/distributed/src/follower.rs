//! [`LogFollower`] on PostgreSQL.

use crate::postgres::{self, PostgresStore};
use async_trait::async_trait;
use lamplight_usecases::ports::{
    CommitPosition, CommittedEntry, CommittedSeqs, LogFollower, StoreResult,
};
use std::time::Duration;
use tokio::time::timeout;

/// How often a waiting follower looks for entries that other nodes have committed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[async_trait]
impl LogFollower for PostgresStore {
    async fn position(&self, name: &str) -> StoreResult<Option<CommitPosition>> {
        postgres::follower_position(self, name).await
    }

    async fn head(&self) -> StoreResult<CommitPosition> {
        postgres::commit_head(self).await
    }

    async fn read(&self, after: CommitPosition, limit: usize) -> StoreResult<Vec<CommittedEntry>> {
        postgres::committed_after(self, after, limit).await
    }

    async fn read_seqs(
        &self,
        after: CommitPosition,
        limit: usize,
    ) -> StoreResult<Vec<CommittedSeqs>> {
        postgres::committed_seqs_after(self, after, limit).await
    }

    async fn confirm(&self, name: &str, up_to: CommitPosition) -> StoreResult<()> {
        postgres::confirm(self, name, up_to).await
    }

    async fn changed(&self, after: CommitPosition) {
        let mut commits = self.commits.subscribe();
        loop {
            // The sender lives as long as the store.
            let commit = commits.wait_for(|head| *head > after);
            if timeout(LOOK_EVERY, commit).await.is_ok() {
                return;
            }
            // While the database is away there is nothing to read.
            let newest = postgres::newest(self).await;
            if newest.is_ok_and(|newest| newest > after) {
                return;
            }
        }
    }
}

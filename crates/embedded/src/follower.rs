//! [`LogFollower`] on SQLite. `entries.id` is the order of commits: the one writer assigns it within
//! its transactions, which follow each other, so no entry is committed after one with a higher id.

use crate::sqlite::{self, SqliteStore};
use async_trait::async_trait;
use lamplight_usecases::ports::{CommitPosition, CommittedEntry, LogFollower, StoreResult};

#[async_trait]
impl LogFollower for SqliteStore {
    async fn position(&self, name: &str) -> StoreResult<Option<CommitPosition>> {
        let name = name.to_owned();
        self.read(move |conn| sqlite::follower_position(conn, &name))
            .await
    }

    async fn head(&self) -> StoreResult<CommitPosition> {
        self.read(sqlite::commit_head).await
    }

    async fn read(&self, after: CommitPosition, limit: usize) -> StoreResult<Vec<CommittedEntry>> {
        self.read(move |conn| sqlite::committed_after(conn, after, limit))
            .await
    }

    async fn confirm(&self, name: &str, up_to: CommitPosition) -> StoreResult<()> {
        let name = name.to_owned();
        self.write(move |batch| sqlite::confirm(batch.conn, &name, up_to))
            .answer()
            .await
    }

    async fn changed(&self, after: CommitPosition) {
        let mut commits = self.commits();
        // The sender lives as long as the store.
        drop(commits.wait_for(|head| *head > after).await);
    }
}

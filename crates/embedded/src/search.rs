//! [`MessageSearch`] on SQLite; the queries are in `sqlite/`.

use crate::sqlite::{self, Durability, SqliteStore};
use async_trait::async_trait;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::UserId;
use lamplight_usecases::cursor::SearchKey;
use lamplight_usecases::ports::{IndexProgress, MessageSearch, Page, Search, StoreResult};

#[async_trait]
impl MessageSearch for SqliteStore {
    async fn search(
        &self,
        caller: &UserId,
        search: &Search,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Message>>> {
        let after = cursor.map(SearchKey::read).transpose()?;
        let (caller, search) = (caller.clone(), search.clone());
        self.read(move |conn| sqlite::search(conn, &caller, &search, after, limit))
            .await
    }

    async fn advance(&self, limit: usize) -> StoreResult<IndexProgress> {
        let progress = self.read(sqlite::index_progress).await?;
        if !progress.is_behind {
            return Ok(progress);
        }
        // The index and its position reach the disk together, and can be made again.
        self.write_as(Durability::Deferred, move |batch| {
            sqlite::advance_index(batch, limit)
        })
        .answer()
        .await
    }

    async fn reindex(&self) -> StoreResult<()> {
        self.write(|batch| {
            batch.erased();
            sqlite::reindex(batch.conn)
        })
        .answer()
        .await
    }
}

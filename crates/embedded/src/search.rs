//! [`MessageSearch`] on SQLite; the queries are in `sqlite/`.

use crate::sqlite::{self, Durability, SqliteStore};
use async_trait::async_trait;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::UserId;
use lamplight_usecases::cursor::SearchKey;
use lamplight_usecases::ports::{IndexProgress, MessageSearch, Page, Search, StoreResult};
use std::sync::Arc;

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
        // A reader computes what the writer writes, which keeps other writes waiting only for that.
        let (step, newest) = self
            .read(move |conn| {
                let newest = sqlite::commit_head(conn)?;
                Ok((Arc::new(sqlite::read_index_step(conn, limit)?), newest))
            })
            .await?;
        let mut written = 0;
        while !step.is_written(written) {
            let part = Arc::clone(&step);
            // The index and its position reach the disk together, and can be made again.
            let write = self.write_as(Durability::Deferred, move |batch| {
                sqlite::write_index_step(batch, &part, written)
            });
            match write.answer().await? {
                Some(more) => written = more,
                // Another program emptied the index.
                None => break,
            }
        }
        Ok(step.progress(written, newest))
    }

    async fn index_progress(&self) -> StoreResult<IndexProgress> {
        self.read(sqlite::index_progress).await
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

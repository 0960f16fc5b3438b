//! [`MessageSearch`] on PostgreSQL; the statements are in `postgres/`.

use crate::postgres::{self, PostgresStore};
use async_trait::async_trait;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::UserId;
use lamplight_usecases::cursor::SearchKey;
use lamplight_usecases::ports::{IndexProgress, MessageSearch, Page, Search, StoreResult};

#[async_trait]
impl MessageSearch for PostgresStore {
    async fn search(
        &self,
        caller: &UserId,
        search: &Search,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Message>>> {
        let after = cursor.map(SearchKey::read).transpose()?;
        postgres::search(self, caller, search, after, limit).await
    }

    async fn advance(&self, limit: usize) -> StoreResult<IndexProgress> {
        postgres::advance_index(self, limit).await
    }

    async fn index_progress(&self) -> StoreResult<IndexProgress> {
        postgres::index_progress(self).await
    }

    async fn reindex(&self) -> StoreResult<()> {
        postgres::reindex(self).await
    }
}

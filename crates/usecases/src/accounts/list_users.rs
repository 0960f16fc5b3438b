//! The directory of users: pages and searches.

use super::command::AccountReply;
use super::service::AccountService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::flow::Flow;
use crate::ports::{Page, StoreError, StoreResult};
use crate::refusal::Refusal;
use lamplight_domain::identity::Profile;
use lamplight_domain::text;
use std::sync::Arc;

impl AccountService {
    pub(super) async fn list_users(
        &self,
        caller: &Caller,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if query.chars().count() > 200 {
            return Err(Refusal::invalid("A query has at most 200 characters."));
        }
        let query = text::trim(query);
        if query.is_empty() {
            return Ok(Reply::Accounts(AccountReply::Users(
                deadline::store(self.directory.search(query, cursor, limit)).await?,
            )));
        }
        self.limits.search(user)?;
        Ok(Reply::Accounts(AccountReply::Users(
            deadline::store(self.search_directory(
                query.to_owned(),
                cursor.map(str::to_owned),
                limit,
            ))
            .await?,
        )))
    }

    /// Runs one search at a time. The store finishes a search even if its caller was cancelled, so the
    /// next search waits for that.
    async fn search_directory(
        &self,
        query: String,
        cursor: Option<String>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        let directory = Arc::clone(&self.directory);
        let permit = Arc::clone(&self.search).acquire_owned().await;
        let search = tokio::spawn(Flow::current().run(async move {
            let _permit = permit;
            directory.search(&query, cursor.as_deref(), limit).await
        }));
        search.await.unwrap_or_else(|error| {
            Err(StoreError::Internal(format!(
                "the search task failed: {error}"
            )))
        })
    }
}

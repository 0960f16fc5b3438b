//! The directory of users: pages and searches.

use super::command::AccountReply;
use crate::caller::Caller;
use crate::command::Reply;
use crate::flow::Flow;
use crate::handler::Handler;
use crate::ports::{Page, StoreError, StoreResult};
use crate::refusal::Refusal;
use lamplight_domain::identity::Profile;
use lamplight_domain::text;
use std::sync::Arc;

impl Handler {
    pub(crate) async fn list_users(
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
                self.store(self.ports.directory.search(query, cursor, limit))
                    .await?,
            )));
        }
        self.limits.search(user)?;
        Ok(Reply::Accounts(AccountReply::Users(
            self.store(self.search(query.to_owned(), cursor.map(str::to_owned), limit))
                .await?,
        )))
    }

    /// One search after the other. It goes on in the store when nobody waits for it any more, so
    /// the next begins when it is over.
    async fn search(
        &self,
        query: String,
        cursor: Option<String>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        let directory = Arc::clone(&self.ports.directory);
        let turn = Arc::clone(&self.searching).acquire_owned().await;
        let search = tokio::spawn(Flow::current().run(async move {
            let _turn = turn;
            directory.search(&query, cursor.as_deref(), limit).await
        }));
        search.await.unwrap_or_else(|error| {
            Err(StoreError::Internal(format!(
                "a search was given up: {error}"
            )))
        })
    }
}

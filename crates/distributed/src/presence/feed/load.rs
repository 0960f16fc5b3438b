//! Reads a bucket from Redis, page by page.

use super::super::change::Position;
use super::super::record::Record;
use super::Feed;
use crate::redis::{RedisError, RedisResult};
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{LoadedBucket, ManualStatus, UserRecord};
use std::collections::HashMap;
use std::sync::Arc;

/// Records in one page, so that no page occupies Redis for long.
const PAGE: usize = 500;

impl Feed {
    /// The pages are read one after the other while users change. Each record is as new as the number
    /// that the first page has, or newer; what changed later comes as a change as well, and versions
    /// tell which is newer.
    pub(super) async fn read_bucket(&self, index: usize) -> RedisResult<LoadedBucket<Arc<str>>> {
        let first = self.scripts.page(index, "0", PAGE).await?;
        let mut loaded = LoadedBucket {
            position: Position {
                epoch: first.epoch.as_str().into(),
                number: first.number,
            },
            version: first.version,
            users: HashMap::new(),
        };
        let mut page = first;
        loop {
            for (user, text) in &page.records {
                let user = UserId::trusted(user.as_str());
                let Some(record) = Record::read(&user, text) else {
                    tracing::warn!(%user, "a presence record cannot be read");
                    continue;
                };
                if let Some(UserRecord::Attached(state)) = record.user {
                    let hidden = state.status.chosen.status == ManualStatus::Invisible;
                    loaded.users.insert(user, (state.shown, hidden));
                }
            }
            if page.cursor == "0" {
                return Ok(loaded);
            }
            page = self.scripts.page(index, &page.cursor, PAGE).await?;
            if *page.epoch != *loaded.position.epoch {
                return Err(RedisError::Unexpected("the bucket was emptied".to_owned()));
            }
        }
    }
}

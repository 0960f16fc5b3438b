//! First profiles. Those that come while others are written are written together, in one statement
//! and one commit: many users who come online at once must not wait for a commit each.

use super::codec::source_to_db;
use super::connection::Sql;
use super::database::Database;
use super::error::{CLOSED, Failure};
use lamplight_domain::identity::UserId;
use lamplight_domain::text::search_key;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{ProfileUpdate, StoreError, StoreResult};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_postgres::types::Type;

/// The most profiles of one commit.
const AT_ONCE: usize = 256;
/// The most users that are remembered as unknown.
const MOST_UNKNOWN: usize = 4_096;

/// Returns no row for a person whom another transaction has inserted meanwhile.
const INSERT: Sql = Sql {
    text: "INSERT INTO people (user_id, user_folded, name, name_folded, avatar_url, source, claims_at, created_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::int8[], $8::int8[])
           ON CONFLICT (user_id) DO NOTHING RETURNING user_id",
    types: &[
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT2_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// The outcome for a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    Made,
    /// The person is there by now, or the batch failed: it is to be written alone.
    NotMade,
}

struct Queued {
    update: ProfileUpdate,
    at: Timestamp,
    reply: oneshot::Sender<StoreResult<First>>,
}

#[derive(Default)]
pub(super) struct FirstProfiles {
    waiting: Mutex<Vec<Queued>>,
    /// Held while a batch is written.
    writing: Arc<tokio::sync::Mutex<()>>,
    /// Users that a recent read did not find. A hint only: the write decides.
    unknown: Mutex<HashSet<UserId>>,
}

impl FirstProfiles {
    /// The directory did not have a user.
    pub(super) fn note_unknown(&self, user: &UserId) {
        let mut unknown = self.unknown.lock();
        if unknown.len() >= MOST_UNKNOWN {
            unknown.clear();
        }
        unknown.insert(user.clone());
    }

    /// Whether the directory did not have a user when it was asked last. Only once.
    pub(super) fn take_unknown(&self, user: &UserId) -> bool {
        self.unknown.lock().remove(user)
    }

    pub(super) async fn write(
        &self,
        database: &Arc<Database>,
        update: ProfileUpdate,
        at: Timestamp,
    ) -> StoreResult<First> {
        let (reply, mut answer) = oneshot::channel();
        self.waiting.lock().push(Queued { update, at, reply });
        let closed = |_| Err(StoreError::Unavailable(CLOSED.into()));
        // Several times if more wait than one batch has room for: those before may have been given
        // up by their callers.
        loop {
            let turn = tokio::select! {
                biased;
                outcome = &mut answer => return outcome.unwrap_or_else(closed),
                turn = Arc::clone(&self.writing).lock_owned() => turn,
            };
            let batch = {
                let mut waiting = self.waiting.lock();
                let count = waiting.len().min(AT_ONCE);
                waiting.drain(..count).collect()
            };
            let database = Arc::clone(database);
            // Run it in its own task, because the other callers must not depend on whether this one
            // keeps waiting.
            tokio::spawn(async move {
                write_batch(&database, batch).await;
                drop(turn);
            });
        }
    }
}

async fn write_batch(database: &Database, mut batch: Vec<Queued>) {
    // Callers who stopped waiting wrote nothing.
    batch.retain(|queued| !queued.reply.is_closed());
    if batch.is_empty() {
        return;
    }
    // Two nodes that make the same people do not wait for each other in a circle.
    batch.sort_by(|one, other| one.update.profile.id.cmp(&other.update.profile.id));
    let outcome = insert(database, &batch).await;
    database.note_write(&outcome);
    let mut made = match outcome {
        Ok(made) => made,
        // One of the profiles causes the error.
        Err(StoreError::Internal(_)) if batch.len() > 1 => HashSet::new(),
        Err(error) => {
            for queued in batch {
                drop(queued.reply.send(Err(error.clone())));
            }
            return;
        }
    };
    for queued in batch {
        let is_made = made.remove(queued.update.profile.id.as_str());
        let first = if is_made { First::Made } else { First::NotMade };
        // The caller may have stopped waiting.
        drop(queued.reply.send(Ok(first)));
    }
}

/// Returns the users that were made.
async fn insert(database: &Database, batch: &[Queued]) -> StoreResult<HashSet<String>> {
    let profiles = || batch.iter().map(|queued| &queued.update.profile);
    let ids: Vec<&str> = profiles().map(|profile| profile.id.as_str()).collect();
    let folded: Vec<String> = ids.iter().map(|id| search_key(id)).collect();
    let names: Vec<&str> = profiles().map(|profile| &*profile.name).collect();
    let names_folded: Vec<String> = names.iter().map(|name| search_key(name)).collect();
    let avatars: Vec<Option<&str>> = profiles()
        .map(|profile| profile.avatar_url.as_deref())
        .collect();
    let updates = || batch.iter().map(|queued| &queued.update);
    let sources: Vec<i16> = updates()
        .map(|update| source_to_db(update.source))
        .collect();
    let issued: Vec<Option<i64>> = updates()
        .map(|update| update.issued_at.map(|at| at.0))
        .collect();
    let times: Vec<i64> = batch.iter().map(|queued| queued.at.0).collect();
    let write = async {
        let connection = database.connection().await?;
        let rows = connection
            .query(
                &INSERT,
                &[
                    &ids,
                    &folded,
                    &names,
                    &names_folded,
                    &avatars,
                    &sources,
                    &issued,
                    &times,
                ],
            )
            .await?;
        let made = rows.iter().map(|row| row.try_get(0));
        made.collect::<Result<_, _>>().map_err(Failure::from)
    };
    match database.within(write).await {
        // Rolled back because of others.
        Err(failure) if failure.is_conflict() => Ok(HashSet::new()),
        outcome => Ok(outcome?),
    }
}

//! Copies all data of a store into another store: rows of the same tables, with the same ids. It
//! continues after an interruption, and compares both stores at the end.

mod tables;

use crate::ports::{StoreError, StoreResult};
use async_trait::async_trait;
use lamplight_domain::identity::Generation;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

pub use tables::{Column, Kind, Row, TABLES, Table, Value};

/// How rows are moved.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Rows that are moved at a time.
    pub rows: usize,
    /// Deletes what the target has.
    pub starts_over: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows: 1_000,
            starts_over: false,
        }
    }
}

/// Rows that are read at a time to compare stores.
const SUMMED_ROWS: usize = 2_000;

/// The identity of a store, which is transferred besides its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Redis' prefix is bound to it.
    pub store_id: String,
    /// Clients compare it.
    pub generation: Generation,
    /// The key of the digests in `erased_entries`.
    pub digest_key: String,
    /// No presence version above this was used, where presence was in memory.
    pub presence_version: u64,
}

/// A store whose rows can be moved. No server uses it meanwhile.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// The first rows of a table after a key, in the order of their keys.
    async fn rows(
        &self,
        table: &'static Table,
        after: Option<&[Value]>,
        limit: usize,
    ) -> StoreResult<Vec<Row>>;

    /// Writes rows, durably and all of them or none. Leaves rows as they are whose keys exist.
    async fn put_rows(&self, table: &'static Table, rows: Vec<Row>) -> StoreResult<()>;

    /// The key of a table's last row.
    async fn last_key(&self, table: &'static Table) -> StoreResult<Option<Vec<Value>>>;

    /// Deletes all rows of all tables.
    async fn clear(&self) -> StoreResult<()>;

    /// The store that this one is being filled from, by its generation: until the end of the
    /// transfer no server opens this store.
    async fn source(&self) -> StoreResult<Option<String>>;

    async fn set_source(&self, source: &str) -> StoreResult<()>;

    async fn identity(&self) -> StoreResult<Identity>;

    /// Ends a transfer into this store, which takes the place of its source: clients go on with what
    /// they have, nodes with the same prefix in Redis. The presence version never falls.
    async fn finish(&self, identity: &Identity) -> StoreResult<()>;

    /// Gives this store a new id and generation, because it is a separate store if it is used
    /// again.
    async fn leave(&self) -> StoreResult<()>;
}

/// Why rows were not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("the source: {0}")]
    Source(StoreError),
    #[error("the target: {0}")]
    Target(StoreError),
    #[error(
        "the target has data already: the table {0} is not empty; name an empty database, or use --start-over to delete what is there"
    )]
    NotEmpty(&'static str),
    #[error(
        "the target was partly filled from another store, or the source went back in time since; use --start-over to begin again"
    )]
    OtherSource,
    #[error(
        "the table {table} differs: {source_count} rows in the source, {target_count} in the target, or other values; \
         was the source used meanwhile? Stop its servers and use --start-over"
    )]
    Differs {
        table: &'static str,
        source_count: u64,
        target_count: u64,
    },
}

/// The number of rows of a table, and a checksum over all their values in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub table: &'static str,
    pub rows: u64,
    pub checksum: String,
}

/// How far a transfer has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An earlier one was interrupted.
    Resumed,
    /// So many rows of a table were moved by this run.
    Moved { table: &'static str, rows: u64 },
    /// Source and target agree.
    Verified(Summary),
}

/// Moves everything from one store to another one, and compares them.
///
/// # Errors
/// When a store fails, the target has other data, or the two differ in the end.
pub async fn transfer(
    source: &dyn Transfer,
    target: &dyn Transfer,
    options: Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<Summary>, TransferError> {
    use TransferError::{Source, Target};
    let identity = source.identity().await.map_err(Source)?;
    let generation = &identity.generation;
    if options.starts_over {
        target
            .set_source(generation.as_str())
            .await
            .map_err(Target)?;
        target.clear().await.map_err(Target)?;
    }
    match target.source().await.map_err(Target)? {
        Some(before) if before == generation.as_str() => progress(Progress::Resumed),
        Some(_) => return Err(TransferError::OtherSource),
        // Killed after the last step but one.
        None if target.identity().await.map_err(Target)?.generation == *generation => {
            progress(Progress::Resumed);
        }
        None => {
            for table in TABLES {
                if target.last_key(table).await.map_err(Target)?.is_some() {
                    return Err(TransferError::NotEmpty(table.name));
                }
            }
            target
                .set_source(generation.as_str())
                .await
                .map_err(Target)?;
        }
    }
    for table in TABLES {
        let mut after = target.last_key(table).await.map_err(Target)?;
        let mut moved = 0;
        loop {
            let rows = source
                .rows(table, after.as_deref(), options.rows)
                .await
                .map_err(Source)?;
            let Some(last) = rows.last() else { break };
            after = Some(table.key_of(last).to_vec());
            moved += rows.len() as u64;
            target.put_rows(table, rows).await.map_err(Target)?;
            progress(Progress::Moved {
                table: table.name,
                rows: moved,
            });
        }
    }
    let mut summaries = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let expected = summary(source, table).await.map_err(Source)?;
        let found = summary(target, table).await.map_err(Target)?;
        if expected != found {
            return Err(TransferError::Differs {
                table: table.name,
                source_count: expected.rows,
                target_count: found.rows,
            });
        }
        progress(Progress::Verified(found.clone()));
        summaries.push(found);
    }
    target.finish(&identity).await.map_err(Target)?;
    source.leave().await.map_err(Source)?;
    Ok(summaries)
}

/// Counts the rows of a table and sums their values up.
///
/// # Errors
/// When the store fails.
pub async fn summary(store: &dyn Transfer, table: &'static Table) -> StoreResult<Summary> {
    let mut digest = Sha256::new();
    let (mut count, mut after) = (0, None::<Vec<Value>>);
    loop {
        let rows = store.rows(table, after.as_deref(), SUMMED_ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = Some(table.key_of(last).to_vec());
        count += rows.len() as u64;
        for value in rows.iter().flatten() {
            match value {
                Value::Null => digest.update([0]),
                Value::Number(number) => {
                    digest.update([1]);
                    digest.update(number.to_be_bytes());
                }
                Value::Text(text) => {
                    digest.update([2]);
                    digest.update((text.len() as u64).to_be_bytes());
                    digest.update(text.as_bytes());
                }
            }
        }
    }
    let checksum = digest
        .finalize()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    Ok(Summary {
        table: table.name,
        rows: count,
        checksum,
    })
}

//! Copies all data of a store into another store: rows of the same tables, with the same ids. It
//! continues after an interruption, and compares both stores at the end.

use crate::ports::{StoreError, StoreResult};
use async_trait::async_trait;
use lamplight_domain::identity::Generation;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

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

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Number(i64),
    Text(String),
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    /// A number of a few values, which PostgreSQL keeps in two bytes.
    Small,
    Text,
    /// The content of an entry or of an edit, which may have a U+0000.
    Content,
}

/// A column of both stores.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    /// Its name in SQLite, where an older schema gave it another one.
    pub sqlite: &'static str,
    pub kind: Kind,
}

/// A table of both stores.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    /// The first `key` columns are its key, which orders its rows.
    pub key: usize,
    pub columns: &'static [Column],
}

/// A row, in the order of its table's columns.
pub type Row = Vec<Value>;

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        sqlite: name,
        kind,
    }
}

const fn number(name: &'static str) -> Column {
    column(name, Kind::Number)
}

const fn small(name: &'static str) -> Column {
    column(name, Kind::Small)
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn renamed(name: &'static str, sqlite: &'static str) -> Column {
    Column {
        name,
        sqlite,
        kind: Kind::Number,
    }
}

/// All tables that are moved, each after those that it refers to. Keys of names are moved as they
/// are, because both stores have made them by this version's rules when they were opened.
pub const TABLES: &[Table] = &[
    Table {
        name: "people",
        key: 1,
        columns: &[
            number("id"),
            text("user_id"),
            text("user_folded"),
            text("name"),
            text("name_folded"),
            text("avatar_url"),
            small("source"),
            number("claims_at"),
            small("status"),
            text("status_text"),
            number("status_until"),
            number("status_revision"),
            number("last_seen"),
            small("hides_last_seen"),
            small("hides_reads"),
            number("created_at"),
        ],
    },
    Table {
        name: "blocks",
        key: 2,
        columns: &[number("person"), number("blocked"), number("created_at")],
    },
    Table {
        name: "accounts",
        key: 1,
        columns: &[
            text("name_folded"),
            text("username"),
            text("name_search"),
            text("name_look"),
            number("person"),
            text("password_hash"),
            number("created_at"),
        ],
    },
    Table {
        name: "account_networks",
        key: 2,
        columns: &[number("person"), text("network"), number("last_at")],
    },
    Table {
        name: "sessions",
        key: 1,
        columns: &[
            text("digest"),
            number("person"),
            number("created_at"),
            number("expires_at"),
        ],
    },
    Table {
        name: "account_deletions",
        key: 1,
        columns: &[
            number("person"),
            small("erases_messages"),
            number("position"),
            number("created_at"),
        ],
    },
    Table {
        name: "conversations",
        key: 1,
        columns: &[
            number("id"),
            text("conversation_id"),
            text("direct_key"),
            number("head_seq"),
            number("last_at"),
            number("position"),
            number("created_at"),
        ],
    },
    Table {
        name: "members",
        key: 2,
        columns: &[
            number("conversation"),
            number("person"),
            number("read_seq"),
            number("delivered_seq"),
            renamed("visible_read_seq", "told_read_seq"),
            renamed("visible_delivered_seq", "told_delivered_seq"),
            small("role"),
            number("first_seq"),
            number("joined_seq"),
            number("role_seq"),
        ],
    },
    Table {
        name: "conversation_groups",
        key: 1,
        columns: &[
            number("conversation"),
            text("name"),
            text("avatar_url"),
            small("history"),
            number("details_seq"),
            number("maker"),
            text("client_id"),
        ],
    },
    Table {
        name: "member_settings",
        key: 2,
        columns: &[
            number("conversation"),
            number("person"),
            number("muted_until"),
            small("archived"),
            small("pinned"),
        ],
    },
    Table {
        name: "entries",
        key: 1,
        columns: &[
            number("id"),
            number("conversation"),
            number("seq"),
            text("message_id"),
            number("sender"),
            column("content", Kind::Content),
            text("dedupe_key"),
            number("created_at"),
        ],
    },
    Table {
        name: "other_entries",
        key: 2,
        columns: &[
            number("conversation"),
            number("seq"),
            text("kind"),
            number("message_count"),
            number("last_message_seq"),
        ],
    },
    Table {
        name: "message_extras",
        key: 2,
        columns: &[number("conversation"), number("seq"), text("record")],
    },
    Table {
        name: "message_changes",
        key: 2,
        columns: &[
            number("conversation"),
            number("seq"),
            column("content", Kind::Content),
            text("mentions"),
            number("content_seq"),
            number("edited_at"),
            number("deleted_seq"),
            number("deleted_at"),
            number("pinned_seq"),
            number("pinned_at"),
        ],
    },
    Table {
        name: "reactions",
        key: 4,
        columns: &[
            number("conversation"),
            number("seq"),
            text("emoji"),
            number("person"),
            number("entry_seq"),
        ],
    },
    Table {
        name: "message_edits",
        key: 3,
        columns: &[number("conversation"), number("seq"), number("entry_seq")],
    },
    Table {
        name: "erased_entries",
        key: 2,
        columns: &[number("conversation"), number("seq"), text("digest")],
    },
    Table {
        name: "files",
        key: 1,
        columns: &[
            text("id"),
            number("owner"),
            number("conversation"),
            column("name", Kind::Content),
            text("type"),
            number("size"),
            number("received"),
            small("state"),
            number("width"),
            number("height"),
            small("thumbnail"),
            number("seq"),
            small("position"),
            number("created_at"),
            number("changed_at"),
            text("blur_hash"),
            number("duration"),
            number("scan_at"),
            number("scan_failures"),
            number("generation"),
            text("place"),
        ],
    },
    Table {
        name: "avatars",
        key: 1,
        columns: &[
            text("id"),
            number("person"),
            number("conversation"),
            number("created_at"),
        ],
    },
    Table {
        name: "push_keys",
        key: 1,
        columns: &[
            number("id"),
            text("public_key"),
            text("private_key"),
            number("created_at"),
        ],
    },
    Table {
        name: "push_subscriptions",
        key: 1,
        columns: &[
            number("id"),
            number("person"),
            text("session"),
            text("endpoint"),
            text("p256dh"),
            text("auth"),
            small("content"),
            number("push_key"),
            number("created_at"),
            number("renewed_at"),
            number("failures"),
            number("retry_at"),
        ],
    },
    Table {
        name: "push_queue",
        key: 2,
        columns: &[
            number("subscription"),
            number("conversation"),
            number("from_seq"),
            number("to_seq"),
            number("due_at"),
        ],
    },
    Table {
        name: "follower_positions",
        key: 1,
        columns: &[text("name"), number("position")],
    },
];

impl Table {
    /// The key in a row.
    #[must_use]
    pub fn key_of<'a>(&self, row: &'a [Value]) -> &'a [Value] {
        &row[..self.key]
    }
}

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

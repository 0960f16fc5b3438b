//! The presence version of a node that keeps presence in its memory, over restarts.

use super::{Failure, PostgresStore, Repeat, Sql, from_db, to_db};
use lamplight_usecases::ports::StoreResult;
use tokio_postgres::types::Type;

static READ: Sql = Sql {
    text: "SELECT value::int8 FROM properties WHERE name = 'presence_version'",
    types: &[],
};
static KEEP: Sql = Sql {
    text: "INSERT INTO properties (name, value) VALUES ('presence_version', $1::int8::text)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    types: &[Type::INT8],
};

impl PostgresStore {
    /// What [`PostgresStore::keep_presence_version`] stored last, 0 at first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn presence_version(&self) -> StoreResult<u64> {
        let row = self.row(&READ, &[]).await?;
        let version: Result<i64, Failure> = row.map_or(Ok(0), |row| Ok(row.try_get(0)?));
        Ok(from_db(version?))
    }

    /// Stores a presence version for the next start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_presence_version(&self, version: u64) -> StoreResult<()> {
        self.transact(Repeat::Safe, |connection| async move {
            connection
                .execute(&KEEP, &[&to_db(version)])
                .await
                .map(drop)
        })
        .await
    }
}

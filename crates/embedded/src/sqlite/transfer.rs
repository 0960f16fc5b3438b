//! [`Transfer`] on SQLite: `lamplight migrate`.

use super::SqliteStore;
use super::checkpoint::{PRESENCE, counter, renew_generation, set_counter};
use super::codec::{from_db, to_db};
use super::search_index::reindex;
use super::transfer_source::{SOURCE, source};
use async_trait::async_trait;
use lamplight_domain::identity::Generation;
use lamplight_usecases::ports::StoreResult;
use lamplight_usecases::transfer::{Column, Identity, Row, TABLES, Table, Transfer, Value};
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, ToSql, params_from_iter};

struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(SqlValue::Null),
            Value::Number(number) => ToSqlOutput::Owned(SqlValue::Integer(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.sqlite).collect();
    names.join(", ")
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn value(row: &rusqlite::Row<'_>, place: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(place)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Number(number),
        _ => Value::Text(row.get(place)?),
    })
}

fn select(
    conn: &Connection,
    table: &Table,
    after: Option<&[Value]>,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let key = names(&table.columns[..table.key]);
    let past = match after {
        Some(after) => format!("WHERE ({key}) > ({})", marks(after.len())),
        None => String::new(),
    };
    let columns = names(table.columns);
    let sql = format!(
        "SELECT {columns} FROM {} {past} ORDER BY {key} LIMIT {limit}",
        table.name
    );
    let mut statement = conn.prepare(&sql)?;
    let after = after.unwrap_or_default().iter().map(Bound);
    statement
        .query_map(params_from_iter(after), |row| {
            (0..table.columns.len())
                .map(|place| value(row, place))
                .collect()
        })?
        .collect()
}

#[async_trait]
impl Transfer for SqliteStore {
    async fn rows(
        &self,
        table: &'static Table,
        after: Option<&[Value]>,
        limit: usize,
    ) -> StoreResult<Vec<Row>> {
        let after = after.map(<[Value]>::to_vec);
        self.read(move |conn| select(conn, table, after.as_deref(), limit))
            .await
    }

    async fn put_rows(&self, table: &'static Table, rows: Vec<Row>) -> StoreResult<()> {
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO NOTHING",
            table.name,
            names(table.columns),
            marks(table.columns.len()),
            names(&table.columns[..table.key])
        );
        let written = self.write(move |batch| {
            let mut insert = batch.conn.prepare_cached(&sql)?;
            for row in &rows {
                insert.execute(params_from_iter(row.iter().map(Bound)))?;
            }
            Ok(())
        });
        written.answer().await
    }

    async fn last_key(&self, table: &'static Table) -> StoreResult<Option<Vec<Value>>> {
        let key = &table.columns[..table.key];
        let order: Vec<String> = key
            .iter()
            .map(|column| format!("{} DESC", column.sqlite))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            names(key),
            table.name,
            order.join(", ")
        );
        self.read(move |conn| {
            conn.query_row(&sql, [], |row| {
                (0..table.key).map(|place| value(row, place)).collect()
            })
            .optional()
        })
        .await
    }

    async fn clear(&self) -> StoreResult<()> {
        let cleared = self.write(|batch| {
            for table in TABLES.iter().rev() {
                batch
                    .conn
                    .execute(&format!("DELETE FROM {}", table.name), [])?;
            }
            // Otherwise it would have texts of removed messages, and skip imported ones.
            reindex(batch.conn)?;
            batch.erased();
            Ok(())
        });
        cleared.answer().await
    }

    async fn source(&self) -> StoreResult<Option<String>> {
        self.read(source).await
    }

    async fn set_source(&self, source: &str) -> StoreResult<()> {
        let source = source.to_owned();
        let written = self.write(move |batch| set_property(batch.conn, SOURCE, &source));
        written.answer().await
    }

    async fn identity(&self) -> StoreResult<Identity> {
        let identity = |conn: &Connection| {
            Ok(Identity {
                store_id: property(conn, "store_id")?,
                generation: Generation::trusted(property(conn, "generation")?),
                digest_key: property(conn, "digest_key")?,
                presence_version: from_db(counter(conn, PRESENCE)?.unwrap_or(0)),
            })
        };
        self.read(identity).await
    }

    async fn finish(&self, identity: &Identity) -> StoreResult<()> {
        // The sidecar first: if the process ends between the two, the next start takes the database
        // for another one and ends its sessions, and the transfer, which is not over, moves them
        // again.
        let taken = identity.clone();
        let generation = taken.generation.as_str();
        self.checkpointer.lock().set_generation(generation);
        let written = self.write(move |batch| {
            set_property(batch.conn, "store_id", &taken.store_id)?;
            set_property(batch.conn, "generation", taken.generation.as_str())?;
            set_property(batch.conn, "digest_key", &taken.digest_key)?;
            let version = counter(batch.conn, PRESENCE)?.unwrap_or(0);
            let version = version.max(to_db(taken.presence_version));
            set_counter(batch.conn, PRESENCE, version)?;
            // The numbers of entries are those of the source: the index had other entries.
            reindex(batch.conn)?;
            batch
                .conn
                .execute("DELETE FROM properties WHERE name = ?1", [SOURCE])
                .map(drop)
        });
        written.answer().await
    }

    async fn leave(&self) -> StoreResult<()> {
        let written = self.write(|batch| {
            renew_generation(batch.conn)?;
            let sql =
                "UPDATE properties SET value = lower(hex(randomblob(16))) WHERE name = 'store_id'";
            batch.conn.execute(sql, [])?;
            property(batch.conn, "generation")
        });
        let renewed = written.answer().await?;
        self.checkpointer.lock().set_generation(&renewed);
        Ok(())
    }
}

fn property(conn: &Connection, name: &str) -> rusqlite::Result<String> {
    let sql = "SELECT value FROM properties WHERE name = ?1";
    conn.query_row(sql, [name], |row| row.get(0))
}

fn set_property(conn: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO properties (name, value) VALUES (?1, ?2)";
    conn.execute(sql, [name, value]).map(drop)
}

//! [`Transfer`] on PostgreSQL: `lamplight migrate`.

use super::codec::{content_from_db, content_to_db};
use super::transfer_source::{SOURCE, source};
use super::{Failure, PostgresStore, Repeat, to_db};
use async_trait::async_trait;
use lamplight_domain::identity::Generation;
use lamplight_usecases::ports::{StoreError, StoreResult};
use lamplight_usecases::transfer::{Column, Identity, Kind, Row, TABLES, Table, Transfer, Value};
use tokio_postgres::types::{ToSql, Type};

/// Makes a store the one that it was filled from.
const TAKE_OVER: &str = "INSERT INTO properties (name, value)
    VALUES ('store_id', $1), ('generation', $2), ('presence_version', $3::int8::text), ('digest_key', $4)
    ON CONFLICT (name) DO UPDATE SET value = CASE
        WHEN excluded.name = 'presence_version'
            THEN greatest(excluded.value::int8, properties.value::int8)::text
        ELSE excluded.value END";

/// Resets the search index. The position first, in the same order as a step of the index.
const EMPTY_INDEX: &str = "UPDATE search_position SET position = 0; TRUNCATE search_index";

/// A parameter with its type.
type Parameter = (Box<dyn ToSql + Sync + Send>, Type);

/// A value as its column has it.
fn parameter(kind: Kind, value: &Value) -> Result<Parameter, Failure> {
    let (number, text) = parts(kind, value)?;
    Ok(match kind {
        Kind::Number => (Box::new(number), Type::INT8),
        Kind::Small => (Box::new(small(number)?), Type::INT2),
        Kind::Text | Kind::Content => (Box::new(text), Type::TEXT),
    })
}

/// A column of many rows.
fn array(kind: Kind, rows: &[Row], place: usize) -> Result<Parameter, Failure> {
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    for row in rows {
        let (number, text) = parts(kind, &row[place])?;
        numbers.push(number);
        texts.push(text);
    }
    Ok(match kind {
        Kind::Number => (Box::new(numbers), Type::INT8_ARRAY),
        Kind::Small => {
            let numbers = numbers.into_iter().map(small);
            let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
            (Box::new(numbers), Type::INT2_ARRAY)
        }
        Kind::Text | Kind::Content => (Box::new(texts), Type::TEXT_ARRAY),
    })
}

fn parts(kind: Kind, value: &Value) -> Result<(Option<i64>, Option<String>), Failure> {
    let is_number = matches!(kind, Kind::Number | Kind::Small);
    match value {
        Value::Null => Ok((None, None)),
        Value::Number(number) if is_number => Ok((Some(*number), None)),
        Value::Text(text) if kind == Kind::Content => {
            Ok((None, Some(content_to_db(text).into_owned())))
        }
        Value::Text(text) if kind == Kind::Text => Ok((None, Some(text.clone()))),
        other => Err(StoreError::Internal(format!("{other:?} is no value of its column")).into()),
    }
}

fn small(number: Option<i64>) -> Result<Option<i16>, Failure> {
    let small = number.map(i16::try_from).transpose();
    small.map_err(|error| StoreError::Internal(error.to_string()).into())
}

fn value(
    row: &tokio_postgres::Row,
    place: usize,
    kind: Kind,
) -> Result<Value, tokio_postgres::Error> {
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Number);
    Ok(match kind {
        Kind::Number => number(row.try_get(place)?),
        Kind::Small => number(row.try_get::<_, Option<i16>>(place)?.map(i64::from)),
        Kind::Text => row
            .try_get::<_, Option<String>>(place)?
            .map_or(Value::Null, Value::Text),
        Kind::Content => row
            .try_get::<_, Option<&str>>(place)?
            .map_or(Value::Null, |text| {
                Value::Text(content_from_db(text).into_owned())
            }),
    })
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    names.join(", ")
}

fn numbered(count: usize) -> String {
    let marks: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    marks.join(", ")
}

fn borrowed(parameters: &[Parameter]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    parameters
        .iter()
        .map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone()))
        .collect()
}

impl PostgresStore {
    async fn select(
        &self,
        sql: &str,
        parameters: &[Parameter],
    ) -> StoreResult<Vec<tokio_postgres::Row>> {
        let read = async {
            let connection = self.connection().await?;
            let parameters = borrowed(parameters);
            Ok(connection.client().query_typed(sql, &parameters).await?)
        };
        Ok(self.within(read).await?)
    }

    /// Runs statements without parameters in one transaction.
    async fn run(&self, sql: &str) -> StoreResult<()> {
        self.transact(Repeat::Safe, |connection| async move {
            Ok(connection.client().batch_execute(sql).await?)
        })
        .await
    }

    async fn property(&self, name: &str) -> StoreResult<String> {
        let sql = format!("SELECT value FROM properties WHERE name = '{name}'");
        let rows = self.select(&sql, &[]).await?;
        let missing = || StoreError::Internal(format!("the store has no {name}"));
        let row = rows.first().ok_or_else(missing)?;
        Ok(row.try_get(0).map_err(Failure::from)?)
    }

    async fn set_property(&self, name: &str, value: &str) -> StoreResult<()> {
        let sql = "INSERT INTO properties (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.transact(Repeat::Safe, |connection| async move {
            let parameters: &[(&(dyn ToSql + Sync), Type)] =
                &[(&name, Type::TEXT), (&value, Type::TEXT)];
            connection.client().execute_typed(sql, parameters).await?;
            Ok(())
        })
        .await
    }

    /// The nodes that use this store, as they reported last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn live_nodes(&self) -> StoreResult<Vec<String>> {
        let sql = "SELECT node_id FROM nodes WHERE renewed_at > clock_timestamp() - interval '15 seconds' ORDER BY node_id";
        let rows = self.select(sql, &[]).await?;
        let nodes = rows.iter().map(|row| row.try_get(0));
        Ok(nodes.collect::<Result<_, _>>().map_err(Failure::from)?)
    }
}

#[async_trait]
impl Transfer for PostgresStore {
    async fn rows(
        &self,
        table: &'static Table,
        after: Option<&[Value]>,
        limit: usize,
    ) -> StoreResult<Vec<Row>> {
        let key = &table.columns[..table.key];
        let names_of_key = names(key);
        let mut parameters = Vec::new();
        let past = match after {
            Some(after) => {
                for (column, value) in key.iter().zip(after) {
                    parameters.push(parameter(column.kind, value)?);
                }
                format!("WHERE ({names_of_key}) > ({})", numbered(after.len()))
            }
            None => String::new(),
        };
        let (columns, name) = (names(table.columns), table.name);
        let sql =
            format!("SELECT {columns} FROM {name} {past} ORDER BY {names_of_key} LIMIT {limit}");
        let found = self.select(&sql, &parameters).await?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let values = table.columns.iter().enumerate();
            let values = values.map(|(place, column)| value(row, place, column.kind));
            rows.push(values.collect::<Result<Row, _>>().map_err(Failure::from)?);
        }
        Ok(rows)
    }

    async fn put_rows(&self, table: &'static Table, rows: Vec<Row>) -> StoreResult<()> {
        let mut arrays = Vec::with_capacity(table.columns.len());
        for (place, column) in table.columns.iter().enumerate() {
            arrays.push(array(column.kind, &rows, place)?);
        }
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO NOTHING",
            table.name,
            names(table.columns),
            numbered(table.columns.len()),
            names(&table.columns[..table.key])
        );
        let (sql, arrays) = (&sql, &arrays);
        self.transact(Repeat::Safe, |connection| async move {
            let parameters = borrowed(arrays);
            connection.client().execute_typed(sql, &parameters).await?;
            Ok(())
        })
        .await
    }

    async fn last_key(&self, table: &'static Table) -> StoreResult<Option<Vec<Value>>> {
        let key = &table.columns[..table.key];
        let order: Vec<String> = key
            .iter()
            .map(|column| format!("{} DESC", column.name))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            names(key),
            table.name,
            order.join(", ")
        );
        let rows = self.select(&sql, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let values = key.iter().enumerate();
        let values = values.map(|(place, column)| value(row, place, column.kind));
        Ok(Some(
            values.collect::<Result<_, _>>().map_err(Failure::from)?,
        ))
    }

    async fn clear(&self) -> StoreResult<()> {
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        // The index too: otherwise it would have words of removed messages, and skip imported ones.
        self.run(&format!("{EMPTY_INDEX}; TRUNCATE {}", tables.join(", ")))
            .await
    }

    async fn source(&self) -> StoreResult<Option<String>> {
        let found = async {
            let connection = self.connection().await?;
            Ok(source(connection.client()).await?)
        };
        Ok(self.within(found).await?)
    }

    async fn set_source(&self, source: &str) -> StoreResult<()> {
        self.set_property(SOURCE, source).await
    }

    async fn identity(&self) -> StoreResult<Identity> {
        Ok(Identity {
            store_id: self.property("store_id").await?,
            generation: Generation::trusted(self.property("generation").await?),
            digest_key: self.property("digest_key").await?,
            presence_version: self.presence_version().await?,
        })
    }

    async fn finish(&self, identity: &Identity) -> StoreResult<()> {
        // The numbers of entries are those of the source: the index had other entries.
        self.run(EMPTY_INDEX).await?;
        // The tables and columns that SQLite does not have.
        self.run(
            "UPDATE conversations c SET member_count = m.count
                 FROM (SELECT conversation, count(*) AS count FROM members GROUP BY conversation) m
                 WHERE m.conversation = c.id AND c.member_count <> m.count;
             UPDATE people p SET has_blocks = true
                 FROM (SELECT person AS id FROM blocks UNION SELECT blocked FROM blocks) b WHERE b.id = p.id AND NOT p.has_blocks;
             UPDATE people p SET has_blocks = true
                 FROM (SELECT o.person AS id FROM people d JOIN members m ON m.person = d.id
                     JOIN members o ON o.conversation = m.conversation
                     JOIN conversations c ON c.id = m.conversation AND c.member_count = 2 WHERE d.source = 3) b
                 WHERE b.id = p.id AND NOT p.has_blocks;
             UPDATE conversations c SET has_archived = true
                 FROM (SELECT DISTINCT conversation FROM member_settings WHERE archived = 1) s
                 WHERE s.conversation = c.id AND NOT c.has_archived;
             SELECT setval(pg_get_serial_sequence('people', 'id'), max(id)) FROM people HAVING max(id) IS NOT NULL;
             SELECT setval(pg_get_serial_sequence('conversations', 'id'), max(id)) FROM conversations HAVING max(id) IS NOT NULL;
             SELECT setval(pg_get_serial_sequence('entries', 'id'), max(id)) FROM entries HAVING max(id) IS NOT NULL;
             SELECT setval(pg_get_serial_sequence('push_keys', 'id'), max(id)) FROM push_keys HAVING max(id) IS NOT NULL;
             SELECT setval(pg_get_serial_sequence('push_subscriptions', 'id'), max(id)) FROM push_subscriptions HAVING max(id) IS NOT NULL;
             ANALYZE",
        )
        .await?;
        let (generation, version) = (
            identity.generation.as_str(),
            to_db(identity.presence_version),
        );
        self.transact(Repeat::Safe, |connection| async move {
            let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
                (&identity.store_id, Type::TEXT),
                (&generation, Type::TEXT),
                (&version, Type::INT8),
                (&identity.digest_key, Type::TEXT),
            ];
            let client = connection.client();
            client.execute_typed(TAKE_OVER, parameters).await?;
            let end = "DELETE FROM properties WHERE name = 'transfer_source'";
            client.execute_typed(end, &[]).await?;
            Ok(())
        })
        .await
    }

    async fn leave(&self) -> StoreResult<()> {
        self.run(
            "UPDATE properties SET value = left(replace(gen_random_uuid()::text, '-', ''), 16) WHERE name = 'generation';
             UPDATE properties SET value = replace(gen_random_uuid()::text, '-', '') WHERE name = 'store_id'",
        )
        .await
    }
}

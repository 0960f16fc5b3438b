//! A connection of the pool. If it is dropped in the middle of a request or transaction, it does
//! not return to the pool.

use super::connect::{Connector, Timeouts};
use super::error::Failure;
use deadpool::managed::Object;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Statement};

/// A statement with the types of its parameters.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) text: &'static str,
    pub(crate) types: &'static [Type],
}

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement that is ready, so that running it needs one message and no answer first.
pub(crate) enum Ready<'a> {
    Prepared(Statement),
    /// For poolers that hand each transaction another connection of the server.
    Unnamed(&'a Sql),
}

pub(crate) struct Connection {
    /// `None` only while it is dropped.
    client: Option<Object<Connector>>,
    prepares: bool,
    timeouts: Timeouts,
    in_flight: AtomicU32,
    in_transaction: AtomicBool,
}

impl Connection {
    pub(super) fn new(client: Object<Connector>, prepares: bool, timeouts: Timeouts) -> Self {
        Self {
            client: Some(client),
            prepares,
            timeouts,
            in_flight: AtomicU32::new(0),
            in_transaction: AtomicBool::new(false),
        }
    }

    /// All rows of a statement.
    pub(crate) async fn query(&self, sql: &Sql, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let ready = self.prepare(sql).await?;
        self.query_ready(&ready, params).await
    }

    /// The first row of a statement, if there is one.
    pub(crate) async fn query_opt(
        &self,
        sql: &Sql,
        params: Params<'_>,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) async fn execute(&self, sql: &Sql, params: Params<'_>) -> Result<u64, Failure> {
        let ready = self.prepare(sql).await?;
        self.execute_ready(&ready, params).await
    }

    /// Prepares a statement once for each connection. To pipeline statements, prepare all of them
    /// ([`Connection::prepare_all`]), then poll them together in their order (`join!`): the first
    /// poll sends. Report the first failure in this order: once a statement of a transaction has
    /// failed, those after it only say that the transaction is aborted. `try_join!` reports any.
    pub(crate) async fn prepare<'a>(&self, sql: &'a Sql) -> Result<Ready<'a>, Failure> {
        if !self.prepares {
            return Ok(Ready::Unnamed(sql));
        }
        self.guarded(self.client().prepare_typed_cached(sql.text, sql.types))
            .await
            .map(Ready::Prepared)
    }

    /// Prepares statements in one round trip.
    pub(crate) async fn prepare_all<'a, const N: usize>(
        &self,
        statements: [&'a Sql; N],
    ) -> Result<[Ready<'a>; N], Failure> {
        let ready = join_all(statements.map(|sql| self.prepare(sql))).await;
        let ready = ready.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        ready.try_into().map_err(|_| missing())
    }

    pub(crate) async fn query_ready(
        &self,
        statement: &Ready<'_>,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failure> {
        match statement {
            Ready::Prepared(statement) => {
                self.guarded(self.client().query(statement, params)).await
            }
            Ready::Unnamed(sql) => {
                let params = typed(sql, params);
                self.guarded(self.client().query_typed(sql.text, &params))
                    .await
            }
        }
    }

    pub(crate) async fn execute_ready(
        &self,
        statement: &Ready<'_>,
        params: Params<'_>,
    ) -> Result<u64, Failure> {
        match statement {
            Ready::Prepared(statement) => {
                self.guarded(self.client().execute(statement, params)).await
            }
            Ready::Unnamed(sql) => {
                let params = typed(sql, params);
                self.guarded(self.client().execute_typed(sql.text, &params))
                    .await
            }
        }
    }

    /// The rows of statements that only read, all of one snapshot, in one round trip. With all
    /// statements sent at once, nothing is left open if this is dropped.
    pub(crate) async fn snapshot<const N: usize>(
        &self,
        statements: &[(&Sql, Params<'_>); N],
    ) -> Result<[Vec<Row>; N], Failure> {
        let mut ready = Vec::with_capacity(N);
        for (sql, params) in statements {
            ready.push((self.prepare(sql).await?, *params));
        }
        self.in_transaction.store(true, Ordering::Relaxed);
        let begin = self.guarded(
            self.client()
                .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        );
        let reads = join_all(
            ready
                .iter()
                .map(|(statement, params)| self.query_ready(statement, params)),
        );
        let (begun, rows, committed) = join!(begin, reads, self.commit());
        begun.and(committed)?;
        let rows = rows.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        rows.try_into().map_err(|_| missing())
    }

    /// Begins a transaction. Every one ends with [`Connection::commit`] or
    /// [`Connection::rollback`]; otherwise the connection is closed, which rolls it back.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        self.in_transaction.store(true, Ordering::Relaxed);
        if self.prepares {
            self.guarded(self.client().batch_execute("BEGIN")).await
        } else {
            // The session belongs to the pooler, so the settings are the transaction's.
            let begin = format!("BEGIN; {}", self.timeouts.sql(true));
            self.guarded(self.client().batch_execute(&begin)).await
        }
    }

    /// Commits. PostgreSQL answers in the same way if a statement failed before and the transaction
    /// is rolled back instead, so the answers to the statements decide.
    pub(crate) async fn commit(&self) -> Result<(), Failure> {
        self.guarded(self.client().batch_execute("COMMIT")).await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) async fn rollback(&self) -> Result<(), Failure> {
        self.guarded(self.client().batch_execute("ROLLBACK"))
            .await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The driver's client, for what has no method here.
    pub(crate) fn client(&self) -> &deadpool_postgres::ClientWrapper {
        self.client.as_ref().expect("it is there until the drop")
    }

    async fn guarded<T>(
        &self,
        request: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let answer = request.await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        Ok(answer?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let is_clean = *self.in_flight.get_mut() == 0 && !*self.in_transaction.get_mut();
        if let Some(client) = self.client.take()
            && !is_clean
        {
            drop(Object::take(client));
        }
    }
}

fn missing() -> Failure {
    Failure::NoConnection("an answer is missing".into())
}

fn typed<'a>(sql: &Sql, params: Params<'a>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    let types = sql.types.iter().cloned();
    params.iter().copied().zip(types).collect()
}

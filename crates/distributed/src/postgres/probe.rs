//! A look at the database, for the doctor. It changes nothing.

use super::connect::{Connector, Timeouts};
use super::error::{OpenError, describe};
use super::open::check_server;
use super::options::PostgresOptions;
use super::tls::connector;
use super::url::ConnectionUrl;
use lamplight_domain::time::Timestamp;

/// The version and settings of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseReport {
    /// Host and port, without user and password.
    pub address: String,
    pub version: String,
    /// The server's clock.
    pub clock: Timestamp,
    pub is_encrypted: bool,
    /// The user may create tables, as migrations do.
    pub may_migrate: bool,
    /// Connections that the server allows, and that are open.
    pub connections: (i64, i64),
    /// Acknowledged means on the disk: `fsync` and `synchronous_commit` are on.
    pub is_durable: bool,
    /// The seconds that the oldest transaction is open.
    pub oldest_transaction: i64,
    /// The version of Lamplight's schema, and the store's id; `None` before the first start.
    pub schema: Option<(i64, String)>,
}

/// Reads the report.
///
/// # Errors
/// As at the start of a node: see [`OpenError`].
pub async fn probe(options: &PostgresOptions) -> Result<DatabaseReport, OpenError> {
    let url = ConnectionUrl::parse(&options.url)?;
    let tls = connector(&url.tls)?;
    let connector = Connector::new(url, tls, Timeouts::of(options.deadline));
    let address = connector.address();
    let client = connector.connect().await?;
    check_server(&client, &address).await?;
    let database = |error: tokio_postgres::Error| OpenError::Database(describe(&error));
    let sql = "SELECT current_setting('server_version'),
        (extract(epoch FROM clock_timestamp()) * 1000)::int8,
        coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
        coalesce(has_schema_privilege(current_schema(), 'create'), false),
        current_setting('max_connections')::int8,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off',
        coalesce((SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::int8
                  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()), 0),
        to_regclass('properties') IS NOT NULL AND to_regclass('lamplight_schema') IS NOT NULL";
    let rows = client.query_typed(sql, &[]).await.map_err(database)?;
    let row = &rows[0];
    let has_schema: bool = row.try_get(8).map_err(database)?;
    let schema = if has_schema {
        let sql = "SELECT (SELECT max(version)::int8 FROM lamplight_schema), value FROM properties WHERE name = 'store_id'";
        let rows = client.query_typed(sql, &[]).await.map_err(database)?;
        match rows.first() {
            Some(row) => Some((
                row.try_get::<_, Option<i64>>(0)
                    .map_err(database)?
                    .unwrap_or(0),
                row.try_get(1).map_err(database)?,
            )),
            None => None,
        }
    } else {
        None
    };
    Ok(DatabaseReport {
        address,
        version: row.try_get(0).map_err(database)?,
        clock: Timestamp(row.try_get(1).map_err(database)?),
        is_encrypted: row.try_get(2).map_err(database)?,
        may_migrate: row.try_get(3).map_err(database)?,
        connections: (
            row.try_get(4).map_err(database)?,
            row.try_get(5).map_err(database)?,
        ),
        is_durable: row.try_get(6).map_err(database)?,
        oldest_transaction: row.try_get(7).map_err(database)?,
        schema,
    })
}

//! Opens the database: the server's version and encoding, the migrations, the identity, the checks
//! of heads and sequences.

use super::connect::{Connector, Timeouts, jittered};
use super::connect_error::ConnectErrorKind;
use super::error::{OpenError, describe};
use super::identity::{Identity, Problem};
use super::options::PostgresOptions;
use super::schema::migrate;
use super::tls::connector;
use super::url::ConnectionUrl;
use super::{checks, keys, transfer_source};
use deadpool::Runtime;
use deadpool::managed::Pool;
use deadpool_postgres::ClientWrapper;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// PostgreSQL 14, as `server_version_num` has it.
const OLDEST_SERVER: i32 = 140_000;
const PAUSE: Duration = Duration::from_millis(500);

/// A database that is open.
pub(super) struct Opened {
    pub(super) pool: Pool<Connector>,
    pub(super) identity: Arc<Identity>,
    pub(super) prepares: bool,
    pub(super) timeouts: Timeouts,
    pub(super) head: i64,
    pub(super) digest_key: Arc<str>,
}

pub(super) async fn open(options: &PostgresOptions) -> Result<Opened, OpenError> {
    let url = ConnectionUrl::parse(&options.url)?;
    let (prepares, pool_size) = (url.prepares, url.pool_size.unwrap_or(options.pool_size));
    let timeouts = Timeouts::of(options.deadline);
    let connector = Connector::new(url.clone(), connector(&url.tls)?, timeouts);
    let address = connector.address();
    let client = first_connection(&connector, options.start_deadline).await?;
    check_server(&client, &address).await?;
    migrate(&client).await?;
    let source = transfer_source::source(&client).await;
    if source.map_err(database)?.is_some() && !options.for_transfer {
        return Err(OpenError::HalfFilled);
    }
    keys::renew(&client).await?;
    let identity = Identity::open(&client)
        .await
        .map_err(|problem| of_problem(problem, &address))?;
    let digest_key = digest_key(&client).await.map_err(database)?;
    let head = checks::heads_and_sequences(&client).await?;
    identity.committed(head);
    let identity = Arc::new(identity);
    let pool = Pool::builder(connector.with_identity(Arc::clone(&identity)))
        .max_size(pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.deadline))
        .create_timeout(Some(options.deadline))
        .build()
        .map_err(|error| OpenError::Database(error.to_string()))?;
    Ok(Opened {
        pool,
        identity,
        prepares,
        timeouts,
        head,
        digest_key,
    })
}

/// The key of the digests in `erased_entries`, made once with the table.
async fn digest_key(client: &ClientWrapper) -> Result<Arc<str>, tokio_postgres::Error> {
    let sql = "SELECT value FROM properties WHERE name = 'digest_key'";
    let rows = client.query_typed(sql, &[]).await?;
    let key = rows.first().map(|row| row.try_get::<_, &str>(0));
    Ok(key.transpose()?.unwrap_or_default().into())
}

/// Waits a while for a server that is not there yet, or is starting.
async fn first_connection(
    connector: &Connector,
    wait: Duration,
) -> Result<ClientWrapper, OpenError> {
    let end = Instant::now() + wait;
    loop {
        match connector.connect().await {
            Ok(client) => return Ok(client),
            Err(error) if error.kind == ConnectErrorKind::Unreachable && Instant::now() < end => {
                tracing::warn!("waiting for PostgreSQL: {error}");
                sleep(jittered(PAUSE)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) async fn check_server(client: &ClientWrapper, address: &str) -> Result<(), OpenError> {
    let sql =
        "SELECT current_setting('server_version_num')::int4, current_setting('server_version'),
        current_setting('server_encoding'), current_database()::text, pg_is_in_recovery(),
        current_setting('transaction_read_only') = 'on', current_setting('fsync') = 'on'";
    let rows = client.query_typed(sql, &[]).await;
    let rows = rows.map_err(database)?;
    let row = &rows[0];
    let text = |column: usize| row.try_get::<_, String>(column).map_err(database);
    let flag = |column: usize| row.try_get::<_, bool>(column).map_err(database);
    if row.try_get::<_, i32>(0).map_err(database)? < OLDEST_SERVER {
        return Err(OpenError::OldServer {
            address: address.to_owned(),
            found: text(1)?,
        });
    }
    if text(2)? != "UTF8" {
        return Err(OpenError::Encoding {
            database: text(3)?,
            encoding: text(2)?,
        });
    }
    let read_only = |why: &str| OpenError::ReadOnly {
        address: address.to_owned(),
        why: why.to_owned(),
    };
    if flag(4)? {
        return Err(read_only("it is a standby"));
    }
    if flag(5)? {
        return Err(read_only("default_transaction_read_only is on"));
    }
    if !flag(6)? {
        tracing::warn!(
            "fsync is off in PostgreSQL: acknowledged messages do not survive a crash of its machine"
        );
    }
    Ok(())
}

fn database(error: tokio_postgres::Error) -> OpenError {
    OpenError::Database(describe(&error))
}

fn of_problem(problem: Problem, address: &str) -> OpenError {
    let Problem { why, kind } = problem;
    match kind {
        ConnectErrorKind::ReadOnly => OpenError::ReadOnly {
            address: address.to_owned(),
            why,
        },
        _ => OpenError::Database(why),
    }
}

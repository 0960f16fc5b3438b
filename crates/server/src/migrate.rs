//! `lamplight migrate`: moves everything from SQLite to PostgreSQL, or back.

use clap::Args;
use lamplight_distributed::postgres::{PostgresOptions, PostgresStore};
use lamplight_embedded::event_bus::EmbeddedEventBus;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_usecases::ports::StoreError;
use lamplight_usecases::transfer::{Options, Progress, Transfer, transfer};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long one step may take: other programs may use the disk too.
const DEADLINE: Duration = Duration::from_secs(60);

/// Move all data from one database to another, such as from SQLite to PostgreSQL. Stop all servers
/// first. If the command is interrupted, run it again: it continues where it stopped.
///
/// A database is sqlite:PATH, postgres://user:password@host/database, or @FILE with a file that
/// contains one of these, which hides the password from other users of this machine.
#[derive(Args)]
pub struct Migrate {
    /// The database that has the data.
    #[arg(long, value_name = "DATABASE")]
    from: String,
    /// The database that gets the data; it is created or empty.
    #[arg(long, value_name = "DATABASE")]
    to: String,
    /// Delete the data of the target, and start over.
    #[arg(long)]
    start_over: bool,
}

/// A store of either kind.
enum Store {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Store {
    async fn open(database: &str, is_source: bool) -> Result<Self, String> {
        let database = read(database)?;
        if let Some(path) = database.strip_prefix("sqlite:") {
            let path = PathBuf::from(path);
            // Opening would create it.
            if is_source && !path.exists() {
                return Err(format!("there is no database at {}", path.display()));
            }
            let options = SqliteOptions {
                for_transfer: !is_source,
                ..SqliteOptions::new(path)
            };
            let store = SqliteStore::open(options, Arc::new(EmbeddedEventBus::new()));
            return store.map(Self::Sqlite).map_err(|error| error.to_string());
        }
        if !database.starts_with("postgres:") && !database.starts_with("postgresql:") {
            return Err("a database is sqlite:PATH, postgres://..., or @FILE".into());
        }
        let options = PostgresOptions {
            deadline: DEADLINE,
            for_transfer: !is_source,
            start_deadline: Duration::ZERO,
            ..PostgresOptions::new(database)
        };
        let store = PostgresStore::open(options, Arc::new(EmbeddedEventBus::new()));
        let store = store.await.map_err(|error| error.to_string())?;
        let nodes = store.live_nodes().await;
        let nodes = nodes.map_err(|error: StoreError| error.to_string())?;
        if let Some(node) = nodes.first() {
            return Err(format!(
                "the node {node} uses the database; stop all nodes, or wait 15 s after a crash"
            ));
        }
        Ok(Self::Postgres(store))
    }

    fn transfer(&self) -> &dyn Transfer {
        match self {
            Self::Sqlite(store) => &**store,
            Self::Postgres(store) => &**store,
        }
    }

    async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// A database, given as it is or in a file.
fn read(database: &str) -> Result<String, String> {
    match database.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)
            .map(|text| text.trim().to_owned())
            .map_err(|error| format!("{file} cannot be read: {error}")),
        None => Ok(database.to_owned()),
    }
}

/// Moves, and prints how far it has got.
pub async fn run(options: Migrate) -> ExitCode {
    match migrate(&options).await {
        Ok(rows) => {
            println!("Moved {rows} rows; both databases have the same checksums.");
            println!(
                "Set DATABASE_URL to the new database; REDIS_PREFIX stays. The old one keeps its data, as a copy with another store id."
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("lamplight: {error}.");
            ExitCode::FAILURE
        }
    }
}

async fn migrate(options: &Migrate) -> Result<u64, String> {
    let source = Store::open(&options.from, true).await;
    let source = source.map_err(|error| format!("--from: {error}"))?;
    let target = Store::open(&options.to, false).await;
    let target = target.map_err(|error| format!("--to: {error}"))?;
    let how = Options {
        starts_over: options.start_over,
        ..Options::default()
    };
    let mut print = |progress: Progress| match progress {
        Progress::Resumed => println!("Going on where an earlier run stopped."),
        Progress::Moved { table, rows } => println!("{table}: {rows} moved"),
        Progress::Verified(summary) => println!(
            "{}: {} rows, sha256 {}",
            summary.table, summary.rows, summary.checksum
        ),
    };
    let moved = transfer(source.transfer(), target.transfer(), how, &mut print).await;
    source.close().await;
    target.close().await;
    let summaries = moved.map_err(|error| error.to_string())?;
    Ok(summaries.iter().map(|summary| summary.rows).sum())
}

//! `lamplight reindex`.

use crate::config::{Config, Database, Flags};
use clap::Args;
use std::process::ExitCode;

/// Rebuild the search index of messages; servers may run. Searches are incomplete until it is done.
#[derive(Args)]
pub struct Reindex {
    #[command(flatten)]
    settings: Flags,
}

impl Reindex {
    /// Empties the index. A running server fills it again, otherwise the next one that starts.
    #[must_use]
    pub async fn run(self) -> ExitCode {
        let outcome = match Config::load(&self.settings) {
            Ok(config) => reindex(&config.database).await,
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(()) => {
                println!(
                    "The search index is empty. A running server rebuilds it, or the next one that starts."
                );
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("lamplight: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

async fn reindex(database: &Database) -> Result<(), String> {
    crate::backends::reindex(database)
        .await
        .map_err(|error| error.to_string())
}

//! `lamplight backup` and `lamplight restore`.

use crate::config::{Config, Flags};
use clap::Args;
use lamplight_embedded::messages::{Restored, backup, restore};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Copy the database to a file; the server may run.
#[derive(Args)]
pub struct Backup {
    /// The new file.
    file: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    settings: Flags,
}

/// Replace the database with a backup. Stop the server first. The replaced database stays beside
/// the new one.
#[derive(Args)]
pub struct Restore {
    /// The backup.
    file: PathBuf,
    #[command(flatten)]
    settings: Flags,
}

impl Backup {
    /// Does it.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let Self {
            file,
            force,
            settings,
        } = self;
        outcome(
            Config::load(&settings)
                .map_err(|error| error.to_string())
                .and_then(|config| {
                    let database = sqlite_file(&config, "pg_dump")?;
                    backup(database, &file, force).map_err(|error| error.to_string())?;
                    let size = std::fs::metadata(&file).map_or(0, |file| file.len());
                    Ok(format!(
                        "Backed up {} to {} ({} KiB).",
                        database.display(),
                        file.display(),
                        size.div_ceil(1_024)
                    ))
                }),
        )
    }
}

impl Restore {
    /// Does it.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let Self { file, settings } = self;
        outcome(Config::load(&settings).map_err(|error| error.to_string()).and_then(|config| {
            let database = sqlite_file(&config, "pg_restore")?;
            let Restored { set_aside, conversations, entries } =
                restore(&file, database).map_err(|error| error.to_string())?;
            let aside = set_aside.map_or_else(String::new, |aside| format!("\nThe database that was there is now {}.", aside.display()));
            Ok(format!(
                "Restored {} from {}: {conversations} conversations, {entries} messages. Local accounts have to sign in again, and clients fetch \
                 everything anew.{aside}",
                database.display(),
                file.display()
            ))
        }))
    }
}

fn sqlite_file<'a>(config: &'a Config, program: &str) -> Result<&'a Path, String> {
    config.database.file().ok_or_else(|| {
        format!("DATABASE_URL names PostgreSQL, whose own tools copy it: use `{program}`.")
    })
}

fn outcome(outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(sentence) => {
            println!("{sentence}");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("lamplight: {sentence}");
            ExitCode::FAILURE
        }
    }
}

//! `lamplight new-push-key`.

use crate::backends::replace_push_key;
use crate::config::{Config, Flags};
use crate::push::new_key;
use crate::system::SystemClock;
use clap::Args;
use lamplight_usecases::ports::Clock as _;
use std::process::ExitCode;

/// Make a new key for Web Push, if the present one may be known to others. Stop the server first where
/// the database is SQLite; nodes on PostgreSQL may run.
#[derive(Args)]
pub struct NewPushKey {
    #[command(flatten)]
    settings: Flags,
}

impl NewPushKey {
    /// Stores a new key.
    #[must_use]
    pub async fn run(self) -> ExitCode {
        let outcome = match Config::load(&self.settings) {
            Ok(config) => {
                let (key, at) = (new_key(), SystemClock::new().now().wall);
                replace_push_key(&config.database, &key, at)
                    .await
                    .map(|()| key.public)
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(public) => {
                println!(
                    "The key for Web Push is {public} from now on. Browsers take it when they open the page next; until then they are sent to by the key that they have."
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

//! Web Push: subscriptions, and which messages are sent to them.

pub(crate) mod command;
mod decide;
mod follow;
mod rules;
mod runner;
mod send;
pub(crate) mod service;

pub use command::{PushCommand, PushReply};
pub use rules::{FOLLOWER, MOST_ENDPOINT_BYTES, MOST_SUBSCRIPTIONS, SUBSCRIBED_SLACK_MS};
pub use runner::PushRunner;

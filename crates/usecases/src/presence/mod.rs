//! Presence: joining, statuses, watching, typing.

pub(crate) mod command;
pub(crate) mod last_seen;
pub(crate) mod service;
pub(crate) mod typing_table;

mod join;
mod list_online;
mod status;
mod typing;
mod watch;

pub use command::{PresenceCommand, PresenceReply};

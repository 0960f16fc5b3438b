//! Who is online: joining, statuses, watching, typing.

mod command;
mod join;
mod list_online;
mod status;
pub(crate) mod typing;
mod watch;

pub use command::{PresenceCommand, PresenceReply};

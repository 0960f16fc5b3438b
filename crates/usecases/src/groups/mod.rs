//! Groups: making them, their details, members and roles.

pub(crate) mod command;
pub(crate) mod service;

mod change;
mod make;

pub(crate) use change::refused;
pub use command::{GroupCommand, GroupReply};

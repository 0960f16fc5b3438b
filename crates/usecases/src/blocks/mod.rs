//! Blocks: a user receives nothing from the users they have blocked.

pub(crate) mod command;
pub(crate) mod hidden;
pub(crate) mod service;

pub use command::{BlockCommand, BlockReply};

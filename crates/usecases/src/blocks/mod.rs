//! Blocks: users who do not want to hear from others.

pub(crate) mod command;
pub(crate) mod hidden;
pub(crate) mod service;

pub use command::{BlockCommand, BlockReply};

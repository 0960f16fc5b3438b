//! Messages and read marks.

pub(crate) mod command;
pub(crate) mod mark_writer;
pub(crate) mod receipts;
pub(crate) mod service;

mod append;
mod change;
mod history;
mod mark_read;
mod send;
mod sync;

pub use command::{MessageChange, MessageCommand, MessageReply};

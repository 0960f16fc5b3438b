//! Messages and read marks.

mod command;
mod history;
mod mark_read;
pub(crate) mod mark_writer;
mod send;
mod sync;

pub use command::{MessageCommand, MessageReply};

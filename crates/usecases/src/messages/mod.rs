//! Messages and read marks.

mod history;
mod mark_read;
pub(crate) mod mark_writer;
mod send;
mod sync;

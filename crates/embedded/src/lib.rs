//! The ports on one machine: SQLite, memory, in process.

pub mod fanout;
pub mod messages;
pub mod presence;
mod sqlite;

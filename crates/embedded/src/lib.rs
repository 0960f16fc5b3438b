//! The ports on one machine: SQLite, memory, in process.

pub mod messages;
mod sqlite;

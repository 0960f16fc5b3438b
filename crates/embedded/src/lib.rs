//! The ports on one machine: SQLite, memory, in process.

//! The ports on one machine: SQLite, memory, in process.

pub mod blocks;
pub mod event_bus;
mod files;
mod follower;
mod groups;
pub mod messages;
pub mod presence;
mod push;
mod search;
mod sqlite;

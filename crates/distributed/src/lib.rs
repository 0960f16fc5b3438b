//! The ports where several nodes act as one: messages, people and accounts in PostgreSQL, presence
//! and the event bus in Redis or Valkey.

pub mod blocks;
pub mod bus;
mod files;
mod follower;
mod groups;
pub mod limits;
pub mod membership;
mod messages;
pub mod postgres;
pub mod presence;
mod push;
pub mod redis;
pub mod registry;
pub mod republisher;
mod search;
pub mod sign_outs;

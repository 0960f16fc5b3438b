//! Connections to Redis or Valkey, which presence, the event bus, the registry of nodes and the
//! limits share.
//!
//! - [`RedisOptions`]: where Redis is, read from `REDIS_URL`.
//! - [`RedisClient`]: one multiplexed connection for commands and scripts. It reconnects by itself,
//!   and answers [`RedisError::Unavailable`] at once while there is no connection.
//! - [`RedisSubscriber`]: a connection that stays subscribed to a set of channels.
//!
//! `redis::Cmd`, `redis::Pipeline`, `redis::Value` and `redis::FromRedisValue` are used as they
//! are; everything about connections is of our own.

mod backoff;
mod client;
mod connect;
mod error;
mod leader;
mod options;
mod plain;
mod probe;
mod script;
mod subscriber;
mod tap;

pub use client::{RedisClient, RedisStatus};
pub use error::{RedisError, RedisResult};
pub use options::{RedisOptions, RedisUrlError, Topology};
pub use probe::{RedisReport, probe};
pub use script::{RedisScript, ScriptCall};
pub(crate) use subscriber::Mark;
pub use subscriber::{Received, RedisSubscriber};

pub(crate) use backoff::Backoff;
pub(crate) use leader::{Leader, RENEW};
pub(crate) use plain::PlainConnection;

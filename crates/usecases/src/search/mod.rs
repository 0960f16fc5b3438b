//! Searches of messages.

pub(crate) mod command;
pub(crate) mod service;

pub use command::{Found, MessageQuery, SearchCommand, SearchReply};

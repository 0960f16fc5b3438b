//! What the host application does with the server key.

pub(crate) mod command;
pub(crate) mod service;

mod put_conversation;
mod put_profile;

pub use command::{AdminCommand, AdminReply};

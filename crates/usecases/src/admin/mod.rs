//! Commands of the host application, authenticated by the server key.

pub(crate) mod command;
pub(crate) mod service;

mod put_conversation;
mod put_profile;
mod sign_out;

pub use command::{AdminCommand, AdminReply};

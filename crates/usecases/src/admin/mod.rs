//! What the host application does with the server key.

mod command;
mod put_conversation;
mod put_profile;

pub use command::{AdminCommand, AdminReply};

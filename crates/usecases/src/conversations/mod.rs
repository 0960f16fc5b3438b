//! Conversations: opening, listing, viewing, members.

pub(crate) mod command;
pub(crate) mod members;
pub(crate) mod service;

mod list;
mod open;
mod settings;
mod view;

pub use command::{ConversationCommand, ConversationReply};

//! Conversations: opening, listing, viewing, members.

mod command;
mod list;
mod members;
mod open;
mod view;

pub use command::{ConversationCommand, ConversationReply};

//! Conversations: opening, listing, viewing, members.

mod list;
mod members;
mod open;
mod view;

//! Local accounts, their sessions, and the directory of users.

pub(crate) mod command;
pub(crate) mod ended;
pub mod retention;
pub(crate) mod service;

mod deletion;
mod list_users;
mod pace;
mod passwords;
mod privacy;
mod profile;
mod register;
mod sessions;

pub use command::{AccountCommand, AccountReply};

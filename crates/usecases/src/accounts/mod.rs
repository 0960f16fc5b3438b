//! Local accounts, their sessions, and the directory of users.

mod command;
pub(crate) mod ended;
mod list_users;
mod local;

pub use command::{AccountCommand, AccountReply};

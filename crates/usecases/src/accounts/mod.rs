//! Local accounts, their sessions, and the directory of users.

pub(crate) mod ended;
mod list_users;
mod local;

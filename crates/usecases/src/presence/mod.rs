//! Who is online: joining, statuses, watching, typing.

mod join;
mod list_online;
mod status;
pub(crate) mod typing;
mod watch;

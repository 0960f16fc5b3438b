//! The one door. Every wire turns what it hears into a [`Command`] by a known [`Caller`] and gives
//! it to [`Handler::handle`]; the same validation, authorisation, storage, fan-out and answer serve
//! the socket and HTTP.
//!
//! One command, one file. A wire only proves who is calling; whether they may is decided here.

pub mod command;
pub mod delivery;
pub mod flow;
pub mod handler;
pub mod limits;
pub mod ports;
pub mod refusal;
pub mod throttle;
pub mod weight;

mod accounts;
mod admin;
mod conversations;
mod messages;
mod presence;
mod profiles;
mod read_budget;

pub use command::{Caller, Command, Reply};
pub use handler::{Handler, Ports, Settings};
pub use refusal::{Code, Refusal};

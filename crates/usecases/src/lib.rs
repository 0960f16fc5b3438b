//! The one door. Every wire turns what it hears into a [`Command`] by a known [`Caller`] and gives
//! it to [`Handler::handle`]; the same validation, authorisation, storage, fan-out and answer serve
//! the socket and HTTP.
//!
//! One command, one file. A wire only proves who is calling; whether they may is decided here.

pub mod accounts;
pub mod admin;
pub mod caller;
pub mod command;
pub mod conversations;
pub mod deadline;
pub mod delivery;
pub mod flow;
pub mod handler;
pub mod messages;
pub mod metadata;
pub mod network;
pub mod ports;
pub mod presence;
pub mod quotas;
pub mod refusal;
pub mod settings;
pub mod throttle;
pub mod weight;

mod limits;
mod profiles;
mod read_budget;
mod shared;
mod user_locks;

pub use accounts::{AccountCommand, AccountReply};
pub use admin::{AdminCommand, AdminReply};
pub use caller::{Caller, Principal};
pub use command::{Command, Reply};
pub use conversations::{ConversationCommand, ConversationReply};
pub use handler::Handler;
pub use messages::{MessageCommand, MessageReply};
pub use metadata::{Budget, Dispatch, Metadata, Scope};
pub use ports::Ports;
pub use presence::{PresenceCommand, PresenceReply};
pub use refusal::{Code, Refusal};
pub use settings::{Identity, Settings};

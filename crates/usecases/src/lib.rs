//! The use cases. A transport decodes each request into a [`Command`] and passes it to
//! [`Handler::handle`] with the [`Caller`] that it authenticated. The socket and HTTP share the
//! validation, authorization, storage and delivery behind it.
//!
//! Each area (presence, conversations, groups, messages, search, accounts, admin) has its commands, their metadata
//! and replies in `command.rs`, its state in `service.rs`, and one file for each command.

pub mod accounts;
pub mod admin;
pub mod blocks;
pub mod caller;
pub mod command;
pub mod conversations;
pub mod cursor;
pub mod deadline;
pub mod delivery;
pub mod fair;
pub mod files;
pub mod flow;
pub mod groups;
pub mod handler;
pub mod messages;
pub mod metadata;
pub mod named;
pub mod network;
pub mod pages;
pub mod ports;
pub mod presence;
pub mod push;
pub mod quotas;
pub mod record;
pub mod refusal;
pub mod search;
pub mod search_index;
pub mod settings;
pub mod subscribers;
pub mod throttle;
pub mod transfer;
pub mod weight;

mod limits;
mod profiles;
mod read_budget;
mod shared;
mod user_locks;

pub use accounts::{AccountCommand, AccountReply};
pub use admin::{AdminCommand, AdminReply};
pub use blocks::{BlockCommand, BlockReply};
pub use caller::{Caller, Principal};
pub use command::{Command, Reply};
pub use conversations::{ConversationCommand, ConversationReply};
pub use files::{AvatarOwner, FileRules, FileService, NewUpload, SignedAddress};
pub use groups::{GroupCommand, GroupReply};
pub use handler::Handler;
pub use messages::{MessageChange, MessageCommand, MessageReply};
pub use metadata::{Budget, Dispatch, Metadata, Scope};
pub use ports::Ports;
pub use presence::{PresenceCommand, PresenceReply};
pub use push::{PushCommand, PushReply, PushRunner};
pub use refusal::{Code, Refusal};
pub use search::{MessageQuery, SearchCommand, SearchReply};
pub use settings::{Identity, Settings};

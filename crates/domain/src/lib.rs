//! The rules of presence and private messaging.
//!
//! Everything here is a plain value or a pure state machine: no async, no clock, no serde, no I/O.
//! Time and randomness are parameters, so that tests control them.

pub mod account_names;
pub mod announcements;
pub mod conversation;
pub mod emoji;
pub mod entry;
pub mod event;
pub mod file;
pub mod fold;
pub mod group;
pub mod identity;
pub mod marks;
pub mod member_settings;
pub mod message;
pub mod message_rules;
pub mod ordering;
pub mod permission;
pub mod presence;
pub mod roster_feed;
pub mod search_terms;
pub mod text;
pub mod time;
pub mod write;

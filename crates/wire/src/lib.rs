//! The only crate that knows JSON: decodes commands, encodes replies, refusals and events, and
//! generates the TypeScript types of both.
//!
//! [`decode`] turns a socket's event or a request's body into a [`lamplight_usecases::Command`];
//! [`encode`] turns replies, refusals and events into bytes. The shapes are in [`shape`] (what is
//! sent) and [`body`] (what is received).

pub mod body;
pub mod decode;
pub mod encode;
pub mod group;
pub mod loose;
pub mod push;
mod search;
pub mod shape;
pub mod time;
pub mod typescript;

mod entry;
mod file;

/// Serialized JSON.
pub type Json = String;

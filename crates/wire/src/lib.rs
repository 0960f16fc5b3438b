//! The only place that knows JSON: commands in, replies, refusals and events out, and the
//! TypeScript types of both.
//!
//! [`decode`] turns a socket's event or a request's body into a [`lamplight_usecases::Command`];
//! [`encode`] turns replies, refusals and events into bytes. The shapes are in [`shape`] (what is
//! sent) and [`body`] (what is received).

pub mod body;
pub mod decode;
pub mod encode;
pub mod loose;
pub mod shape;
pub mod time;
pub mod typescript;

/// JSON text, ready to be sent.
pub type Json = String;

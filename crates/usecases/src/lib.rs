//! The one door. Every wire turns what it hears into a `Command` by a known `Caller` and gives it to
//! `Handler::handle`; the same validation, authorisation, storage, fan-out and answer serve the socket and HTTP.
//!
//! One command, one file. A wire only proves who is calling; whether they may is decided here.

pub mod ports;
pub mod refusal;

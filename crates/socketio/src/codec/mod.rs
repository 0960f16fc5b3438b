//! The wire formats, without I/O: each codec is a pure function or state machine, and can be fuzzed
//! on its own.

#[cfg(feature = "deflate")]
pub mod deflate;
pub mod engine;
#[cfg(feature = "deflate")]
pub mod extensions;
pub mod frame;
pub mod handshake;
pub mod json;
pub mod message;
#[cfg(feature = "msgpack")]
pub mod msgpack;
pub mod number;
pub mod packet;
pub mod payload;

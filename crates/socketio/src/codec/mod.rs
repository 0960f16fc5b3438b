//! The wire formats, without any I/O: bytes in, values out. Each may be fuzzed by itself.

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

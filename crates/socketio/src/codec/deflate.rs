//! Compressed messages (permessage-deflate, RFC 7692) without context takeover: each message is
//! compressed on its own, so a connection stores nothing between messages, and all receivers of a
//! packet share one compressed form.

use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use miniz_oxide::{
    DataFormat,
    deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, compress},
    inflate::{
        TINFLStatus,
        core::{
            DecompressorOxide, decompress,
            inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF},
        },
    },
};

use super::frame::{self, FrameError, OpCode};

/// The bytes that a sender removes from the end of every message (RFC 7692, section 7.2.1).
const TRAILER: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// [`TRAILER`] and an empty final block: with these, exactly the complete messages reach their end.
const END: [u8; 9] = [0, 0, 0xFF, 0xFF, 1, 0, 0, 0xFF, 0xFF];
/// Maximum bytes of inflated messages that a thread keeps allocated.
const MAX_CACHED_BYTES: usize = 64 * 1024;
/// The window of the compressor, in bits; it does not support smaller ones.
const WINDOW_BITS: u8 = 15;

thread_local! {
    static COMPRESSOR: Cell<Option<(u8, Box<CompressorOxide>)>> = const { Cell::new(None) };
    static INFLATER: Cell<Option<Box<Inflater>>> = const { Cell::new(None) };
}

#[derive(Default)]
struct Inflater {
    state: DecompressorOxide,
    out: Vec<u8>,
}

/// Inflates a message and passes it to `then`. A message that does not end within `max` bytes is
/// abandoned as soon as that is known.
///
/// # Errors
/// If the message is longer than `max` or is not valid compressed data; and the errors of `then`.
pub fn inflate<T>(
    message: &[u8],
    max: usize,
    then: impl FnOnce(&[u8]) -> Result<T, FrameError>,
) -> Result<T, FrameError> {
    // Taken out of the cell, in case a handler drives another connection from within.
    let mut inflater = INFLATER.take().unwrap_or_default();
    let outcome = inflater
        .run(message, max)
        .and_then(|length| then(&inflater.out[..length]));
    if inflater.out.len() > MAX_CACHED_BYTES {
        inflater.out = Vec::new();
    }
    INFLATER.set(Some(inflater));
    outcome
}

impl Inflater {
    fn run(&mut self, message: &[u8], max: usize) -> Result<usize, FrameError> {
        let Self { state, out } = self;
        state.init();
        let likely = message
            .len()
            .saturating_mul(4)
            .clamp(256, MAX_CACHED_BYTES)
            .min(max.saturating_add(1));
        if out.len() < likely {
            out.resize(likely, 0);
        }
        let (mut input, mut is_end, mut length) = (message, false, 0);
        loop {
            let more = if is_end { 0 } else { TINFL_FLAG_HAS_MORE_INPUT };
            let (status, read, written) = decompress(
                state,
                input,
                out,
                length,
                TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | more,
            );
            input = &input[read..];
            length += written;
            if length > max {
                return Err(FrameError::TooBig);
            }
            match status {
                TINFLStatus::HasMoreOutput => {
                    let room = out.len().saturating_mul(2).min(max.saturating_add(1));
                    out.resize(room.max(length + 1), 0);
                }
                TINFLStatus::NeedsMoreInput if !is_end => (input, is_end) = (&END, true),
                TINFLStatus::Done if input.is_empty() => return Ok(length),
                // A final block should be followed by an empty block, which many senders omit.
                TINFLStatus::Done if is_end && read == 0 => return Ok(length),
                // A final block need not be the last of its message (RFC 7692, section 7.2.1).
                TINFLStatus::Done => state.init(),
                _ => return Err(FrameError::Deflate),
            }
        }
    }
}

/// Compresses the frames that have at least `threshold` bytes and become smaller by it. Returns
/// `None` if there are none.
///
/// The closing bracket of a text gets its own block: see [`ending`].
pub fn frames(frames: &[u8], threshold: usize, level: u8) -> Option<Bytes> {
    let mut out: Option<BytesMut> = None;
    let (mut at, mut copied) = (0, 0);
    for (opcode, data) in frame::server_frames(frames) {
        let start = at;
        at += frame::server_header(opcode, data.len()).1 + data.len();
        if data.len() < threshold {
            continue;
        }
        let Some(message) = message(opcode, data, level) else {
            continue;
        };
        let out = out.get_or_insert_with(|| BytesMut::with_capacity(frames.len() / 2));
        out.extend_from_slice(&frames[copied..start]);
        frame::encode_parts(out, opcode, true, &[&message]);
        copied = at;
    }
    out.map(|mut out| {
        out.extend_from_slice(&frames[copied..]);
        out.freeze()
    })
}

/// Compresses a message; `None` if it does not become smaller.
pub fn message(opcode: OpCode, data: &[u8], level: u8) -> Option<Vec<u8>> {
    let open = data.strip_suffix(b"]").filter(|_| opcode == OpCode::Text);
    let mut out = blocks(open.unwrap_or(data), level)?;
    match open {
        Some(_) => out.extend_from_slice(&ending(b"]")),
        None => out.truncate(out.len() - TRAILER.len()),
    }
    (out.len() < data.len()).then_some(out)
}

/// The encoded end of a compressed text with these last bytes: an uncompressed block, and the kept
/// part of the trailer. Other last bytes can replace it without recompression: so every recoverable
/// socket gets its own offset.
pub fn ending(last: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(last.len() + 6);
    for part in last.chunks(usize::from(u16::MAX)) {
        let length = part.len() as u16;
        blocks.push(0);
        blocks.extend_from_slice(&length.to_le_bytes());
        blocks.extend_from_slice(&(!length).to_le_bytes());
        blocks.extend_from_slice(part);
    }
    blocks.push(0);
    blocks
}

/// Compresses to complete blocks that end on a byte boundary with [`TRAILER`]; `None` if they are
/// not smaller than the data.
fn blocks(data: &[u8], level: u8) -> Option<Vec<u8>> {
    let cached = COMPRESSOR.take().filter(|(of, _)| *of == level);
    let (_, mut compressor) = cached.unwrap_or_else(|| {
        (
            level,
            Box::new(CompressorOxide::with_params(
                DataFormat::Raw,
                level,
                CompressionStrategy::Default,
                WINDOW_BITS,
            )),
        )
    });
    let mut out = vec![0; data.len()];
    let (_, read, written) = compress(&mut compressor, data, &mut out, TDEFLFlush::Sync);
    compressor.reset();
    COMPRESSOR.set(Some((level, compressor)));
    let fits = read == data.len() && written < out.len() && out[..written].ends_with(&TRAILER);
    out.truncate(written);
    fits.then_some(out)
}

#[cfg(test)]
mod tests;

//! WAV (RIFF) and FLAC (RFC 9639).

use super::source::{Source, le32};
use super::summary::{Media, millis};
use std::io::{Read, Seek};

fn sound(duration_ms: Option<u64>) -> Option<Media> {
    Some(Media {
        dimensions: None,
        duration_ms,
    })
}

/// `fmt ` has the bytes a second, `data` their number: at most the size of the file.
pub(super) fn wav<R: Read + Seek>(source: &mut Source<R>) -> Option<Media> {
    let (mut at, mut rate) = (12, 0);
    loop {
        let head: [u8; 8] = source.bytes(at)?;
        let size = u64::from(le32(&head, 4)?);
        let content = at.checked_add(8)?;
        match &head[..4] {
            b"fmt " => rate = le32(&source.bytes::<12>(content)?, 8)?.into(),
            b"data" => {
                let there = source.length.saturating_sub(content);
                return sound(millis(size.min(there), rate));
            }
            _ => {}
        }
        // Chunks begin at even offsets.
        at = content.checked_add(size + size % 2)?;
    }
}

pub(super) fn flac<R: Read + Seek>(source: &mut Source<R>) -> Option<Media> {
    let head: [u8; 42] = source.bytes(0)?;
    let (rate, samples) = stream_info(&head[8..])?;
    sound(millis(samples, rate))
}

/// The samples a second, and how many there are: 20 and 36 bits.
pub(super) fn stream_info(info: &[u8]) -> Option<(u64, u64)> {
    let bytes = info.get(10..18)?;
    let bits = u64::from_be_bytes(bytes.try_into().ok()?);
    Some((bits >> 44, bits & 0xf_ffff_ffff))
}

//! Ogg (RFC 3533) with Opus (RFC 7845), Vorbis, Speex or FLAC: the position of the last page, by the
//! rate in the first packet. Theora says how large it is shown.

use super::source::{Source, le32};
use super::summary::{Media, millis};
use lamplight_domain::file::Dimensions;
use std::io::{Read, Seek};

/// A page has at most 65,307 bytes, so the last one begins in so many.
const TAIL: usize = 66_000;
const CAPTURE: &[u8] = b"OggS";

pub(super) fn look<R: Read + Seek>(source: &mut Source<R>) -> Option<Media> {
    let head = source.up_to(0, 512)?;
    let serial = head.get(14..18)?.to_vec();
    let packet = head.get(27 + usize::from(*head.get(26)?)..)?;
    if packet.starts_with(b"\x80theora") {
        return Some(Media {
            dimensions: Some(theora(packet)?),
            duration_ms: None,
        });
    }
    let (rate, skipped) = sound(packet)?;
    let from = source.length.saturating_sub(TAIL as u64);
    let tail = source.up_to(from, TAIL)?;
    let last = memchr::memmem::rfind_iter(&tail, CAPTURE)
        .filter(|at| tail.get(at + 14..at + 18) == Some(&serial[..]))
        .find_map(|at| {
            let position = tail.get(at + 6..at + 14)?;
            let position = i64::from_le_bytes(position.try_into().ok()?);
            // A page on which no packet ends has -1.
            u64::try_from(position).ok()
        })?;
    Some(Media {
        dimensions: None,
        duration_ms: millis(last.saturating_sub(skipped), rate),
    })
}

/// The samples a second, and how many at the beginning are not played.
fn sound(packet: &[u8]) -> Option<(u64, u64)> {
    if packet.starts_with(b"OpusHead") {
        let skipped = u16::from_le_bytes(packet.get(10..12)?.try_into().ok()?);
        return Some((48_000, skipped.into()));
    }
    if packet.starts_with(b"\x01vorbis") {
        return Some((le32(packet, 12)?.into(), 0));
    }
    if packet.starts_with(b"Speex   ") {
        return Some((le32(packet, 36)?.into(), 0));
    }
    if packet.starts_with(b"\x7fFLAC") {
        let info = packet.get(17..)?;
        return Some((super::wave::stream_info(info)?.0, 0));
    }
    None
}

fn theora(packet: &[u8]) -> Option<Dimensions> {
    let number = |at: usize| {
        let bytes = packet.get(at..at + 3)?;
        Some(
            bytes
                .iter()
                .fold(0, |value, byte| value << 8 | u32::from(*byte)),
        )
    };
    Some(Dimensions {
        width: number(14)?,
        height: number(17)?,
    })
}

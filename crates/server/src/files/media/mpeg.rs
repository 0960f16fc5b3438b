//! MPEG audio, such as MP3: the number of frames that the first one says (Xing, Info or VBRI), or the
//! file's length by the bit rate where the first frames have the same.

use super::source::{Source, be32};
use super::summary::{Media, millis};
use std::io::{Read, Seek};

/// Where the first frame begins is looked for in so many bytes.
const LOOKED_AT: usize = 16_384;
/// So many frames in a row are no accident.
const FRAMES: usize = 4;

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// Bits a second.
    bitrate: u32,
    /// Samples a second.
    rate: u32,
    samples: u32,
    bytes: usize,
    /// Where the first one may have the number of frames.
    info: usize,
}

/// In kilobits a second: MPEG 1, layers 1, 2 and 3; MPEG 2, layer 1, and the others.
const BITRATES: [[u32; 15]; 5] = [
    [
        0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
    ],
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// The frame at an offset.
fn frame(bytes: &[u8], at: usize) -> Option<Frame> {
    let head = be32(bytes, at)?;
    let field = |shift: u32, mask: u32| (head >> shift & mask) as usize;
    let (version, layer) = (field(19, 3), field(17, 3));
    if field(21, 0x7ff) != 0x7ff || version == 1 || layer == 0 {
        return None;
    }
    let is_first = version == 3;
    let layer = 4 - layer;
    let row = match (is_first, layer) {
        (true, layer) => layer - 1,
        (false, 1) => 3,
        (false, _) => 4,
    };
    let bitrate = BITRATES[row].get(field(12, 15)).filter(|rate| **rate > 0)? * 1_000;
    let halvings = [2, 0, 1, 0][version];
    let rate = RATES.get(field(10, 3))? >> halvings;
    let padding = field(9, 1);
    let samples = match layer {
        1 => 384,
        3 if !is_first => 576,
        _ => 1_152,
    };
    let length = |slot: u32| (samples / 8 / slot * bitrate / rate) as usize;
    let is_mono = field(6, 3) == 3;
    Some(Frame {
        bitrate,
        rate,
        samples,
        bytes: match layer {
            1 => (length(4) + padding) * 4,
            _ => length(1) + padding,
        },
        info: 4 + match (is_first, is_mono) {
            (true, false) => 32,
            (false, true) => 9,
            _ => 17,
        },
    })
}

pub(super) fn look<R: Read + Seek>(source: &mut Source<R>) -> Option<Media> {
    let begin = after_tags(source)?;
    let bytes = source.up_to(begin, LOOKED_AT)?;
    let at = memchr::memchr_iter(0xff, &bytes).find(|at| in_a_row(&bytes, *at, false) > 1)?;
    let first = frame(&bytes, at)?;
    let sound = |duration_ms| {
        Some(Media {
            dimensions: None,
            duration_ms,
        })
    };
    if let Some(frames) = frames(&bytes[at..], first) {
        return sound(millis(
            u64::from(frames) * u64::from(first.samples),
            first.rate.into(),
        ));
    }
    // Frames of several bit rates do not say how many there are.
    if in_a_row(&bytes, at, true) < FRAMES {
        return None;
    }
    let sound_bytes = source.length - begin - at as u64;
    sound(millis(sound_bytes * 8, first.bitrate.into()))
}

/// Where the sound begins: ID3v2 tags say how long they are.
fn after_tags<R: Read + Seek>(source: &mut Source<R>) -> Option<u64> {
    let mut at = 0_u64;
    loop {
        let Some(head) = source.bytes::<10>(at) else {
            return Some(at);
        };
        if head[..3] != *b"ID3" {
            return Some(at);
        }
        let size = head[6..]
            .iter()
            .fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
        let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
        at = at
            .checked_add(10 + size + footer)
            .filter(|at| *at < source.length)?;
    }
}

/// How many frames of one kind follow each other, up to [`FRAMES`].
fn in_a_row(bytes: &[u8], mut at: usize, of_one_bitrate: bool) -> usize {
    let Some(first) = frame(bytes, at) else {
        return 0;
    };
    let mut count = 0;
    while count < FRAMES
        && let Some(found) = frame(bytes, at)
        && (found.rate, found.samples) == (first.rate, first.samples)
        && (found.bitrate == first.bitrate || !of_one_bitrate)
    {
        count += 1;
        at += found.bytes.max(1);
    }
    count
}

/// The number of frames by the header in the first one.
fn frames(bytes: &[u8], first: Frame) -> Option<u32> {
    let info = bytes.get(first.info..)?;
    if info.starts_with(b"Xing") || info.starts_with(b"Info") {
        return (be32(info, 4)? & 1 != 0).then(|| be32(info, 8)).flatten();
    }
    let info = bytes.get(36..).filter(|info| info.starts_with(b"VBRI"))?;
    be32(info, 14)
}

//! How long sound and video are, and how large a video is shown, by what their headers say. The bytes
//! are untrusted: an examination reads a bounded number of them, follows no structure deeper than it
//! knows, and leaves out what no player could make sense of.

mod iso;
mod matroska;
mod mpeg;
mod ogg;
mod source;
mod summary;
mod wave;

pub(super) use summary::Media;

use lamplight_domain::file::Dimensions;
use source::Source;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::time::Duration;

/// Longer ones are absurd: an audio book has 30 hours.
const LONGEST: Duration = Duration::from_secs(100 * 3_600);
/// Fewer bytes for a second of sound or video are absurd: speech takes 60 times as many.
const LEAST_BYTES_A_SECOND: u64 = 16;
/// The longest side of a video.
const MOST_SIDE: u32 = 16_384;

/// Reads the headers of a file of this type. Blocks.
pub(super) fn look_at(path: &Path, media_type: &str) -> Media {
    match File::open(path) {
        Ok(file) => look(file, media_type),
        Err(_) => Media::default(),
    }
}

/// [`look_at`] for bytes in memory.
pub(super) fn look(reader: impl Read + Seek, media_type: &str) -> Media {
    let Some(mut source) = Source::of(reader) else {
        return Media::default();
    };
    let found = match media_type {
        "video/mp4" | "audio/mp4" | "video/quicktime" => iso::look(&mut source),
        "video/webm" | "audio/webm" => matroska::look(&mut source),
        "audio/ogg" | "video/ogg" => ogg::look(&mut source),
        "audio/wav" => wave::wav(&mut source),
        "audio/flac" => wave::flac(&mut source),
        "audio/mpeg" => mpeg::look(&mut source),
        _ => None,
    };
    let mut found = found.unwrap_or_default();
    found.duration_ms = found
        .duration_ms
        .filter(|millis| is_plausible(*millis, source.length));
    let is_shown = |of: &Dimensions| {
        [of.width, of.height]
            .iter()
            .all(|side| (1..=MOST_SIDE).contains(side))
    };
    found.dimensions = found
        .dimensions
        .filter(|of| media_type.starts_with("video/") && is_shown(of));
    found
}

fn is_plausible(millis: u64, length: u64) -> bool {
    let longest = length.saturating_mul(1_000) / LEAST_BYTES_A_SECOND;
    (1..=longest).contains(&millis) && u128::from(millis) <= LONGEST.as_millis()
}

#[cfg(test)]
mod tests;

//! MP4 and QuickTime (ISO/IEC 14496-12): `mvhd` has the duration, or `mehd` where the file is in
//! fragments, or else the last fragment, and `tkhd` how large a track is shown.

mod boxes;
mod fragments;

use super::source::{Source, be32, be64};
use super::summary::{Media, millis};
use boxes::{Part, each};
use fragments::Track;
use lamplight_domain::file::Dimensions;
use std::io::{Read, Seek};

/// Of more tracks the others are ignored.
const MOST_TRACKS: usize = 32;

#[derive(Default)]
struct Found {
    /// Units a second.
    scale: u32,
    duration: u64,
    dimensions: Option<Dimensions>,
    tracks: Vec<Track>,
}

pub(super) fn look<R: Read + Seek>(source: &mut Source<R>) -> Option<Media> {
    let mut found = Found::default();
    let length = source.length;
    let mut last_fragment = None;
    each(source, 0, length, |source, part| match &part.kind {
        b"moov" if found.scale == 0 => movie(source, part, &mut found),
        b"moof" => last_fragment = Some(part),
        _ => {}
    });
    let duration_ms = match last_fragment {
        // A recorder writes the header before it knows the duration.
        Some(fragment) if found.duration == 0 => fragments::end(source, fragment, &found.tracks),
        _ => millis(found.duration, found.scale.into()),
    };
    Some(Media {
        dimensions: found.dimensions,
        duration_ms: duration_ms.filter(|millis| *millis > 0),
    })
}

fn movie<R: Read + Seek>(source: &mut Source<R>, movie: Part, found: &mut Found) {
    each(source, movie.start, movie.end, |source, part| {
        match &part.kind {
            b"mvhd" => {
                if let Some((scale, duration)) = header(source, part) {
                    (found.scale, found.duration) = (scale, duration.max(found.duration));
                }
            }
            b"mvex" => each(source, part.start, part.end, |source, part| {
                match &part.kind {
                    b"mehd" => {
                        let duration = number(source, part);
                        found.duration = duration.unwrap_or(0).max(found.duration);
                    }
                    b"trex" => defaults(source, part, &mut found.tracks),
                    _ => {}
                }
            }),
            b"trak" if found.tracks.len() < MOST_TRACKS => {
                let (track, dimensions) = track(source, part);
                found.tracks.push(track);
                found.dimensions = found.dimensions.or(dimensions);
            }
            _ => {}
        }
    });
}

/// The units a second and the duration of `mvhd`.
fn header<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<(u32, u64)> {
    let bytes = source.up_to(part.start, 32)?;
    let (scale, duration) = match bytes.first()? {
        0 => (be32(&bytes, 12)?, known(be32(&bytes, 16)?)),
        1 => (be32(&bytes, 20)?, be64(&bytes, 24)?),
        _ => return None,
    };
    Some((scale, if duration == u64::MAX { 0 } else { duration }))
}

/// All ones say that it is not known.
fn known(duration: u32) -> u64 {
    if duration == u32::MAX {
        0
    } else {
        duration.into()
    }
}

/// The duration of `mehd`.
fn number<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<u64> {
    let bytes = source.up_to(part.start, 12)?;
    match bytes.first()? {
        0 => Some(known(be32(&bytes, 4)?)),
        1 => be64(&bytes, 4),
        _ => None,
    }
}

/// A track, and how large it is shown if it is one of video.
fn track<R: Read + Seek>(source: &mut Source<R>, part: Part) -> (Track, Option<Dimensions>) {
    let (mut track, mut is_video, mut size) = (Track::default(), false, None);
    each(source, part.start, part.end, |source, part| {
        match &part.kind {
            b"tkhd" => {
                track.id = after_times(source, part).unwrap_or(0);
                size = shown(source, part);
            }
            b"mdia" => each(source, part.start, part.end, |source, part| {
                match &part.kind {
                    b"mdhd" => track.scale = after_times(source, part).unwrap_or(0),
                    b"hdlr" => {
                        let kind = source.bytes::<12>(part.start);
                        is_video |= kind.is_some_and(|head| head[8..] == *b"vide");
                    }
                    _ => {}
                }
            }),
            _ => {}
        }
    });
    (track, size.filter(|_| is_video))
}

/// The number behind the times of creation and change: the track's id in `tkhd`, the units a second in `mdhd`.
fn after_times<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<u32> {
    let bytes = source.up_to(part.start, 24)?;
    be32(&bytes, if *bytes.first()? == 1 { 20 } else { 12 })
}

/// The duration of samples that `trex` gives for a track of the movie's fragments.
fn defaults<R: Read + Seek>(source: &mut Source<R>, part: Part, tracks: &mut [Track]) {
    let Some(bytes) = source.bytes::<16>(part.start) else {
        return;
    };
    let (id, duration) = (be32(&bytes, 4), be32(&bytes, 12).unwrap_or(0));
    for track in tracks.iter_mut().filter(|track| Some(track.id) == id) {
        track.sample_duration = duration;
    }
}

/// From `tkhd`: 16.16 numbers, after a matrix that may turn it by a quarter.
fn shown<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<Dimensions> {
    let bytes = source.up_to(part.start, 96)?;
    let matrix = if *bytes.first()? == 1 { 52 } else { 40 };
    let width = be32(&bytes, matrix + 36)? >> 16;
    let height = be32(&bytes, matrix + 40)? >> 16;
    let is_turned = be32(&bytes, matrix)? == 0 && be32(&bytes, matrix + 4)? != 0;
    Some(if is_turned {
        Dimensions {
            width: height,
            height: width,
        }
    } else {
        Dimensions { width, height }
    })
}
